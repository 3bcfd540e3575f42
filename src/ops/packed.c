/* Keeps what linear layers multiply in the form that their products read. Called by linear.c; starts a parallel region
 * when a weight is to be packed anew. */
#include "ops/packed.h"

#include "base/pool.h"
#include "kernels/precision.h"

/* A tensor as a matrix: its last dimension are the columns. It has at least one element. */
static int64_t columns_of(const ml_tensor *t) { return t->shape.size[t->shape.ndim - 1]; }
static int64_t rows_of(const ml_tensor *t) { return ml_tensor_count(t) / columns_of(t); }

static ml_packing packing_of(const ml_tensor *t, ml_companion_kind kind) {
  const int64_t rows = rows_of(t), columns = columns_of(t);
  if (kind == ML_COMPANION_LEFT) return (ml_packing){ML_LEFT, rows, columns};
  if (kind == ML_COMPANION_RIGHT) return (ml_packing){ML_RIGHT, columns, rows};
  return (ml_packing){ML_RIGHT, rows, columns};
}

static bool is_packed(const ml_companion *c) {
  return c->kind != ML_COMPANION_GEMV && c->state == ML_COMPANION_READY && c->form == ml_packed_form();
}

static ml_companion *find(const ml_tensor *t, ml_companion_kind kind) {
  ml_companion *c = t->companions;
  while (c && c->kind != kind) c = c->next;
  return c;
}

/* t's companion of this kind with room for its form at present; NULL if there is none. */
static ml_companion *with_room(ml_tensor *t, ml_companion_kind kind, size_t floats) {
  ml_companion *c = ml_tensor_companion(t, kind);
  if (!c || is_packed(c)) return c;
  c->state = ML_COMPANION_STALE;
  if (!ml_companion_reserve(c, floats)) return NULL;
  c->form = ml_packed_form();
  return c;
}

/* ---- weights ---- */

static const ml_companion_kind weight_kinds[] = {ML_COMPANION_RIGHT, ML_COMPANION_RIGHT_T};
enum { WEIGHT_KINDS = sizeof weight_kinds / sizeof *weight_kinds };

static void pack_rows(const ml_companion *c, const ml_tensor *w, int64_t begin, int64_t end) {
  const int64_t in = columns_of(w);
  if (c->kind == ML_COMPANION_RIGHT_T) {
    ml_pack_part(c->data, packing_of(w, c->kind), (ml_matrix){w->f32, 1, in}, 0, in, begin, end);
  } else {
    ml_pack_part(c->data, packing_of(w, c->kind), (ml_matrix){w->f32, in, 1}, begin, end, 0, in);
  }
}

typedef struct pack_args {
  const ml_companion *companion;
  const ml_tensor *w;
} pack_args;

static void pack_range(void *ctx, int64_t begin, int64_t end) {
  const pack_args *g = ctx;
  pack_rows(g->companion, g->w, begin, end);
}

const float *ml_packed_weight(ml_tensor *w, ml_companion_kind kind) {
  const size_t floats = ml_packed_floats(packing_of(w, kind));
  ml_companion *c = floats > 0 ? with_room(w, kind, floats) : NULL;
  if (!c) return NULL;
  if (c->state != ML_COMPANION_READY) {
    ml_pool_for(pack_range, &(pack_args){c, w}, rows_of(w), ml_packed_grain());
    c->state = ML_COMPANION_READY;
  }
  return c->data;
}

/* Floats begin..end-1 of w are whole parts of its rows. Forms that did not follow the update are of another version. */
static void refresh_rows(void *ctx, int64_t begin, int64_t end) {
  const ml_tensor *w = ctx;
  const int64_t in = columns_of(w);
  for (int i = 0; i < WEIGHT_KINDS; i++) {
    const ml_companion *c = find(w, weight_kinds[i]);
    if (c && c->version == w->storage->version && is_packed(c)) pack_rows(c, w, begin / in, end / in);
  }
}

bool ml_packed_weight_update(ml_tensor *w, ml_refresh *refresh) {
  const uint32_t before = w->storage->version;
  bool follows = false;
  ml_tensor_changed(w);
  for (int i = 0; i < WEIGHT_KINDS; i++) {
    ml_companion *c = find(w, weight_kinds[i]);
    if (!c || c->version != before || !is_packed(c)) continue;
    c->version = w->storage->version;
    follows = true;
  }
  if (follows) *refresh = (ml_refresh){refresh_rows, w, ml_packed_grain() * columns_of(w)};
  return follows;
}

/* ---- activations ---- */

const float *ml_packed_value(ml_tensor *x, ml_companion_kind kind) {
  const ml_companion *c = find(x, kind);
  return c && c->version == x->storage->version && is_packed(c) ? c->data : NULL;
}

static float *room_for(ml_tensor *y, ml_companion_kind kind) {
  const size_t floats = ml_packed_floats(packing_of(y, kind));
  ml_companion *c = floats > 0 ? with_room(y, kind, floats) : NULL;
  if (!c) return NULL;
  c->state = ML_COMPANION_READY;
  return c->data;
}

void ml_packed_result(ml_tensor *y, bool left, bool right, ml_kept *kept) {
  if (ml_precision_in_use() == ML_PRECISION_F32 || ml_tensor_count(y) == 0) return;
  if (left) kept->c_left = room_for(y, ML_COMPANION_LEFT);
  if (right) kept->c_right = room_for(y, ML_COMPANION_RIGHT);
}
