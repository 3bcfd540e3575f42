/* The seam between gemv.c and the loops of the few-row product, which gemv_loops.h has and gemv_portable.c, gemv_avx2.c
 * and gemv_avx512.c compile once each. Internal to src/kernels. */
#ifndef ML_GEMV_UNIT_H
#define ML_GEMV_UNIT_H

#include <stdint.h>

#include "kernels/gemm_micro.h"

enum {
  ML_GEMV_STRIP = 256, /* outputs whose weights for one input lie together: their sums stay in the L1 cache */
  ML_GEMV_GROUP = 8,   /* inputs whose weights are added in one walk over the sums */
  ML_GEMV_SLACK = 16   /* floats that may be read, but are not used, past the last weight: the widest vector */
};

/* The inputs of a block that are not zero, in ascending order, filled up to a whole group with zeros. */
typedef struct ml_gemv_inputs {
  int count;
  float value[ML_K_BLOCK];
  int32_t at[ML_K_BLOCK]; /* place in the block */
} ml_gemv_inputs;

typedef struct ml_gemv_unit {
  /* The nonzero ones of x[n], n <= ML_K_BLOCK; a NaN is not zero. */
  void (*gather)(ml_gemv_inputs *in, const float *x, int n);

  /* s[j] = sum over i, ascending, of value[i] w[at[i] * n + j]; c[j] = finish(s[j]) for j < n <= ML_GEMV_STRIP. */
  void (*strip)(float *c, const ml_gemv_inputs *in, const float *w, int n, ml_finish f);
} ml_gemv_unit;

extern const ml_gemv_unit ml_gemv_portable;
#ifdef __x86_64__
extern const ml_gemv_unit ml_gemv_avx2, ml_gemv_avx512;
#endif

#endif
