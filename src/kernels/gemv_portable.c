/* The few-row product for any processor, in vectors of four floats. Called by gemv.c only. */
#include "kernels/gemv_unit.h"
#include "kernels/vec4.h"

typedef ml_vec4 vec;

static inline vec vec_all(float x) { return (vec){x, x, x, x}; }
static inline vec vec_load(const float *x) { return ml_vec4_load(x); }
static inline void vec_store(float *y, vec v) { ml_vec4_store(y, v); }
static inline vec vec_fma(vec x, vec w, vec s) { return s + x * w; }

static int gather_some(ml_gemv_inputs *in, int *count, const float *x, int n) {
  (void)in, (void)count, (void)x, (void)n;
  return 0;
}

#define ML_GEMV_UNIT_NAME ml_gemv_portable
#include "kernels/gemv_loops.h"
