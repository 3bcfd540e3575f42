/* The loops of normalisation, written once as plain C that compilers vectorise. Included by norm_portable.c,
 * norm_avx2.c and norm_avx512.c, which define ML_NORM_TABLE_NAME and are compiled for their instruction set; by nothing
 * else.
 *
 * A pair of sums along memory runs in 16 lanes: eight steps in float, then the lanes are folded into sums in
 * double. What is left of the last 16 is read as the last 16 with the lanes masked that were counted already. */
#include <string.h>

#include "kernels/loop.h"
#include "kernels/norm_table.h"

enum { HALF = 8, LANES = 2 * HALF, STEPS = 8 };

typedef float float4 __attribute__((vector_size(16)));
typedef double double4 __attribute__((vector_size(32)));
typedef float float8 __attribute__((vector_size(32)));
typedef int32_t int8x __attribute__((vector_size(32)));

#define INLINE static inline __attribute__((always_inline))

INLINE void load8(float8 *v, const float *x) { memcpy(v, x, sizeof *v); }

/* Two sums under way: in float since the last fold, and in double. No arrays: compilers keep those in memory. */
typedef struct pair {
  float8 p0, p1, q0, q1;
  double4 p_low, p_high, q_low, q_high;
} pair;

/* Vectors wider than the registers go by pointer: their ABI is unsettled. */
INLINE void fold8(double4 *low, double4 *high, const float8 *a, const float8 *b) {
  const float8 v = *a + *b;
  *low += __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3), double4);
  *high += __builtin_convertvector(__builtin_shufflevector(v, v, 4, 5, 6, 7), double4);
}

INLINE void fold(pair *s) {
  fold8(&s->p_low, &s->p_high, &s->p0, &s->p1);
  fold8(&s->q_low, &s->q_high, &s->q0, &s->q1);
  s->p0 = s->p1 = s->q0 = s->q1 = (float8){0};
}

INLINE void add_to(ml_norm_sums *out, const pair *s) {
  double4 p, q;
  memcpy(&p, out->p, sizeof p);
  memcpy(&q, out->q, sizeof q);
  p += s->p_low + s->p_high;
  q += s->q_low + s->q_high;
  memcpy(out->p, &p, sizeof p);
  memcpy(out->q, &q, sizeof q);
}

/* Clears the lanes of v before number `first`; its own lanes begin at number `at`. */
INLINE void mask8(float8 *v, int32_t at, int32_t first) {
  const int8x lane = {0, 1, 2, 3, 4, 5, 6, 7};
  *v = (float8)((int8x)*v & (lane + at >= first));
}

/* x[n], n < LANES, at the end of a buffer of zeros. */
INLINE const float *short16(float buffer[LANES], const float *x, int64_t n) {
  memset(buffer, 0, LANES * sizeof *buffer);
  memcpy(buffer + LANES - n, x, (size_t)n * sizeof *x);
  return buffer;
}

/* Adds the 16 elements from i on, all but the first `skip`; skip is 0 if it is a constant. */
#define SUM_16(x, dy, w, i, skip, TERMS)                                                                               \
  {                                                                                                                    \
    float8 p0, p1, q0, q1;                                                                                             \
    TERMS(x, dy, w, i, p0, q0)                                                                                         \
    TERMS(x, dy, w, (i) + HALF, p1, q1)                                                                                \
    if (skip) {                                                                                                        \
      mask8(&p0, 0, skip);                                                                                             \
      mask8(&q0, 0, skip);                                                                                             \
      mask8(&p1, HALF, skip);                                                                                          \
      mask8(&q1, HALF, skip);                                                                                          \
    }                                                                                                                  \
    s.p0 += p0;                                                                                                        \
    s.p1 += p1;                                                                                                        \
    s.q0 += q0;                                                                                                        \
    s.q1 += q1;                                                                                                        \
  }

/* Adds p and q, summed over n elements, to *out. TERMS(x, dy, w, i, p, q) sets float8 p and q for the eight elements
 * from i on; arrays that a use does without are x again. */
