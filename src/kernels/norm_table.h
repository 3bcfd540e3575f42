/* The normalisation loops of one instruction set. Internal to src/kernels: norm.c and norm_group.c cut the work up and
 * call these; the loops are in norm_loops.h, which norm_portable.c, norm_avx2.c and norm_avx512.c compile once each.
 * The order of every sum is spelled out, so all three give the same bits. */
#ifndef ML_NORM_TABLE_H
#define ML_NORM_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Columns that are treated side by side where inner is 1. */
enum { ML_NORM_COLUMNS = 64 };

/* y = (x - mean) scale + bias, then max(y, 0) with relu. */
typedef struct ml_norm_affine {
  float mean, scale, bias;
  bool relu;
} ml_norm_affine;

/* The same for up to ML_NORM_COLUMNS columns. */
typedef struct ml_norm_affines {
  float mean[ML_NORM_COLUMNS], scale[ML_NORM_COLUMNS], bias[ML_NORM_COLUMNS];
  bool relu;
} ml_norm_affines;

/* dx = a g + (b (x - mean) + c), where g is dy, or 0 where relu made y 0. */
typedef struct ml_norm_slope {
  float a, b, c;
} ml_norm_slope;

typedef struct ml_norm_slopes {
  float a[ML_NORM_COLUMNS], b[ML_NORM_COLUMNS], c[ML_NORM_COLUMNS];
} ml_norm_slopes;

/* Two sums under way, each in four parts. */
typedef struct ml_norm_sums {
  double p[4], q[4];
} ml_norm_sums;

static inline double ml_norm_total(const double v[4]) { return (v[0] + v[1]) + (v[2] + v[3]); }

typedef struct ml_norm_table {
  /* ---- n values of one channel ---- */
  /* p += x - shift, q += (x - shift)^2 */
  void (*moments)(ml_norm_sums *sum, const float *x, int64_t n, float shift);
  void (*apply)(float *y, const float *x, int64_t n, const ml_norm_affine *f);
  /* p += g, q += g (x - mean) */
  void (*slope_sums)(ml_norm_sums *sum, const float *dy, const float *x, int64_t n, const ml_norm_affine *f);
  void (*slope)(float *dx, const float *dy, const float *x, int64_t n, const ml_norm_affine *f,
                const ml_norm_slope *s);

  /* ---- w <= ML_NORM_COLUMNS columns of n rows, each column a channel ---- */
  void (*column_moments)(double *sum, double *squares, const float *x, int64_t n, int64_t stride, int64_t w,
                         const float *shift);
  void (*column_apply)(float *y, const float *x, int64_t n, int64_t stride, int64_t w, const ml_norm_affines *f);
  void (*column_slope_sums)(double *sum, double *product, const float *dy, const float *x, int64_t n, int64_t stride,
                            int64_t w, const ml_norm_affines *f);
  void (*column_slope)(float *dx, const float *dy, const float *x, int64_t n, int64_t stride, int64_t w,
                       const ml_norm_affines *f, const ml_norm_slopes *s);

  /* ---- n values of one sample, each of a channel of its own; weight and bias may be NULL ---- */
  void (*row_apply)(float *y, const float *x, int64_t n, float mean, float rstd, const float *weight,
                    const float *bias);
  /* With g = dy weight: p += g, q += g (x - mean). */
  void (*row_slope_sums)(ml_norm_sums *sum, const float *dy, const float *x, int64_t n, float mean,
                         const float *weight);
  void (*row_slope)(float *dx, const float *dy, const float *x, int64_t n, float mean, const float *weight,
                    const ml_norm_slope *s);
  /* db[j] += dy, dw[j] += dy (x - mean) rstd, over rows of `stride` floats whose mean and rstd lie `step` floats
   * apart. */
  void (*row_parameters)(double *dw, double *db, const float *dy, const float *x, int64_t rows, int64_t stride,
                         int64_t w, const float *mean, const float *rstd, int64_t step);
} ml_norm_table;

extern const ml_norm_table ml_norm_portable;
#ifdef __x86_64__
extern const ml_norm_table ml_norm_avx2, ml_norm_avx512;
#endif

const ml_norm_table *ml_norm_table_in_use(void);   /* norm.c */

#endif
