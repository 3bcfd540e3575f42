/* Keeps a linear layer's weight in the form that its forward product reads. Called by linear.c; starts a parallel
 * region when there is packing to do. */
#include "ops/packed_weight.h"

#include "base/pool.h"

static ml_companion *find(const ml_tensor *w) {
  ml_companion *c = w->companions;
  while (c && c->kind != ML_COMPANION_FORWARD) c = c->next;
  return c;
}

static void pack_rows(void *ctx, int64_t begin, int64_t end) {
  const ml_tensor *w = ctx;
  const int64_t out = w->shape.size[0], in = w->shape.size[1];
  ml_pack_columns(find(w)->data, (ml_matrix){w->f32, 1, in}, out, in, begin, end);
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
  ml_pool_for(pack_rows, w, out, ml_packed_group());
  c->form = ml_packed_form();
  c->state = ML_COMPANION_READY;
  return c->data;
}

/* Floats begin..end-1 of w are whole groups of rows. */
static void refresh_rows(void *ctx, int64_t begin, int64_t end) {
  const ml_tensor *w = ctx;
  pack_rows(ctx, begin / w->shape.size[1], end / w->shape.size[1]);
}

bool ml_packed_weight_update(ml_tensor *w, ml_refresh *refresh) {
  ml_companion *c = find(w);
  const bool follows = c && c->state == ML_COMPANION_READY && c->version == w->storage->version &&
                       c->form == ml_packed_form();
  ml_tensor_changed(w);
  if (!follows) return false;
  c->version = w->storage->version;
  *refresh = (ml_refresh){refresh_rows, w, ml_packed_group() * w->shape.size[1]};
  return true;
}
