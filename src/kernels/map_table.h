/* The element-wise loops of one instruction set. Internal to src/kernels: map.c cuts the work up and calls these; the
 * loops are in map_loops.h, which map_portable.c, map_avx2.c and map_avx512.c compile once each. They use nothing but
 * + - * / and square roots, uncontracted, so all three give the same bits. */
#ifndef ML_MAP_TABLE_H
#define ML_MAP_TABLE_H

#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

/* Elements per generator block, and per step of the dropout loop: chunks of work are a multiple of the latter. */
enum { ML_PHILOX_WORDS = 4, ML_DROPOUT_STEP = 64 };

typedef struct ml_map_table {
  void (*unary[ML_UNARY_COUNT])(float *y, const float *x, int64_t n, float a);
  void (*unary_backward[ML_UNARY_COUNT])(float *dx, const float *dy, const float *x, const float *y, int64_t n,
                                         float a);
  /* z[i] = x[i * xs] op y[i * ys] */
  void (*binary[ML_BINARY_COUNT])(float *z, const float *x, const float *y, int64_t n, int64_t xs, int64_t ys);
  void (*axpy)(float *y, const float *x, int64_t n, float a);
  void (*scale)(float *y, const float *x, int64_t n, float a);
  /* Element 0 takes the first word of rng's block. */
  void (*dropout)(float *y, const float *x, int64_t n, float p, ml_rng rng);
  void (*gaussian_noise)(float *y, const float *x, int64_t n, float std, ml_rng rng);
  /* y = scale x + offset, in double */
  void (*bytes_line)(float *y, const uint8_t *x, int64_t n, double scale, double offset);
} ml_map_table;

extern const ml_map_table ml_map_portable;
#ifdef __x86_64__
extern const ml_map_table ml_map_avx2, ml_map_avx512;
#endif

#endif
