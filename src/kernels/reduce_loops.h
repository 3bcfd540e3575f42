/* The loops of sums, extremes and softmax, written once as plain C that compilers vectorise. Included by
 * reduce_portable.c, reduce_avx2.c and reduce_avx512.c, which define ML_REDUCE_TABLE_NAME and are compiled for their
 * instruction set; by nothing else.
 *
 * Sums run in LANES partial sums in double, which are then added pairwise; the elements past the last whole group of
 * LANES follow one by one. */
#include <math.h>

#include "base/fmath.h"
#include "base/integer.h"
#include "kernels/loop.h"
#include "kernels/reduce_table.h"

enum {
  LANES = 16
};

/* Four doubles: a vector type, because compilers keep an array of partial sums in memory. */
typedef double double4 __attribute__((vector_size(32)));
typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

typedef float4 float4_at __attribute__((aligned(4), may_alias)); /* anywhere in an array of floats */

#define LOAD4(x) (__builtin_convertvector(*(const float4_at *)(x), double4))

/* Adds up value(i) for i < n, where `vector` is the four values from i on as a double4 and `single` the value at i. */
#define SUM_LOOP(total, n, vector, single)                                                                             \
  double total;                                                                                                        \
  {                                                                                                                    \
    double4 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};                                                                    \
    int64_t at = 0;                                                                                                    \
    for (; at + LANES <= (n); at += LANES) {                                                                           \
      int64_t i = at;                                                                                                  \
      s0 += (vector);                                                                                                  \
      i += 4;                                                                                                          \
      s1 += (vector);                                                                                                  \
      i += 4;                                                                                                          \
      s2 += (vector);                                                                                                  \
      i += 4;                                                                                                          \
      s3 += (vector);                                                                                                  \
    }                                                                                                                  \
    s0 = (s0 + s1) + (s2 + s3);                                                                                        \
    total = (s0[0] + s0[1]) + (s0[2] + s0[3]);                                                                         \
    for (int64_t i = at; i < (n); i++) total += (single);                                                              \
  }

static double sum(const float *x, int64_t n) {
  SUM_LOOP(total, n, LOAD4(x + i), (double)x[i])
  return total;
}

static double dot(const float *x, const float *y, int64_t n) {
  SUM_LOOP(total, n, LOAD4(x + i) * LOAD4(y + i), (double)x[i] * (double)y[i])
  return total;
}

static double sum_squares(const float *x, int64_t n) { return dot(x, x, n); }

/* All exponent bits set: NaN or infinite. n is at most a chunk, so 32 bits are enough. */
static double count_nonfinite(const float *x, int64_t n) {
  int32_t count = 0;
  for (int64_t i = 0; i < n; i++) count += (ml_f32_to_bits(x[i]) & 0x7f800000u) == 0x7f800000u;
  return count;
}

/* Does v displace best? A NaN displaces every number, and nothing displaces a NaN. */
static inline bool displaces(float v, float best, bool least) {
  const bool beyond = least ? v < best : v > best;
  return beyond | ((v != v) & (best == best));
}

static inline float pick(float v, float best, bool least) { return displaces(v, best, least) ? v : best; }

static inline float4 pick4(float4 v, float4 best, bool least) {
  const int4 take = (int4)(least ? v < best : v > best) | ((int4)(v != v) & (int4)(best == best));
  return (float4)((take & (int4)v) | (~take & (int4)best));
}

/* The extreme of x[n], n >= 1, in LANES side by side. */
static inline float extreme(const float *x, int64_t n, bool least) {
  float best = x[0];
  int64_t at = 0;
  if (n >= LANES) {
    float4 b0 = *(const float4_at *)x, b1 = b0, b2 = b0, b3 = b0;
    for (; at + LANES <= n; at += LANES) {
      b0 = pick4(*(const float4_at *)(x + at), b0, least);
      b1 = pick4(*(const float4_at *)(x + at + 4), b1, least);
      b2 = pick4(*(const float4_at *)(x + at + 8), b2, least);
      b3 = pick4(*(const float4_at *)(x + at + 12), b3, least);
    }
    b0 = pick4(pick4(b1, b0, least), pick4(b3, b2, least), least);
    for (int l = 0; l < 4; l++) best = pick(b0[l], best, least);
  }
  for (; at < n; at++) best = pick(x[at], best, least);
  return best;
}

/* The first place of the extreme. */
static int64_t place_of_max(const float *x, int64_t n, bool least) {
  const float best = least ? extreme(x, n, true) : extreme(x, n, false);
  int64_t i = 0;
  if (best == best) {
    while (x[i] != best) i++;
  } else {
    while (x[i] == x[i]) i++;
  }
  return i;
}

/* ---- columns ---- */

/* y[j] = scale * (x[0, j] + x[1, j] + ..), in this order. Four rows at a time save loads and stores of the sums. */
static void sum_columns(float *y, const float *x, int64_t n, int64_t stride, int64_t w, double scale) {
  double s[ML_COLUMNS] = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float *r0 = x + i * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) s[j] = (((s[j] + (double)r0[j]) + (double)r1[j]) + (double)r2[j]) + (double)r3[j];
  }
  for (; i < n; i++) {
    const float *row = x + i * stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) s[j] += (double)row[j];
  }
  for (int64_t j = 0; j < w; j++) y[j] = (float)(s[j] * scale);
}

/* dz = dy where out > 0 (or is NaN), else 0 */
static inline float pass(float dy, float out) { return out <= 0.0f ? 0.0f : dy; }

/* One row of relu_columns. */
static inline void relu_row(float *dz, double *s, const float *dy, const float *out, int64_t w) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < w; j++) {
    const float g = pass(dy[j], out[j]);
    dz[j] = g;
    s[j] += (double)g;
  }
}

