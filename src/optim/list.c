/* The list of optimizers, and a step on all threads. Called by src/bind; knows no optimizer's formula. */
#include <string.h>

#include "base/pool.h"
#include "optim/kinds.h"

/* Floats of w in one chunk: large enough to hide the pool's wake-up, small enough to share a layer of 784 x 128. A
 * multiple of LINE, so that no two threads write the same cache line. */
enum { CHUNK = 16384, LINE = 16 };

const ml_optimizer *const ml_optimizers[] = {&ml_optimizer_adam, &ml_optimizer_adamw, &ml_optimizer_sgd, NULL};

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

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The floats that a span takes up in the row of all spans, where each begins on a cache line. */
static int64_t room(const ml_span *s) { return (s->n + LINE - 1) / LINE * LINE; }

static void step_part(const step_call *c, const ml_span *s, int64_t begin, int64_t end) {
  float *slot[ML_OPTIM_MAX_SLOTS] = {NULL};
  for (int i = 0; i < c->slots; i++) slot[i] = s->slot[i] + begin;
  c->optimizer->step(s->w + begin, s->g + begin, slot, end - begin, c->h);
}

/* What lies from `begin` to `end` in the row of all spans. */
static void step_range(void *ctx, int64_t begin, int64_t end) {
  const step_call *c = ctx;
  int64_t at = 0;
  for (const ml_span *s = c->spans; at < end; at += room(s++)) {
    int64_t first = begin > at ? begin - at : 0, last = least(end - at, s->n);
    if (first < last) step_part(c, s, first, last);
  }
}

/* Every element is moved by itself, so the chunks leave no trace in the result. */
void ml_optimizer_step(const ml_optimizer *o, const ml_span *spans, int count, const ml_hyper *h) {
  step_call call = {.optimizer = o, .spans = spans, .slots = o->slot_count(h), .h = h};
  int64_t total = 0;
  for (int i = 0; i < count; i++) total += room(&spans[i]);
  ml_pool_for(step_range, &call, total, CHUNK);
}
