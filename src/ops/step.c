/* Training steps: what a step recorded is given back when the next one begins, whatever a script still refers to. The
 * list's memory is kept from step to step, so that a step in the steady state allocates nothing here. */
#include <string.h>

#include "base/memory.h"
#include "ops/node.h"

static struct {
  bool under_way;
  ml_tensor **items; /* one reference each */
  size_t count, room;
} step;

ml_status ml_step_reserve(ml_error *err) {
  if (!step.under_way || step.count < step.room) return ML_OK;
  size_t room = step.room ? step.room * 2 : 256;
  ml_tensor **items = ml_alloc(room * sizeof *items);
  if (!items) return ml_fail(err, ML_NOMEM, "out of memory: the list of a step's %zu results", step.count);
  if (step.count) memcpy(items, step.items, step.count * sizeof *items);
  ml_free(step.items);
  step.items = items;
  step.room = room;
  return ML_OK;
}

void ml_step_add(ml_tensor *t) {
  if (!step.under_way || t->expires) return;
  t->expires = true;
  step.items[step.count++] = ml_tensor_ref(t);
}

ml_status ml_step_adopt(ml_tensor *t, ml_error *err) {
  ml_status status = ml_step_reserve(err);
  if (status == ML_OK) ml_step_add(t);
  return status;
}

static void expire_all(void) {
  size_t count = step.count;
  step.count = 0;
  for (size_t i = 0; i < count; i++) {
    ml_tensor *t = step.items[i];
    ml_tensor_expire(t);
    ml_record_drop(t);
    ml_tensor_unref(t);
  }
}

void ml_step_begin(void) {
  expire_all();
  step.under_way = true;
}

void ml_step_end(void) {
  expire_all();
  step.under_way = false;
  ml_free(step.items);
  step.items = NULL;
  step.room = 0;
}
