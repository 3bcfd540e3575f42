/* The optimizers' inner loops: how n parameters w move, given their gradient g. Called by src/optim on spans that it
 * cuts for the threads; the formulas, and where they come from, are told there. Every element is moved by itself, in
 * f32, uncontracted: the same bits on every instruction set and however a parameter is cut. Spans do not overlap. */
#ifndef ML_UPDATE_H
#define ML_UPDATE_H

#include <stdint.h>

/* d = g + decay w; w -= lr d */
void ml_update_sgd(float *w, const float *g, int64_t n, float lr, float decay);

typedef struct ml_momentum_factors {
  float lr, decay, momentum;
  float keep; /* share of d in the buffer: 1 - dampening */
} ml_momentum_factors;

/* d = g + decay w; b = momentum b + keep d; w -= lr b, or lr (d + momentum b) for nesterov */
void ml_update_momentum(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f);
void ml_update_nesterov(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f);

typedef struct ml_adam_factors {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float step_size; /* lr / (1 - beta1^step) */
  float root;      /* 1 / sqrt(1 - beta2^step) */
  float eps;
  float shrink;    /* w is multiplied by this first */
  float decay;     /* of w, added to g */
} ml_adam_factors;

/* u = shrink w; d = g + decay u; m = beta1 m + (1 - beta1) d; v = beta2 v + (1 - beta2) d^2;
 * w = u - step_size m / (root sqrt(v) + eps) */
void ml_update_adam(float *w, const float *g, float *m, float *v, int64_t n, const ml_adam_factors *f);

#endif
