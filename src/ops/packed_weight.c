/* Keeps a linear layer's weight in the form that its forward product reads. Called by linear.c; starts a parallel
 * region when there is packing to do. */
#include "ops/packed_weight.h"

#include "base/pool.h"
#include "tensor/companion.h"

typedef struct packing {
  float *packed;
  const ml_tensor *w;
} packing;

static void pack_rows(void *ctx, int64_t begin, int64_t end) {
  const packing *p = ctx;
  const int64_t out = p->w->shape.size[0], in = p->w->shape.size[1];
  ml_pack_columns(p->packed, (ml_matrix){p->w->f32, 1, in}, out, in, begin, end);
}

const float *ml_packed_weight(ml_tensor *w) {
  const int64_t out = w->shape.size[0], in = w->shape.size[1];
  const size_t floats = ml_packed_floats(out, in);
  if (floats == 0) return NULL;
  ml_companion *c = ml_tensor_companion(w, ML_COMPANION_FORWARD);
  if (!c) return NULL;
  if (c->state == ML_COMPANION_READY && c->form == ml_packed_form()) return c->data;
  c->state = ML_COMPANION_STALE;
  if (!ml_companion_reserve(c, floats)) return NULL;
  ml_pool_for(pack_rows, &(packing){c->data, w}, out, ml_packed_group());
  c->form = ml_packed_form();
  c->state = ML_COMPANION_READY;
  return c->data;
}
