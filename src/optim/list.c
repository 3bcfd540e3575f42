/* The list of optimizers, and a step on all threads. Called by src/bind; knows no optimizer's formula. */
#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "optim/kinds.h"

/* Floats of w in one chunk: large enough to hide the pool's wake-up, small enough to share a layer of 784 x 128. A
 * multiple of a cache line, so that no two threads write the same one. */
enum { CHUNK = 16384 };

const ml_optimizer *const ml_optimizers[] = {
    &ml_optimizer_adagrad,
    &ml_optimizer_adam,
    &ml_optimizer_adamw,
    &ml_optimizer_adamw_schedule_free,
    &ml_optimizer_lion,
    &ml_optimizer_nadam,
    &ml_optimizer_rmsprop,
    &ml_optimizer_sgd,
    &ml_optimizer_sgd_schedule_free,
    NULL,
};

const ml_optimizer *ml_optimizer_find(const char *name) {
  for (int i = 0; ml_optimizers[i]; i++)
    if (strcmp(ml_optimizers[i]->name, name) == 0) return ml_optimizers[i];
  return NULL;
}

typedef struct step_call {
  const ml_optimizer *optimizer;
  const ml_span *spans;
  int slots;
  const ml_hyper *h;
} step_call;

/* A span's chunks: whole pieces of what follows the update, too. */
static int64_t chunk_size(const ml_span *s) {
  const int64_t grain = s->refresh.fn ? s->refresh.grain : CHUNK;
  return ml_round_up(CHUNK, grain);
}

static int64_t chunk_count(const ml_span *s) { return ml_ceil_div(s->n, chunk_size(s)); }

static void step_chunk(void *ctx, uint32_t chunk) {
  const step_call *c = ctx;
  const ml_span *s = c->spans;
  int64_t at = chunk;
  for (; at >= chunk_count(s); s++) at -= chunk_count(s);
  const int64_t begin = at * chunk_size(s), end = ml_min64(begin + chunk_size(s), s->n);
  float *slot[ML_OPTIM_MAX_SLOTS] = {NULL};
  for (int i = 0; i < c->slots; i++) slot[i] = s->slot[i] + begin;
  c->optimizer->step(s->w + begin, s->g + begin, slot, end - begin, c->h);
  if (s->refresh.fn) s->refresh.fn(s->refresh.ctx, begin, end);
}

/* Every element is moved by itself, so the chunks leave no trace in the result. */
void ml_optimizer_step(const ml_optimizer *o, const ml_span *spans, int count, const ml_hyper *h) {
  step_call call = {.optimizer = o, .spans = spans, .slots = o->slot_count(h), .h = h};
  int64_t chunks = 0;
  for (int i = 0; i < count; i++) chunks += chunk_count(&spans[i]);
  ml_pool_run(step_chunk, &call, (uint32_t)chunks);
}
