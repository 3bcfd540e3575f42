/* The loops of pooling_halve.h, written once for vectors of eight windows. Included by pooling_portable.c,
 * pooling_avx2.c and pooling_avx512.c, which define ML_POOLING_TABLE_NAME and are compiled for their instruction set;
 * by nothing else. A row's last windows that make no eight are computed as the last eight again. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernels/pooling_halve.h"

enum { WIDTH = 8 };

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH)));

#define INLINE static inline __attribute__((always_inline))

/* Vectors go by pointer: wider than the registers, their ABI is unsettled. */
INLINE void load(vec *v, const float *x) { memcpy(v, x, sizeof *v); }

/* What x has in even and odd places. */
INLINE void load_pairs(vec *even, vec *odd, const float *x) {
  vec low, high;
  load(&low, x);
  load(&high, x + WIDTH);
  *even = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  *odd = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
}

INLINE void better(vec *best, ivec *at, const vec *v, int32_t place) {
  const ivec take = ~(*v <= *best) & (*best == *best);
  *best = (vec)((take & (ivec)*v) | (~take & (ivec)*best));
  *at = (take & place) | (~take & *at);
}

INLINE void max2_eight(float *y, int32_t *index, const float *x, int64_t w, int32_t first) {
  vec best, v1, v2, v3;
  ivec at = {0, 2, 4, 6, 8, 10, 12, 14}, offset = {0};
  load_pairs(&best, &v1, x);
  load_pairs(&v2, &v3, x + w);
  better(&best, &offset, &v1, 1);
  better(&best, &offset, &v2, (int32_t)w);
  better(&best, &offset, &v3, (int32_t)w + 1);
  memcpy(y, &best, sizeof best);
  if (!index) return;
  at += offset + first;
  memcpy(index, &at, sizeof at);
}

/* One window. No branches: nobody foresees which element is the greatest. */
INLINE void max2_one(float *y, int32_t *index, const float *x, int64_t w, int32_t first) {
  const float v[4] = {x[0], x[1], x[w], x[w + 1]};
  const int32_t places[4] = {0, 1, (int32_t)w, (int32_t)w + 1};
  float best = v[0];
  int32_t offset = 0;
#pragma GCC unroll 3
  for (int i = 1; i < 4; i++) {
    const bool take = !(v[i] <= best) & (best == best);
    best = take ? v[i] : best;
    offset = take ? places[i] : offset;
  }
  *y = best;
  if (index) *index = first + offset;
}

static void max2(float *y, int32_t *index, const float *x, int64_t w, int64_t n, int32_t first) {
  for (int64_t j = 0; n >= WIDTH && j < n; j += WIDTH) {
    const int64_t at = j + WIDTH <= n ? j : n - WIDTH;
    max2_eight(y + at, index ? index + at : NULL, x + 2 * at, w, first + 2 * (int32_t)at);
  }
  for (int64_t j = 0; n < WIDTH && j < n; j++) {
    max2_one(y + j, index ? index + j : NULL, x + 2 * j, w, first + 2 * (int32_t)j);
  }
}

/* dy[j] where index[j] is the place of window j's element number 0, `place` further on; adding 0 makes -0 a 0, as a sum
 * is. */
INLINE void chosen(vec *out, const vec *dy, const ivec *index, int32_t place) {
  const ivec at = {0, 2, 4, 6, 8, 10, 12, 14};
  *out = (vec)((ivec)*dy & (*index == at + place)) + 0.0f;
}

INLINE void store_pairs(float *x, const vec *even, const vec *odd) {
  const vec low = __builtin_shufflevector(*even, *odd, 0, 8, 1, 9, 2, 10, 3, 11);
  const vec high = __builtin_shufflevector(*even, *odd, 4, 12, 5, 13, 6, 14, 7, 15);
  memcpy(x, &low, sizeof low);
  memcpy(x + WIDTH, &high, sizeof high);
}

INLINE void max2_dx_eight(float *dx, const float *dy, const int32_t *index, int64_t w, int32_t first) {
  vec v, even, odd;
  ivec i;
  load(&v, dy);
  memcpy(&i, index, sizeof i);
  for (int32_t row = 0; row < 2; row++) { /* in this order: the first may reach into the second */
    chosen(&even, &v, &i, first + row * (int32_t)w);
    chosen(&odd, &v, &i, first + row * (int32_t)w + 1);
    store_pairs(dx + row * w, &even, &odd);
  }
}

static void max2_dx(float *dx, const float *dy, const int32_t *index, int64_t w, int64_t n, int32_t first) {
  for (int64_t j = 0; n >= WIDTH && j < n; j += WIDTH) {
    const int64_t at = j + WIDTH <= n ? j : n - WIDTH;
    max2_dx_eight(dx + 2 * at, dy + at, index + at, w, first + 2 * (int32_t)at);
  }
  for (int64_t j = 0; n < WIDTH && j < n; j++) {
    float *at = dx + 2 * j;
    at[0] = at[1] = at[w] = at[w + 1] = 0.0f;
    at[index[j] - first - 2 * j] += dy[j];
  }
}

const ml_pooling_table ML_POOLING_TABLE_NAME = {max2, max2_dx};
