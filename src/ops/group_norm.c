/* group_norm: x [n, c, ...] is normalised sample by sample, over each of attrs.norm.size groups of channels; weight and
 * bias are [c]. layer_norm: over the last attrs.norm.size dimensions; weight and bias have their shape. In both
 * y = (x - mean) / sqrt(var + eps) weight + bias with the biased variance; weight and bias are both there or both not.
 * Wu and He 2018, "Group normalization"; Ba, Kiros and Hinton 2016, "Layer normalization". */
#include "kernels/norm.h"
#include "ops/ops.h"

static bool is_layer_norm(const ml_op *op) { return op == &ml_op_layer_norm; }

/* Dimensions that weight and bias have: x's from `first` on, `count` of them. */
static ml_shape parameter_shape(const ml_op *op, const ml_shape *x, int64_t size) {
  int first = is_layer_norm(op) ? x->ndim - (int)size : 1, count = is_layer_norm(op) ? (int)size : 1;
  ml_shape shape = {.ndim = count};
  for (int d = 0; d < count; d++) shape.size[d] = x->size[first + d];
  return shape;
}

static ml_norm norm_of(const ml_op *op, const ml_call *c) {
  const ml_shape *x = &c->in[0]->shape;
  ml_norm g = {.n = 1, .c = 1, .inner = 1, .groups = 1};
  if (is_layer_norm(op)) {
    for (int d = 0; d < x->ndim; d++) *(d < x->ndim - (int)c->attrs.norm.size ? &g.n : &g.c) *= x->size[d];
  } else {
    g.n = x->size[0];
    g.c = x->size[1];
    g.groups = c->attrs.norm.size;
    for (int d = 2; d < x->ndim; d++) g.inner *= x->size[d];
  }
  if (c->inputs == 3) {
    g.weight = c->in[1]->f32;
    g.bias = c->in[2]->f32;
  }
  return g;
}

static ml_status check_parameters(const ml_op *op, const ml_call *c, ml_error *err) {
  if (c->inputs == 2) return ml_fail(err, ML_MISUSE, "%s: a weight and a bias go together", op->name);
  ml_shape shape = parameter_shape(op, &c->in[0]->shape, c->attrs.norm.size);
  for (int i = 1; i < c->inputs; i++)
    if (!ml_shape_equal(&c->in[i]->shape, &shape))
      return ml_fail(err, ML_MISUSE, "%s: expected a %s of %s, received %s", op->name, i == 1 ? "weight" : "bias",
                     ML_SHAPE_WORDS(&shape), ML_SHAPE_WORDS(&c->in[i]->shape));
  return ML_OK;
}

static ml_status check_size(const ml_op *op, const ml_shape *x, int64_t size, ml_error *err) {
  if (is_layer_norm(op)) {
    if (size >= 1 && size <= x->ndim) return ML_OK;
    return ml_fail(err, ML_MISUSE, "layer_norm: expected 1 to %d dimensions of %s, received %lld", x->ndim,
                   ML_SHAPE_WORDS(x), (long long)size);
  }
  if (x->ndim < 2)
    return ml_fail(err, ML_MISUSE, "group_norm: expected an input of n x c or more, received %s", ML_SHAPE_WORDS(x));
  if (size < 1 || x->size[1] % size != 0)
    return ml_fail(err, ML_MISUSE, "group_norm: %lld groups do not divide the %lld channels of %s", (long long)size,
                   (long long)x->size[1], ML_SHAPE_WORDS(x));
  return ML_OK;
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  double eps = c->attrs.norm.eps;
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (!(eps >= 0.0 && eps <= 1e30))
    return ml_fail(err, ML_MISUSE, "%s: expected an eps >= 0, received %g", op->name, eps);
  if (check_size(op, x, c->attrs.norm.size, err) != ML_OK) return ML_MISUSE;
  if (check_parameters(op, c, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, x);
  ml_norm g = norm_of(op, c);
  c->saved_floats = 2 * (size_t)(g.n * g.groups);      /* mean, then rstd */
  ml_want_scratch(c, ml_group_norm_workspace(&g));
  return ML_OK;
}

static void forward(const ml_op *op, ml_call *c) {
  const ml_norm g = norm_of(op, c);
  ml_group_norm_forward(c->out->f32, c->saved, c->saved + g.n * g.groups, c->in[0]->f32, &g, c->attrs.norm.eps);
}

static void backward(const ml_op *op, const ml_call *c, const float *dout, float *const din[]) {
  const ml_norm g = norm_of(op, c);
  float *dw = c->inputs == 3 ? din[1] : NULL, *db = c->inputs == 3 ? din[2] : NULL;
  ml_group_norm_backward(din[0], dw, db, dout, c->in[0]->f32, c->saved, c->saved + g.n * g.groups, &g, c->scratch);
}

#define NORM(op)                                                                                                       \
  static ml_status op##_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_##op, c, err); }                     \
  static void op##_forward(ml_call *c) { forward(&ml_op_##op, c); }                                                    \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    backward(&ml_op_##op, c, dout, din);                                                                               \
  }                                                                                                                    \
  const ml_op ml_op_##op = {                                                                                           \
      #op, 1, 3, op##_shape, op##_forward, op##_backward, {ML_READS(0) | ML_READS(1), ML_READS(0), 0}}

NORM(group_norm);
NORM(layer_norm);
