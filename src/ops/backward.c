/* The backward pass: finds the records that a loss was computed through, and runs their backward functions from the
 * last recorded to the first. That order is topological, because a result's sequence number is greater than those of
 * its inputs; it is also what makes sums of gradients the same in every run.
 *
 * A gradient of a computed value lives from its first contribution until its record is done. Out of memory on the way
 * ends the pass: the graph counts as used, nothing leaks, and leaves keep what had been added to them. */
#include "base/memory.h"
#include "kernels/kernels.h"
#include "ops/node.h"

static uint64_t last_pass;

typedef struct ml_record_list {
  ml_record **items; /* one reference to each record's call.out */
  size_t count, room;
} ml_record_list;

static ml_status list_add(ml_record_list *list, ml_record *r, ml_error *err) {
  if (list->count == list->room) {
    size_t room = list->room ? list->room * 2 : 64;
    ml_record **items = ml_alloc(room * sizeof *items);
    if (!items) return ml_fail(err, ML_NOMEM, "backward: out of memory: a list of %zu operations", room);
    for (size_t i = 0; i < list->count; i++) items[i] = list->items[i];
    ml_free(list->items);
    list->items = items;
    list->room = room;
  }
  ml_tensor_ref(r->call.out);
  list->items[list->count++] = r;
  return ML_OK;
}

/* ---- which records ---- */

/* What r's backward will read must be what its forward saw. */
static ml_status check_versions(const ml_record *r, ml_error *err) {
  const ml_call *c = &r->call;
  uint32_t reads = 0;
  for (int i = 0; i < c->inputs; i++)
    if (r->wants >> i & 1) reads |= r->op->reads[i];
  for (int i = 0; i < c->inputs; i++)
    if (reads & ML_READS(i) && c->in[i]->storage->version != r->versions[i])
      return ml_fail(err, ML_MISUSE,
                     "input %d of %s was changed in place after it was used; its gradient would be wrong (change it "
                     "after the backward pass, or use a :clone())",
                     i + 1, r->op->name);
  if (reads & ML_READS_OUT && c->out->storage->version != r->versions[ML_OP_MAX_INPUTS])
    return ml_fail(err, ML_MISUSE,
                   "the result of %s was changed in place; its gradient would be wrong (change it after the backward "
                   "pass, or use a :clone())",
                   r->op->name);
  return ML_OK;
}

static ml_status check_record(const ml_record *r, ml_error *err) {
  if (r->used)
    return ml_fail(err, ML_MISUSE,
                   "backward: the result of %s has already been through a backward pass; compute it again",
                   r->op->name);
  for (int i = 0; i < r->call.inputs; i++)
    if (!r->call.in[i]->storage)
      return ml_fail(err, ML_MISUSE, "backward: input %d of %s was computed in an earlier step and has expired", i + 1,
                     r->op->name);
  ml_status status = check_versions(r, err);
  if (status != ML_OK) ml_error_prefix(err, "backward");
  return status;
}

/* Breadth first from the loss; the list is its own queue. */
static ml_status collect(ml_record_list *list, ml_record *loss, ml_error *err) {
  uint64_t pass = ++last_pass;
  loss->pass = pass;
  ml_status status = list_add(list, loss, err);
  for (size_t at = 0; at < list->count && status == ML_OK; at++) {
    const ml_record *r = list->items[at];
    status = check_record(r, err);
    for (int i = 0; i < r->call.inputs && status == ML_OK; i++) {
      ml_record *from = r->wants >> i & 1 ? ml_record_of(r->call.in[i]) : NULL;
      if (!from || from->pass == pass) continue;
      from->pass = pass;
      status = list_add(list, from, err);
    }
  }
  return status;
}

static void sift_down(ml_record **heap, size_t at, size_t count) {
  ml_record *r = heap[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && heap[child + 1]->sequence > heap[child]->sequence) child++;
    if (heap[child]->sequence < r->sequence) break;
    heap[at] = heap[child];
  }
  heap[at] = r;
}

/* Heapsort, ascending: no memory, and no bad case. */
static void sort_by_sequence(ml_record **items, size_t count) {
  for (size_t at = count / 2; at-- > 0;) sift_down(items, at, count);
  for (size_t end = count; end-- > 1;) {
    ml_record *last = items[0];
    items[0] = items[end];
    items[end] = last;
    sift_down(items, 0, end);
  }
}

/* ---- one record ---- */

/* Where the gradient of an input is written: straight into place if this is the first contribution (`fresh`), into a
 * block of its own, to be added, if not. */
typedef struct ml_target {
  float *data;
  bool fresh;
} ml_target;

