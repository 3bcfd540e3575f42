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

typedef struct ml_nadam_factors {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, root, eps, decay; /* as Adam's */
  float step_size;     /* lr (1 - mu) / (1 - product of mu so far), of the gradient */
  float momentum_size; /* lr mu_next / (1 - product of mu so far mu_next), of the first moment */
} ml_nadam_factors;

/* d = g + decay w; m and v as Adam's; w -= (step_size d + momentum_size m) / (root sqrt(v) + eps) */
void ml_update_nadam(float *w, const float *g, float *m, float *v, int64_t n, const ml_nadam_factors *f);

typedef struct ml_rmsprop_factors {
  float lr, alpha, one_minus_alpha, eps, decay, momentum;
} ml_rmsprop_factors;

/* d = g + decay w; v = alpha v + (1 - alpha) d^2; with a mean of gradients a (or NULL): a = alpha a + (1 - alpha) d and
 * v' = max(v - a^2, 0), without v' = v; u = d / (sqrt(v') + eps); with a buffer b (or NULL): u = b = momentum b + u;
 * w -= lr u */
void ml_update_rmsprop(float *w, const float *g, float *v, float *b, float *a, int64_t n,
                       const ml_rmsprop_factors *f);

/* d = g + decay w; s += d^2; w -= lr d / (sqrt(s + initial) + eps) */
typedef struct ml_adagrad_factors {
  float lr, eps, decay, initial;
} ml_adagrad_factors;
void ml_update_adagrad(float *w, const float *g, float *s, int64_t n, const ml_adagrad_factors *f);

typedef struct ml_lion_factors {
  float lr, beta1, one_minus_beta1, beta2, one_minus_beta2;
  float shrink; /* w is multiplied by this first */
} ml_lion_factors;

/* w = shrink w - lr sign(beta1 m + (1 - beta1) g), with sign(0) = 0; m = beta2 m + (1 - beta2) g */
void ml_update_lion(float *w, const float *g, float *m, int64_t n, const ml_lion_factors *f);

typedef struct ml_schedule_free_factors {
  float lr, decay;
  float away;                                       /* 1 - beta: how far w, where gradients are taken, is from x to z */
  float share, keep;                                /* of the new z in the mean x, and 1 - share */
  float beta2, one_minus_beta2, root, eps;          /* AdamW's, as above */
} ml_schedule_free_factors;

/* d = z - x of the step before. u = d - lr (g + decay w), or with a second moment v (or NULL), updated as Adam's,
 * u = d - lr (g / (root sqrt(v) + eps) + decay w); w += (share + away keep) u - away d; d = keep u */
void ml_update_schedule_free(float *w, const float *g, float *d, float *v, int64_t n,
                             const ml_schedule_free_factors *f);

/* s += share (w - s) */
void ml_update_average(float *s, const float *w, int64_t n, float share);

/* Brings g into -limit .. limit; a NaN stays. */
void ml_update_clamp(float *g, int64_t n, float limit);

#endif
