/* The list of optimizers, and a step on all threads. Called by src/bind; knows no optimizer's formula. */
#include <string.h>

#include "base/pool.h"
#include "optim/kinds.h"

/* Floats of w in one chunk: large enough to hide the pool's wake-up, small enough to share a layer of 784 x 128. A
 * multiple of a cache line, so that no two threads write the same one. */
#define CHUNK 16384

const ml_optimizer *const ml_optimizers[] = {&ml_optimizer_adam, &ml_optimizer_adamw, &ml_optimizer_sgd, NULL};

const ml_optimizer *ml_optimizer_find(const char *name) {
  for (int i = 0; ml_optimizers[i]; i++)
    if (strcmp(ml_optimizers[i]->name, name) == 0) return ml_optimizers[i];
  return NULL;
}

typedef struct step_call {
  const ml_optimizer *optimizer;
  float *w;
  const float *g;
  float *const *slot;
  int slots;
  const ml_hyper *h;
} step_call;

static void step_range(void *ctx, int64_t begin, int64_t end) {
  const step_call *c = ctx;
  float *slot[ML_OPTIM_MAX_SLOTS] = {NULL};
  for (int i = 0; i < c->slots; i++) slot[i] = c->slot[i] + begin;
  c->optimizer->step(c->w + begin, c->g + begin, slot, end - begin, c->h);
}

/* Every element is moved by itself, so the chunks leave no trace in the result. */
void ml_optimizer_step(const ml_optimizer *o, float *w, const float *g, float *const slot[], int64_t n,
                       const ml_hyper *h) {
  step_call call = {.optimizer = o, .w = w, .g = g, .slot = slot, .slots = o->slot_count(h), .h = h};
  ml_pool_for(step_range, &call, n, CHUNK);
}