static float *gradient_of(const ml_tensor *t) {
  if (t->node) return ml_record_of(t)->grad;
  return t->grad ? t->grad->f32 : NULL;
}

static ml_status open_target(ml_target *target, ml_tensor *t, const ml_op *op, ml_error *err) {
  size_t floats = (size_t)ml_tensor_count(t);
  target->fresh = !gradient_of(t);
  if (target->fresh && !t->node) {
    t->grad = ml_tensor_new(ML_F32, &t->shape, err);
    if (!t->grad) {
      ml_error_prefix(err, "%s", op->name);
      return ML_NOMEM;
    }
    target->data = t->grad->f32;
    return ML_OK;
  }
  ml_status status = ml_alloc_floats(&target->data, floats ? floats : 1, op, err);
  if (status != ML_OK) return status;
  if (target->fresh) ml_record_of(t)->grad = target->data;
  return ML_OK;
}

/* After a failure: a fresh gradient of a leaf holds nothing yet. (A record's is freed with the pass.) */
static void abandon_target(const ml_target *target, ml_tensor *t) {
  if (!target->fresh) {
    ml_free(target->data);
  } else if (!t->node) {
    ml_tensor_unref(t->grad);
    t->grad = NULL;
  }
}

static void close_target(const ml_target *target, const ml_tensor *t) {
  if (target->fresh) return;
  ml_axpy(gradient_of(t), target->data, ml_tensor_count(t), 1.0f);
  if (!t->node) ml_tensor_changed(t->grad);
  ml_free(target->data);
}

static ml_status propagate(ml_record *r, ml_error *err) {
  ml_call *c = &r->call;
  ml_target targets[ML_OP_MAX_INPUTS];
  float *din[ML_OP_MAX_INPUTS] = {NULL};
  ml_status status = check_versions(r, err); /* once more: an input may be a leaf's gradient, which this pass changes */
  if (status == ML_OK) status = ml_alloc_floats(&c->scratch, c->scratch_floats, r->op, err);
  if (status != ML_OK) return status;
  for (int i = 0; i < c->inputs && status == ML_OK; i++) {
    if (!(r->wants >> i & 1)) continue;
    status = open_target(&targets[i], c->in[i], r->op, err);
    if (status == ML_OK) din[i] = targets[i].data;
  }
  if (status == ML_OK) r->op->backward(c, r->grad, din);
  for (int i = 0; i < c->inputs; i++) {
    if (!din[i]) continue;
    if (status == ML_OK)
      close_target(&targets[i], c->in[i]);
    else
      abandon_target(&targets[i], c->in[i]);
  }
  ml_free(c->scratch);
  c->scratch = NULL;
  return status;
}

/* ---- the pass ---- */

static ml_status check_loss(const ml_tensor *loss, ml_error *err) {
  if (!loss->storage)
    return ml_fail(err, ML_MISUSE, "backward: the loss was computed in an earlier step and has expired");
  if (ml_tensor_count(loss) != 1)
    return ml_fail(err, ML_MISUSE, "backward: the loss must have one element, not %s; reduce it with :sum() or :mean()",
                   ML_SHAPE_WORDS(&loss->shape));
  if (!loss->node)
    return ml_fail(err, ML_MISUSE,
                   "backward: the loss was not recorded: nothing that it was computed from requires a gradient, or "
                   "recording was off");
  return ML_OK;
}

/* Gives back what r held, and with its output's reference perhaps r itself. */
static void finish_record(ml_record *r) {
  ml_free(r->grad);
  r->grad = NULL;
  r->used = true;
  ml_record_clear(r);
  ml_tensor_unref(r->call.out);
}

static ml_status walk(ml_record_list *list, float seed, ml_error *err) {
  ml_record *last = list->items[list->count - 1];
  ml_status status = ml_alloc_floats(&last->grad, 1, last->op, err);
  if (status == ML_OK) last->grad[0] = seed;
  while (list->count > 0) {
    ml_record *r = list->items[--list->count];
    if (status == ML_OK) status = propagate(r, err);
    finish_record(r);
  }
  if (status != ML_OK) ml_error_prefix(err, "backward");
  return status;
}

ml_status ml_backward(ml_tensor *loss, float seed, ml_error *err) {
  ml_record_list list = {0};
  ml_status status = check_loss(loss, err);
  if (status != ML_OK) return status;
  status = collect(&list, ml_record_of(loss), err);
  if (status == ML_OK) {
    sort_by_sequence(list.items, list.count);
    status = walk(&list, seed, err);
  }
  while (list.count > 0) ml_tensor_unref(list.items[--list.count]->call.out);
  ml_free(list.items);
  return status;
}