#define PAIR_SUMS(out, x, dy, w, n, TERMS)                                                                             \
  {                                                                                                                    \
    pair s = {.p0 = {0}};                                                                                              \
    int64_t at = 0;                                                                                                    \
    while (at + STEPS * LANES <= (n)) {                                                                                \
      for (const int64_t end = at + STEPS * LANES; at < end; at += LANES) SUM_16(x, dy, w, at, 0, TERMS)               \
      fold(&s);                                                                                                        \
    }                                                                                                                  \
    const bool unfolded = at < (n);                                                                                    \
    for (; at + LANES <= (n); at += LANES) SUM_16(x, dy, w, at, 0, TERMS)                                              \
    if (at < (n)) {                                                                                                    \
      float buffer[3][LANES];                                                                                          \
      const bool all = (n) >= LANES;                                                                                   \
      const int32_t counted = (int32_t)(LANES - ((n) - at));                                                           \
      const float *xt = all ? (x) + (n) - LANES : short16(buffer[0], x, n);                                            \
      const float *dyt = all ? (dy) + (n) - LANES : short16(buffer[1], dy, n);                                         \
      const float *wt = all ? (w) + (n) - LANES : short16(buffer[2], w, n);                                            \
      (void)dyt;                                                                                                       \
      (void)wt;                                                                                                        \
      SUM_16(xt, dyt, wt, 0, counted, TERMS)                                                                           \
    }                                                                                                                  \
    if (unfolded) fold(&s);                                                                                            \
    add_to(out, &s);                                                                                                   \
  }

/* ---- n values of one channel ---- */

#define MOMENT_TERMS(x, dy, w, i, p, q)                                                                                \
  {                                                                                                                    \
    float8 v;                                                                                                          \
    load8(&v, (x) + (i));                                                                                              \
    p = v - shift;                                                                                                     \
    q = p * p;                                                                                                         \
  }

static void moments(ml_norm_sums *sum, const float *x, int64_t n, float shift) {
  PAIR_SUMS(sum, x, x, x, n, MOMENT_TERMS)
}

INLINE float affine(float x, float mean, float scale, float bias) { return (x - mean) * scale + bias; }

static void apply(float *y, const float *x, int64_t n, const ml_norm_affine *f) {
  const float mean = f->mean, scale = f->scale, bias = f->bias;
  if (f->relu) {
    ML_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
      const float v = affine(x[i], mean, scale, bias);
      y[i] = v < 0.0f ? 0.0f : v;
    }
  } else {
    ML_INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = affine(x[i], mean, scale, bias);
  }
}

#define SLOPE_TERMS(x, dy, w, i, p, q)                                                                                 \
  {                                                                                                                    \
    float8 v;                                                                                                          \
    load8(&v, (x) + (i));                                                                                              \
    load8(&p, (dy) + (i));                                                                                             \
    q = p * (v - mean);                                                                                                \
  }

#define RELU_SLOPE_TERMS(x, dy, w, i, p, q)                                                                            \
  {                                                                                                                    \
    float8 v;                                                                                                          \
    load8(&v, (x) + (i));                                                                                              \
    load8(&p, (dy) + (i));                                                                                             \
    v -= mean;                                                                                                         \
    p = (float8)((int8x)p & ~(v * scale + bias <= 0.0f));                                                              \
    q = p * v;                                                                                                         \
  }

static void slope_sums(ml_norm_sums *sum, const float *dy, const float *x, int64_t n, const ml_norm_affine *f) {
  const float mean = f->mean, scale = f->scale, bias = f->bias;
  if (f->relu) {
    PAIR_SUMS(sum, x, dy, x, n, RELU_SLOPE_TERMS)
  } else {
    PAIR_SUMS(sum, x, dy, x, n, SLOPE_TERMS)
  }
}