/* dz = dy where out > 0 (or is NaN), else 0; db[j] = sum_columns of dz. Four rows at a time, as there. */
static void relu_columns(float *dz, float *db, const float *dy, const float *out, int64_t n, int64_t stride,
                         int64_t w) {
  double s[ML_RELU_COLUMNS] = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const int64_t r0 = i * stride, r1 = r0 + stride, r2 = r1 + stride, r3 = r2 + stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const float g0 = pass(dy[r0 + j], out[r0 + j]), g1 = pass(dy[r1 + j], out[r1 + j]);
      const float g2 = pass(dy[r2 + j], out[r2 + j]), g3 = pass(dy[r3 + j], out[r3 + j]);
      dz[r0 + j] = g0;
      dz[r1 + j] = g1;
      dz[r2 + j] = g2;
      dz[r3 + j] = g3;
      s[j] = (((s[j] + (double)g0) + (double)g1) + (double)g2) + (double)g3;
    }
  }
  for (; i < n; i++) relu_row(dz + i * stride, s, dy + i * stride, out + i * stride, w);
  for (int64_t j = 0; j < w; j++) db[j] = (float)s[j];
}

static inline void extreme_columns(float *y, int32_t *index, const float *x, int64_t n, int64_t stride, int64_t w,
                                   bool least) {
  float best[ML_COLUMNS];
  int32_t place[ML_COLUMNS] = {0};
  for (int64_t j = 0; j < w; j++) best[j] = x[j];
  for (int64_t i = 1; i < n; i++) {
    const float *row = x + i * stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const bool take = displaces(row[j], best[j], least);
      best[j] = take ? row[j] : best[j];
      place[j] = take ? (int32_t)i : place[j];
    }
  }
  for (int64_t j = 0; j < w; j++) y[j] = best[j];
  if (!index) return;
  for (int64_t j = 0; j < w; j++) index[j] = place[j];
}

static void max_columns(float *y, int32_t *index, const float *x, int64_t n, int64_t stride, int64_t w, bool least) {
  if (least) {
    extreme_columns(y, index, x, n, stride, w, true);
  } else {
    extreme_columns(y, index, x, n, stride, w, false);
  }
}

/* ---- softmax ---- */

/* y = e^(x - max x) / sum of these. */
static void softmax(float *y, const float *x, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++, x += c, y += c) {
    const float top = extreme(x, c, false);
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) y[j] = ml_expf(x[j] - top);
    const float factor = (float)(1.0 / sum(y, c));
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) y[j] *= factor;
  }
}

enum { PIECE = 64, GROUP = 256 };

/* log_softmax of rows of 1 to PIECE values, as many rows at a time as GROUP has room for: exponentials and logarithms
 * then fill whole vectors, and the rows' chains of sums overlap. The buffers are there because y may be x. */
static void log_softmax_short(float *y, const float *x, int64_t rows, int64_t c) {
  float z[GROUP], e[GROUP], log_total[GROUP];
  for (int64_t count; rows > 0; rows -= count, x += count * c, y += count * c) {
    count = ml_min64(rows, GROUP / c);
    for (int64_t r = 0; r < count; r++) {
      const float top = extreme(x + r * c, c, false);
      ML_INDEPENDENT
      for (int64_t j = 0; j < c; j++) z[r * c + j] = x[r * c + j] - top;
    }
    ML_INDEPENDENT
    for (int64_t i = 0; i < count * c; i++) e[i] = ml_expf(z[i]);
    for (int64_t r = 0; r < count; r++) log_total[r] = (float)sum(e + r * c, c);
    ML_INDEPENDENT
    for (int64_t r = 0; r < count; r++) log_total[r] = ml_logf(log_total[r]);
    for (int64_t r = 0; r < count; r++) {
      ML_INDEPENDENT
      for (int64_t j = 0; j < c; j++) y[r * c + j] = z[r * c + j] - log_total[r];
    }
  }
}

/* The same of longer ones, which fill vectors by themselves. */
static void log_softmax_long(float *y, const float *x, int64_t rows, int64_t c) {
  float e[PIECE];
  for (int64_t r = 0; r < rows; r++, x += c, y += c) {
    const float top = extreme(x, c, false);
    double total = 0.0;
    for (int64_t begin = 0; begin < c; begin += PIECE) {
      const int64_t n = ml_min64(c - begin, PIECE);
      ML_INDEPENDENT
      for (int64_t j = 0; j < n; j++) e[j] = ml_expf(x[begin + j] - top);
      total += sum(e, n);
    }
    const float log_total = ml_logf((float)total);
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) y[j] = (x[j] - top) - log_total;
  }
}

/* y = (x - max x) - ln sum of e^(x - max x) */
static void log_softmax(float *y, const float *x, int64_t rows, int64_t c) {
  (c >= 1 && c <= PIECE ? log_softmax_short : log_softmax_long)(y, x, rows, c);
}

/* dx = y (dy - sum of dy y) */
static void softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++, dx += c, dy += c, y += c) {
    const float shift = (float)dot(dy, y, c);
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) dx[j] = y[j] * (dy[j] - shift);
  }
}

/* dx = dy - e^y (sum of dy) */
static void log_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++, dx += c, dy += c, y += c) {
    const float total = (float)sum(dy, c);
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) dx[j] = dy[j] - ml_expf(y[j]) * total;
  }
}

const ml_reduce_table ML_REDUCE_TABLE_NAME = {
    .sum = sum,
    .sum_squares = sum_squares,
    .count_nonfinite = count_nonfinite,
    .place_of_max = place_of_max,
    .sum_columns = sum_columns,
    .relu_columns = relu_columns,
    .max_columns = max_columns,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .softmax_backward = softmax_backward,
    .log_softmax_backward = log_softmax_backward,
};
