/* The bf16 register kernel for any processor: AMX's sums (bf16.h) to the bit, 4 rows by 8 columns, without relying on a
 * fused multiply-add or on a mode that flushes subnormals. Right rather than fast. Called by gemm_bf16.c and the
 * convolutions. */
#include <math.h>

#include "kernels/gemm_bf16.h"

enum { MR = 4, NR = 8, GROUP = 1 };

/* A result below this, the middle between 2^-126 and the float before it if there were no subnormals, rounds to less
 * than 2^-126 and is flushed. */
static const double TINY = 0x1p-126 - 0x1p-151;

static inline float flush(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x; }

/* fma(a, b, t), flushed. The product of two bf16 has 16 bits, so it is exact in double, and so is the sum, unless one
 * term is over 2^28 times the other: then both roundings give the larger term, as a fused one would. */
static inline float multiply_add(float a, float b, float t) {
  const double s = (double)a * (double)b + (double)t;
  return fabs(s) < TINY ? copysignf(0.0f, (float)s) : (float)s;
}

/* sums[GROUP, NR] += one step of a row of A and B's columns */
static void add_step(float *sums, const float *a, const float *b) {
  float t[2][NR] = {{0}};
  for (int p = 0; p < ML_BF16_STEP; p++) {
    for (int j = 0; j < NR; j++) t[p & 1][j] = multiply_add(a[p * MR], b[p * NR + j], t[p & 1][j]);
  }
  for (int j = 0; j < NR; j++) sums[j] = flush(flush(sums[j]) + flush(t[0][j] + t[1][j]));
}

/* The flushing is done above. */
static inline uint32_t begin_flushing(void) { return 0; }
static inline void end_flushing(uint32_t mode) { (void)mode; }

#define ML_BF16_MICRO_NAME ml_bf16_portable
#include "kernels/gemm_bf16_loops.h"
