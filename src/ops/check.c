/* Checks and small sums over shapes that several operations share. Called from their shape functions only. */
#include "ops/op.h"

ml_status ml_check_f32(const ml_op *op, const ml_call *c, ml_error *err) {
  for (int i = 0; i < c->inputs; i++)
    if (c->in[i]->dtype != ML_F32)
      return ml_fail(err, ML_MISUSE, "%s: input %d must be f32, it is %s; convert it with :to(\"f32\")", op->name,
                     i + 1, ml_dtype_name(c->in[i]->dtype));
  return ML_OK;
}

ml_status ml_check_dim(const ml_op *op, const ml_shape *shape, int dim, ml_error *err) {
  if (dim >= 0 && dim < shape->ndim) return ML_OK;
  if (shape->ndim == 0) return ml_fail(err, ML_MISUSE, "%s: a scalar has no dimensions", op->name);
  return ml_fail(err, ML_MISUSE, "%s: expected a dimension from 1 to %d of a tensor of %s, received %lld", op->name,
                 shape->ndim, ML_SHAPE_WORDS(shape), (long long)dim + 1);
}

ml_status ml_check_labels(const ml_op *op, const ml_tensor *t, int64_t n, int64_t classes, ml_error *err) {
  for (int64_t i = 0; i < n; i++) {
    int64_t label = t->dtype == ML_U8 ? t->u8[i] : t->i32[i];
    if (label < 0 || label >= classes)
      return ml_fail(err, ML_MISUSE, "%s: sample %lld has the label %lld, expected 0 to %lld", op->name,
                     (long long)i + 1, (long long)label, (long long)classes - 1);
  }
  return ML_OK;
}

ml_status ml_check_scores(const ml_op *op, const ml_call *c, const char *what, ml_error *err) {
  const ml_tensor *x = c->in[0];
  if (x->dtype == ML_F32 && x->shape.ndim == 2) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: expected f32 %s of samples x classes, received %s %s", op->name, what,
                 ml_dtype_name(x->dtype), ML_SHAPE_WORDS(&x->shape));
}

ml_status ml_check_scores_and_labels(const ml_op *op, const ml_call *c, const char *what, ml_error *err) {
  const ml_tensor *x = c->in[0], *t = c->in[1];
  if (ml_check_scores(op, c, what, err) != ML_OK) return ML_MISUSE;
  const int64_t n = x->shape.size[0];
  if (t->dtype != ML_F32 && t->shape.ndim == 1 && t->shape.size[0] == n) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: for %s of %s expected %lld labels (i32 or u8), received %s %s", op->name, what,
                 ML_SHAPE_WORDS(&x->shape), (long long)n, ml_dtype_name(t->dtype), ML_SHAPE_WORDS(&t->shape));
}

ml_status ml_check_class_weight(const ml_op *op, const ml_call *c, ml_error *err) {
  const ml_tensor *w = c->in[2];
  const int64_t classes = c->in[0]->shape.size[1];
  if (w->dtype == ML_F32 && ml_shape_equal(&w->shape, &(ml_shape){1, {classes}})) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: expected an f32 weight of %lld, one per class, received %s %s", op->name,
                 (long long)classes, ml_dtype_name(w->dtype), ML_SHAPE_WORDS(&w->shape));
}

ml_status ml_check_constants(const ml_op *op, const ml_call *c, ml_error *err) {
  for (int i = 1; i < c->inputs; i++)
    if (c->in[i]->requires_grad)
      return ml_fail(err, ML_MISUSE, "%s: the %s requires a gradient but gets none; use its :detach()", op->name,
                     i == 1 ? "target" : "weight");
  return ML_OK;
}

void ml_set_output(ml_call *c, const ml_shape *shape) {
  c->out_dtype = ML_F32;
  c->out_shape = *shape;
  c->out_is_view = false;
  c->view_offset = 0;
  c->saved_floats = 0;
  c->scratch_floats = 0;
}

void ml_want_scratch(ml_call *c, size_t floats) {
  if (floats > c->scratch_floats) c->scratch_floats = floats;
}

void ml_split_dims(const ml_shape *shape, int dim, int64_t *outer, int64_t *n, int64_t *inner) {
  *outer = *inner = 1;
  *n = shape->size[dim];
  for (int d = 0; d < dim; d++) *outer *= shape->size[d];
  for (int d = dim + 1; d < shape->ndim; d++) *inner *= shape->size[d];
}
