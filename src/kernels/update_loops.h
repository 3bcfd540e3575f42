/* The optimizers' loops, written once as plain C that compilers vectorise. Included by update_portable.c, update_avx2.c
 * and update_avx512.c, which define ML_UPDATE_TABLE_NAME and are compiled for their instruction set; by nothing else.
 * The formulas are in update.h. */
#include <math.h>
#include <stddef.h>

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

static void nadam(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, int64_t n,
                  const ml_nadam_factors *factors) {
  const ml_nadam_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    const float d = g[i] + f.decay * w[i];
    m[i] = f.beta1 * m[i] + f.one_minus_beta1 * d;
    v[i] = f.beta2 * v[i] + f.one_minus_beta2 * d * d;
    w[i] -= (f.step_size * d + f.momentum_size * m[i]) / (f.root * sqrtf(v[i]) + f.eps);
  }
}

/* Compiled four times, with a and b known to be NULL or not. */
static inline __attribute__((always_inline)) void rmsprop_as(float *restrict w, const float *restrict g,
                                                             float *restrict v, float *restrict b,
                                                             float *restrict a, int64_t n, ml_rmsprop_factors f) {
  for (int64_t i = 0; i < n; i++) {
    const float d = g[i] + f.decay * w[i];
    float mean_square = v[i] = f.alpha * v[i] + f.one_minus_alpha * d * d;
    if (a) {
      a[i] = f.alpha * a[i] + f.one_minus_alpha * d;
      const float variance = mean_square - a[i] * a[i];
      mean_square = variance < 0.0f ? 0.0f : variance;
    }
    float u = d / (sqrtf(mean_square) + f.eps);
    if (b) u = b[i] = f.momentum * b[i] + u;
    w[i] -= f.lr * u;
  }
}

static void rmsprop(float *restrict w, const float *restrict g, float *restrict v, float *restrict b,
                    float *restrict a, int64_t n, const ml_rmsprop_factors *f) {
  if (a && b) rmsprop_as(w, g, v, b, a, n, *f);
  else if (a) rmsprop_as(w, g, v, NULL, a, n, *f);
  else if (b) rmsprop_as(w, g, v, b, NULL, n, *f);
  else rmsprop_as(w, g, v, NULL, NULL, n, *f);
}

static void adagrad(float *restrict w, const float *restrict g, float *restrict s, int64_t n,
                    const ml_adagrad_factors *factors) {
  const ml_adagrad_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    const float d = g[i] + f.decay * w[i];
    s[i] += d * d;
    w[i] -= f.lr * d / (sqrtf(s[i] + f.initial) + f.eps);
  }
}

static void lion(float *restrict w, const float *restrict g, float *restrict m, int64_t n,
                 const ml_lion_factors *factors) {
  const ml_lion_factors f = *factors;
  for (int64_t i = 0; i < n; i++) {
    const float u = f.beta1 * m[i] + f.one_minus_beta1 * g[i];
    const float sign = (u > 0.0f ? 1.0f : 0.0f) - (u < 0.0f ? 1.0f : 0.0f);
    w[i] = f.shrink * w[i] - f.lr * sign;
    m[i] = f.beta2 * m[i] + f.one_minus_beta2 * g[i];
  }
}

/* Compiled twice, with v known to be NULL or not. */
static inline __attribute__((always_inline)) void schedule_free_as(float *restrict w, const float *restrict g,
                                                                   float *restrict d, float *restrict v, int64_t n,
                                                                   ml_schedule_free_factors f) {
  const float ahead = f.share + f.away * f.keep;
  for (int64_t i = 0; i < n; i++) {
    float slope = g[i];
    if (v) {
      v[i] = f.beta2 * v[i] + f.one_minus_beta2 * slope * slope;
      slope /= f.root * sqrtf(v[i]) + f.eps;
    }
    const float u = d[i] - f.lr * (slope + f.decay * w[i]);
    w[i] += ahead * u - f.away * d[i];
    d[i] = f.keep * u;
  }
}

static void schedule_free(float *restrict w, const float *restrict g, float *restrict d, float *restrict v, int64_t n,
                          const ml_schedule_free_factors *f) {
  if (v) schedule_free_as(w, g, d, v, n, *f);
  else schedule_free_as(w, g, d, NULL, n, *f);
}

static void average(float *restrict s, const float *restrict w, int64_t n, float share) {
  for (int64_t i = 0; i < n; i++) s[i] += share * (w[i] - s[i]);
}

static void clamp(float *restrict g, int64_t n, float limit) {
  for (int64_t i = 0; i < n; i++) {
    const float low = g[i] < -limit ? -limit : g[i];
    g[i] = low > limit ? limit : low;
  }
}

const ml_update_table ML_UPDATE_TABLE_NAME = {
    sgd, momentum, nesterov, adam, nadam, rmsprop, adagrad, lion, schedule_free, average, clamp,
};