static void slope(float *dx, const float *dy, const float *x, int64_t n, const ml_norm_affine *f,
                  const ml_norm_slope *s) {
  const float mean = f->mean, scale = f->scale, bias = f->bias, a = s->a, b = s->b, c = s->c;
  if (f->relu) {
    ML_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
      const float d = x[i] - mean, g = d * scale + bias <= 0.0f ? 0.0f : dy[i];
      dx[i] = a * g + (b * d + c);
    }
  } else {
    ML_INDEPENDENT
    for (int64_t i = 0; i < n; i++) dx[i] = a * dy[i] + (b * (x[i] - mean) + c);
  }
}

/* ---- columns: eight rows in float, then on to double ---- */

INLINE float sum8(const float v[STEPS]) {
  return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

static void column_moments(double *sum, double *squares, const float *x, int64_t n, int64_t stride, int64_t w,
                           const float *shift) {
  int64_t i = 0;
  for (; i + STEPS <= n; i += STEPS) {
    const float *row = x + i * stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      float d[STEPS], q[STEPS];
#pragma GCC unroll 8
      for (int k = 0; k < STEPS; k++) {
        d[k] = row[k * stride + j] - shift[j];
        q[k] = d[k] * d[k];
      }
      sum[j] += (double)sum8(d);
      squares[j] += (double)sum8(q);
    }
  }
  for (; i < n; i++) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const float d = x[i * stride + j] - shift[j];
      sum[j] += (double)d;
      squares[j] += (double)(d * d);
    }
  }
}

static void column_apply(float *y, const float *x, int64_t n, int64_t stride, int64_t w, const ml_norm_affines *f) {
  for (int64_t i = 0; i < n; i++, x += stride, y += stride) {
    if (f->relu) {
      ML_INDEPENDENT
      for (int64_t j = 0; j < w; j++) {
        const float v = affine(x[j], f->mean[j], f->scale[j], f->bias[j]);
        y[j] = v < 0.0f ? 0.0f : v;
      }
    } else {
      ML_INDEPENDENT
      for (int64_t j = 0; j < w; j++) y[j] = affine(x[j], f->mean[j], f->scale[j], f->bias[j]);
    }
  }
}

/* g of one element; d is x - mean. */
INLINE float masked(float dy, float d, float scale, float bias, bool relu) {
  return relu && d * scale + bias <= 0.0f ? 0.0f : dy;
}

INLINE void columns_sum(double *sum, double *product, const float *dy, const float *x, int64_t n, int64_t stride,
                        int64_t w, const ml_norm_affines *f, bool relu) {
  int64_t i = 0;
  for (; i + STEPS <= n; i += STEPS) {
    const float *x0 = x + i * stride, *dy0 = dy + i * stride;
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      float g[STEPS], q[STEPS];
#pragma GCC unroll 8
      for (int k = 0; k < STEPS; k++) {
        const float d = x0[k * stride + j] - f->mean[j];
        g[k] = masked(dy0[k * stride + j], d, f->scale[j], f->bias[j], relu);
        q[k] = g[k] * d;
      }
      sum[j] += (double)sum8(g);
      product[j] += (double)sum8(q);
    }
  }
  for (; i < n; i++) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const float d = x[i * stride + j] - f->mean[j];
      const float g = masked(dy[i * stride + j], d, f->scale[j], f->bias[j], relu);
      sum[j] += (double)g;
      product[j] += (double)(g * d);
    }
  }
}

static void column_slope_sums(double *sum, double *product, const float *dy, const float *x, int64_t n, int64_t stride,
                              int64_t w, const ml_norm_affines *f) {
  if (f->relu) {
    columns_sum(sum, product, dy, x, n, stride, w, f, true);
  } else {
    columns_sum(sum, product, dy, x, n, stride, w, f, false);
  }
}

INLINE void columns_slope(float *dx, const float *dy, const float *x, int64_t n, int64_t stride, int64_t w,
                          const ml_norm_affines *f, const ml_norm_slopes *s, bool relu) {
  for (int64_t i = 0; i < n; i++, dx += stride, dy += stride, x += stride) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const float d = x[j] - f->mean[j];
      dx[j] = s->a[j] * masked(dy[j], d, f->scale[j], f->bias[j], relu) + (s->b[j] * d + s->c[j]);
    }
  }
}

