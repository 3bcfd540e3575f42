/* The optimizers' loops, written once as plain C that compilers vectorise. Included by update_portable.c, update_avx2.c
 * and update_avx512.c, which define ML_UPDATE_TABLE_NAME and are compiled for their instruction set; by nothing else.
 * The formulas are in update.h. */
#include <math.h>

#include "kernels/update_table.h"

static void sgd(float *restrict w, const float *restrict g, int64_t n, float lr, float decay) {
  for (int64_t i = 0; i < n; i++) w[i] -= lr * (g[i] + decay * w[i]);
}

static void momentum(float *restrict w, const float *restrict g, float *restrict b, int64_t n,
                     const ml_momentum_factors *factors) {
  const ml_momentum_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    b[i] = f.momentum * b[i] + f.keep * (g[i] + f.decay * w[i]);
    w[i] -= f.lr * b[i];
  }
}

static void nesterov(float *restrict w, const float *restrict g, float *restrict b, int64_t n,
                     const ml_momentum_factors *factors) {
  const ml_momentum_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    const float d = g[i] + f.decay * w[i];
    b[i] = f.momentum * b[i] + f.keep * d;
    w[i] -= f.lr * (d + f.momentum * b[i]);
  }
}

static void adam(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, int64_t n,
                 const ml_adam_factors *factors) {
  const ml_adam_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    const float u = w[i] * f.shrink;
    const float d = g[i] + f.decay * u;
    m[i] = f.beta1 * m[i] + f.one_minus_beta1 * d;
    v[i] = f.beta2 * v[i] + f.one_minus_beta2 * d * d;
    w[i] = u - f.step_size * m[i] / (f.root * sqrtf(v[i]) + f.eps);
  }
}

const ml_update_table ML_UPDATE_TABLE_NAME = {sgd, momentum, nesterov, adam};
