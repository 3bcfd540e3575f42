/* Finding, making room for and freeing a tensor's companions. Called by operations and, when a tensor dies or expires,
 * by tensor.c. What a companion holds is its maker's business. */
#include "tensor/companion.h"

#include "base/memory.h"

static ml_companion *find_or_add(ml_tensor *t, ml_companion_kind kind) {
  for (ml_companion *c = t->companions; c; c = c->next)
    if (c->kind == kind) return c;
  ml_companion *c = ml_small_alloc(sizeof *c);
  if (!c) return NULL;
  *c = (ml_companion){.next = t->companions, .kind = kind, .version = t->storage->version};
  t->companions = c;
  return c;
}

ml_companion *ml_tensor_companion(ml_tensor *t, ml_companion_kind kind) {
  ml_companion *c = t->storage ? find_or_add(t, kind) : NULL;
  if (c && c->version != t->storage->version) {
    c->state = ML_COMPANION_STALE;
    c->version = t->storage->version;
    c->uses = 0;
  }
  return c;
}

bool ml_companion_wanted(ml_companion *c, uint32_t n) {
  if (c->uses < n) c->uses++;
  return c->uses >= n;
}

bool ml_companion_reserve(ml_companion *c, size_t floats) {
  size_t bytes;
  if (c->data && c->floats == floats) return true;
  ml_free(c->data);
  c->floats = floats;
  c->data = ml_size_mul(floats, sizeof *c->data, &bytes) ? ml_alloc(bytes) : NULL;
  return c->data != NULL;
}

void ml_tensor_drop_companions(ml_tensor *t) {
  while (t->companions) {
    ml_companion *c = t->companions;
    t->companions = c->next;
    ml_free(c->data);
    ml_small_free(c, sizeof *c);
  }
}
