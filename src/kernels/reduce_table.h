/* The reduction loops of one instruction set. Internal to src/kernels: reduce.c cuts the work up and calls these; the
 * loops are in reduce_loops.h, which reduce_portable.c, reduce_avx2.c and reduce_avx512.c compile once each. The order
 * of every sum is spelled out, so all three give the same bits. */
#ifndef ML_REDUCE_TABLE_H
#define ML_REDUCE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Columns that are reduced side by side. */
enum { ML_COLUMNS = 64, ML_RELU_COLUMNS = 128 };

typedef struct ml_reduce_table {
  /* Of x[n], contiguous. */
  double (*sum)(const float *x, int64_t n);
  double (*sum_squares)(const float *x, int64_t n);
  double (*count_nonfinite)(const float *x, int64_t n);
  int64_t (*place_of_max)(const float *x, int64_t n, bool least);

  /* Of x[n, w], row stride `stride`, w <= ML_COLUMNS (relu_columns: ML_RELU_COLUMNS): down each column. */
  void (*sum_columns)(float *y, const float *x, int64_t n, int64_t stride, int64_t w, double scale);
  void (*relu_columns)(float *dz, float *db, const float *dy, const float *out, int64_t n, int64_t stride, int64_t w);
  void (*max_columns)(float *y, int32_t *index, const float *x, int64_t n, int64_t stride, int64_t w, bool least);

  /* Of x[rows, c]. */
  void (*softmax)(float *y, const float *x, int64_t rows, int64_t c);
  void (*log_softmax)(float *y, const float *x, int64_t rows, int64_t c);
  void (*softmax_backward)(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);
  void (*log_softmax_backward)(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);
} ml_reduce_table;

extern const ml_reduce_table ml_reduce_portable;
#ifdef __x86_64__
extern const ml_reduce_table ml_reduce_avx2, ml_reduce_avx512;
#endif

#endif
