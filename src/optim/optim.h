/* Optimizers: how a parameter moves, given its gradient.
 *
 * An optimizer is a const struct: its name, the names of its state slots (one float per parameter each), and a step
 * over a flat span. Because slots are declared, checkpointing and resuming need no code per optimizer. A new one is one
 * file and one row in ml_optimizers (list.c). Policy (the learning rate and its schedule) is the script's. */
#ifndef ML_OPTIM_H
#define ML_OPTIM_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/companion.h"

#define ML_OPTIM_MAX_SLOTS 4

/* What a step is told; each optimizer reads the members that its formula names. PyTorch's names and meanings. */
typedef struct ml_hyper {
  double lr, momentum, dampening, weight_decay, beta1, beta2, eps;
  double alpha;                                  /* RMSprop */
  double lr_decay, initial_accumulator_value;    /* Adagrad */
  double mu, mu_next, mu_product;                /* NAdam: nadam.c */
  double average_share;                          /* schedule-free: schedule_free.c */
  bool nesterov, centered;
  int64_t step;           /* 1 for the first step */
} ml_hyper;

typedef struct ml_optimizer {
  const char *name;                              /* "SGD", "Adam", "AdamW" */
  const char *slots[ML_OPTIM_MAX_SLOTS + 1];     /* PyTorch's names ("momentum_buffer", "exp_avg"), ending in NULL */
  /* Slots used with these settings: SGD without momentum uses none. */
  int (*slot_count)(const ml_hyper *h);
  /* w[n] moves by gradient g[n]; slot[i] has n floats, zero before the first step. */
  void (*step)(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h);
} ml_optimizer;

extern const ml_optimizer *const ml_optimizers[];   /* ends in NULL */
const ml_optimizer *ml_optimizer_find(const char *name);

/* A parameter: w[n] and its gradient; as many slots as o->slot_count gives. */
typedef struct ml_span {
  float *w;
  const float *g;
  float *slot[ML_OPTIM_MAX_SLOTS];
  int64_t n;
  ml_refresh refresh; /* run on every piece of w that has moved; fn is NULL for none */
} ml_span;

/* Runs o->step over all spans at once, in chunks on all threads. What one span writes, no other may read or write. */
void ml_optimizer_step(const ml_optimizer *o, const ml_span *spans, int count, const ml_hyper *h);

#endif