static void column_slope(float *dx, const float *dy, const float *x, int64_t n, int64_t stride, int64_t w,
                         const ml_norm_affines *f, const ml_norm_slopes *s) {
  if (f->relu) {
    columns_slope(dx, dy, x, n, stride, w, f, s, true);
  } else {
    columns_slope(dx, dy, x, n, stride, w, f, s, false);
  }
}

/* ---- n values of one sample, each of a channel of its own ---- */

static void row_apply(float *y, const float *x, int64_t n, float mean, float rstd, const float *weight,
                      const float *bias) {
  if (weight && bias) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * rstd * weight[j] + bias[j];
  } else {
    ML_INDEPENDENT
    for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * rstd;
    for (int64_t j = 0; weight && j < n; j++) y[j] *= weight[j];
  }
}

#define ROW_TERMS(x, dy, w, i, p, q)                                                                                   \
  {                                                                                                                    \
    float8 v, u;                                                                                                       \
    load8(&v, (x) + (i));                                                                                              \
    load8(&p, (dy) + (i));                                                                                             \
    load8(&u, (w) + (i));                                                                                              \
    p *= u;                                                                                                            \
    q = p * (v - mean);                                                                                                \
  }

static void row_slope_sums(ml_norm_sums *sum, const float *dy, const float *x, int64_t n, float mean,
                           const float *weight) {
  if (weight) {
    PAIR_SUMS(sum, x, dy, weight, n, ROW_TERMS)
  } else {
    PAIR_SUMS(sum, x, dy, x, n, SLOPE_TERMS)
  }
}

static void row_slope(float *dx, const float *dy, const float *x, int64_t n, float mean, const float *weight,
                      const ml_norm_slope *s) {
  const float a = s->a, b = s->b, c = s->c;
  if (weight) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < n; j++) dx[j] = a * (dy[j] * weight[j]) + (b * (x[j] - mean) + c);
  } else {
    ML_INDEPENDENT
    for (int64_t j = 0; j < n; j++) dx[j] = a * dy[j] + (b * (x[j] - mean) + c);
  }
}

/* Four rows in float, then on to double. */
static void row_parameters(double *dw, double *db, const float *dy, const float *x, int64_t rows, int64_t stride,
                           int64_t w, const float *mean, const float *rstd, int64_t step) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const float *dy0 = dy + i * stride, *dy1 = dy0 + stride, *dy2 = dy1 + stride, *dy3 = dy2 + stride;
    const float *x0 = x + i * stride, *x1 = x0 + stride, *x2 = x1 + stride, *x3 = x2 + stride;
    const float *m = mean + i * step, *r = rstd + i * step;
    const float m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    const float r0 = r[0], r1 = r[step], r2 = r[2 * step], r3 = r[3 * step];
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      const float q0 = dy0[j] * ((x0[j] - m0) * r0), q1 = dy1[j] * ((x1[j] - m1) * r1);
      const float q2 = dy2[j] * ((x2[j] - m2) * r2), q3 = dy3[j] * ((x3[j] - m3) * r3);
      db[j] += (double)((dy0[j] + dy1[j]) + (dy2[j] + dy3[j]));
      dw[j] += (double)((q0 + q1) + (q2 + q3));
    }
  }
  for (; i < rows; i++) {
    const float m = mean[i * step], r = rstd[i * step];
    ML_INDEPENDENT
    for (int64_t j = 0; j < w; j++) {
      db[j] += (double)dy[i * stride + j];
      dw[j] += (double)(dy[i * stride + j] * ((x[i * stride + j] - m) * r));
    }
  }
}

const ml_norm_table ML_NORM_TABLE_NAME = {
    .moments = moments,
    .apply = apply,
    .slope_sums = slope_sums,
    .slope = slope,
    .column_moments = column_moments,
    .column_apply = column_apply,
    .column_slope_sums = column_slope_sums,
    .column_slope = column_slope,
    .row_apply = row_apply,
    .row_slope_sums = row_slope_sums,
    .row_slope = row_slope,
    .row_parameters = row_parameters,
};
