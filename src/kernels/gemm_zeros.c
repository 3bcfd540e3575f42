/* Finds the products of an operand's panels that are not all zeros. Called by gemm.c only; allocates nothing. */
#include "kernels/gemm_zeros.h"

#include <string.h>

#include "base/fmath.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/vec4.h"

enum {
  PLACES = 32,      /* that decide ... */
  ZEROS_WANTED = 3, /* ... if so many of them are zeros: a tenth of the work, several times what the lists cost */
  RUN = 64,         /* products looked at together */
  CHUNK = 1 << 15   /* floats that a thread looks at, at least */
};

/* ---- whether ---- */

static bool all_zero(const float *x, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (x[i * stride] != 0.0f) return false;
  }
  return true;
}

bool ml_zeros_many(const ml_operand *o, int width) {
  const int64_t panels = o->count / width;
  int zeros = 0;
  for (int64_t i = 0; i < PLACES && panels > 0; i++) {
    const int64_t w = i * panels / PLACES * width, p = i * 7919 % o->k;
    zeros += all_zero(o->x + w * o->stride_w + p * o->stride_p, o->stride_w, width);
  }
  return zeros >= ZEROS_WANTED;
}

bool ml_operand_finite(const ml_operand *o) {
  const bool in_rows = o->stride_p == 1 && o->stride_w == o->k;
  const bool in_columns = o->stride_w == 1 && o->stride_p == o->count;
  return (in_rows || in_columns) && ml_count_nonfinite(o->x, o->count * o->k) == 0;
}

/* ---- which ---- */

/* 0 for a zero of either sign. */
static int32_t bits_of(float x) { return (int32_t)(ml_f32_to_bits(x) & INT32_MAX); }

/* any[p] != 0 where one of x's elements for p is not zero. */
static void look(int32_t *any, const ml_operand *x) {
  const int64_t fours = x->stride_w == 1 ? x->count / 4 * 4 : 0;
  memset(any, 0, (size_t)x->k * sizeof *any);
  for (int64_t p = 0; p < x->k && fours > 0; p++) {
    ml_int4 bits = {0};
    for (int64_t w = 0; w < fours; w += 4) bits |= (ml_int4)ml_vec4_load(x->x + p * x->stride_p + w);
    any[p] = (bits[0] | bits[1] | bits[2] | bits[3]) & INT32_MAX;
  }
  for (int64_t w = fours; w < x->count; w++) {
    const float *row = x->x + w * x->stride_w;
    if (x->stride_p == 1) { /* a loop that becomes one of vectors */
      for (int64_t p = 0; p < x->k; p++) any[p] |= bits_of(row[p]);
    } else {
      for (int64_t p = 0; p < x->k; p++) any[p] |= bits_of(row[p * x->stride_p]);
    }
  }
}

/* at = the products of one panel and block; returns how many. */
static int64_t list(uint16_t *at, ml_operand x) {
  int32_t any[RUN];
  int64_t count = 0;
  const int64_t k = x.k;
  for (int64_t p0 = 0; p0 < k; p0 += RUN, x.x += RUN * x.stride_p) {
    x.k = ml_min64(RUN, k - p0);
    look(any, &x);
    for (int64_t p = 0; p < x.k; p++) { /* always stored; what is zero is overwritten by the next */
      at[count] = (uint16_t)(p0 + p);
      count += any[p] != 0;
    }
  }
  return count;
}

/* Lists first..last-1, as they lie. */
static void fill_lists(void *ctx, int64_t first, int64_t last) {
  const ml_zero_lists *z = ctx;
  const ml_operand *o = &z->operand;
  const int64_t panels = ml_ceil_div(o->count, z->width);
  for (int64_t i = first; i < last; i++) {
    const int64_t w = i % panels * z->width, p = i / panels * z->block;
    const ml_operand panel = {o->x + w * o->stride_w + p * o->stride_p, ml_min64(z->width, o->count - w), o->stride_w,
                              ml_min64(z->block, o->k - p), o->stride_p};
    uint16_t *at = z->room + i * (z->block + 1) + 1;
    at[-1] = (uint16_t)list(at, panel);
  }
}

void ml_zero_lists_fill(const ml_zero_lists *z) {
  const int64_t lists = ml_ceil_div(z->operand.count, z->width) * ml_ceil_div(z->operand.k, z->block);
  ml_pool_for(fill_lists, (void *)z, lists, ml_ceil_div(CHUNK, z->width * z->block));
}
