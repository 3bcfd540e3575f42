/* Running and recording operations. src/bind and the tests call ml_apply; the records are walked by backward.c and
 * taken back by step.c. Every allocation of a call is made before its forward runs, so a call either happens entirely
 * or leaves nothing behind. */
#include "ops/tape.h"

#include "base/memory.h"
#include "ops/node.h"

static bool recording = true;
static uint64_t last_sequence;

bool ml_recording(void) { return recording; }

bool ml_set_recording(bool on) {
  bool before = recording;
  recording = on;
  return before;
}

/* ---- records ---- */

void ml_record_clear(ml_record *r) {
  ml_free(r->call.saved);
  r->call.saved = NULL;
  int inputs = r->call.inputs;
  r->call.inputs = 0;
  for (int i = 0; i < inputs; i++) ml_tensor_unref(r->call.in[i]);
}

/* Giving back a record's inputs may release their records in turn. Those only join the list; the outermost call works
 * it off, so the stack stays flat. */
static void release(ml_node *node) {
  static ml_record *waiting;
  static bool working;
  ml_record *r = (ml_record *)node;
  r->next = waiting;
  waiting = r;
  if (working) return;
  working = true;
  while (waiting) {
    r = waiting;
    waiting = r->next;
    ml_record_clear(r);
    ml_free(r->grad);
    ml_small_free(r, sizeof *r);
  }
  working = false;
}

void ml_record_drop(ml_tensor *t) {
  ml_node *node = t->node;
  t->node = NULL;
  if (node) node->release(node);
}

ml_status ml_alloc_floats(float **out, size_t floats, const ml_op *op, ml_error *err) {
  *out = NULL;
  if (floats == 0) return ML_OK;
  size_t bytes;
  if (ml_size_mul(floats, sizeof(float), &bytes)) *out = ml_alloc(bytes);
  if (*out) return ML_OK;
  return ml_fail(err, ML_NOMEM, "%s: out of memory: %zu floats of workspace", op->name, floats);
}

/* ---- one call ---- */

static ml_status check_inputs(const ml_op *op, ml_tensor *const *inputs, int count, ml_error *err) {
  if (count < op->min_inputs || count > op->max_inputs) {
    if (op->min_inputs == op->max_inputs)
      return ml_fail(err, ML_MISUSE, "%s: expected %d input%s, received %d", op->name, op->min_inputs,
                     op->min_inputs == 1 ? "" : "s", count);
    return ml_fail(err, ML_MISUSE, "%s: expected %d to %d inputs, received %d", op->name, op->min_inputs,
                   op->max_inputs, count);
  }
  for (int i = 0; i < count; i++)
    if (!inputs[i]->storage)
      return ml_fail(err, ML_MISUSE,
                     "%s: input %d was computed in an earlier step and has expired; keep it with :clone() or :item()",
                     op->name, i + 1);
  return ML_OK;
}

static ml_status begin_call(ml_call *c, const ml_op *op, ml_tensor *const *inputs, int count, const ml_attrs *attrs,
                            ml_error *err) {
  ml_status status = check_inputs(op, inputs, count, err);
  if (status != ML_OK) return status;
  *c = (ml_call){.inputs = count};
  if (attrs) c->attrs = *attrs;
  for (int i = 0; i < count; i++) c->in[i] = inputs[i];
  return op->shape(c, err);
}

/* The inputs that want a gradient, as bits; 0 if the call need not be recorded. */
static uint32_t wanted(const ml_op *op, const ml_call *c) {
  uint32_t wants = 0;
  if (!recording || !op->backward || c->out_dtype != ML_F32) return 0;
  for (int i = 0; i < c->inputs; i++)
    if (c->in[i]->requires_grad && c->in[i]->dtype == ML_F32) wants |= 1u << i;
  return wants;
}

static ml_tensor *make_output(ml_call *c, const ml_op *op, ml_error *err) {
  ml_tensor *out = c->out_is_view ? ml_tensor_view(c->in[0], &c->out_shape, c->view_offset, err)
                                  : ml_tensor_new(c->out_dtype, &c->out_shape, err);
  if (!out) ml_error_prefix(err, "%s", op->name);
  return out;
}

/* Everything that a call allocates; *r is left NULL if it is not to be recorded. */
static ml_status prepare(ml_call *c, ml_record **r, bool record, const ml_op *op, ml_error *err) {
  *r = NULL;
  if (ml_step_reserve(err) != ML_OK) return ML_NOMEM;
  c->out = make_output(c, op, err);
  if (!c->out) return err ? err->status : ML_NOMEM;
  if (ml_alloc_floats(&c->saved, c->saved_floats, op, err) != ML_OK) goto fail;
  if (ml_alloc_floats(&c->scratch, c->scratch_floats, op, err) != ML_OK) goto fail;
  if (!record) return ML_OK;
  *r = ml_small_alloc(sizeof **r);
  if (*r) return ML_OK;
  ml_fail(err, ML_NOMEM, "%s: out of memory: a record of the call", op->name);
fail:
  ml_free(c->scratch);
  ml_free(c->saved);
  ml_tensor_unref(c->out);
  return ML_NOMEM;
}

/* Hands the call over to its record, and the record to the output. */
static void record_call(ml_record *r, const ml_op *op, const ml_call *c, uint32_t wants) {
  *r = (ml_record){.node = {release}, .op = op, .call = *c, .wants = wants, .sequence = ++last_sequence};
  for (int i = 0; i < c->inputs; i++) r->versions[i] = ml_tensor_ref(c->in[i])->storage->version;
  r->versions[ML_OP_MAX_INPUTS] = c->out->storage->version;
  c->out->node = &r->node;
  c->out->requires_grad = true;
}

ml_tensor *ml_apply(const ml_op *op, ml_tensor *const *inputs, int count, const ml_attrs *attrs, ml_error *err) {
  ml_call c;
  ml_record *r;
  if (begin_call(&c, op, inputs, count, attrs, err) != ML_OK) return NULL;
  uint32_t wants = wanted(op, &c);
  if (prepare(&c, &r, wants != 0, op, err) != ML_OK) return NULL;
  if (!c.out_is_view) op->forward(&c);
  ml_free(c.scratch);
  c.scratch = NULL;
  if (r)
    record_call(r, op, &c, wants);
  else
    ml_free(c.saved);
  /* A view keeps its base's storage alive, so it goes when its base goes. */
  if (r || (c.out_is_view && c.in[0]->expires)) ml_step_add(c.out);
  return c.out;
}
