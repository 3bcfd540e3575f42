/* Four floats in a vector register, by the vector extension that gcc and clang share: enough for packing, transposing
 * and the portable matrix kernel. Internal to src/kernels. */
#ifndef ML_VEC4_H
#define ML_VEC4_H

#include <stdint.h>
#include <string.h>

typedef float ml_vec4 __attribute__((vector_size(16)));
typedef int32_t ml_int4 __attribute__((vector_size(16)));

static inline ml_vec4 ml_vec4_load(const float *x) {
  ml_vec4 v;
  memcpy(&v, x, sizeof v);
  return v;
}

static inline void ml_vec4_store(float *y, ml_vec4 v) { memcpy(y, &v, sizeof v); }

/* Negative elements become 0; a NaN stays. */
static inline ml_vec4 ml_vec4_relu(ml_vec4 v) { return (ml_vec4)((ml_int4)v & ~(v < 0.0f)); }

/* y[j * y_stride + i] = x[i * x_stride + j] for i, j < 4. */
static inline void ml_vec4_transpose(float *y, int64_t y_stride, const float *x, int64_t x_stride) {
  const ml_vec4 r0 = ml_vec4_load(x), r1 = ml_vec4_load(x + x_stride);
  const ml_vec4 r2 = ml_vec4_load(x + 2 * x_stride), r3 = ml_vec4_load(x + 3 * x_stride);
  const ml_vec4 low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
  const ml_vec4 high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  const ml_vec4 low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
  const ml_vec4 high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  ml_vec4_store(y, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
  ml_vec4_store(y + y_stride, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
  ml_vec4_store(y + 2 * y_stride, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
  ml_vec4_store(y + 3 * y_stride, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
}

#endif
