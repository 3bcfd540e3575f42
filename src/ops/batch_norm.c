/* batch_norm: y = (x - mean) / sqrt(var + eps) weight + bias for each channel of x [n, c, ...]; weight and bias [c] are
 * both there or both not. batch_norm_relu: max(y, 0), the same numbers as relu afterwards without the walk over y in
 * between. batch_norm_relu_halve: of that the greatest of 2x2 windows, as max_pool2d. nn.Sequential calls both.
 *
 * attrs.norm: in training mean and (biased) variance are those of the batch, and the running ones, if any, move towards
 * them by momentum (the variance unbiased); else mean and variance are the running ones. A gradient never depends on
 * the running tensors: what it needs is saved. Ioffe and Szegedy 2015, "Batch normalization". */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/norm.h"
#include "kernels/pooling.h"
#include "ops/ops.h"

static ml_norm norm_of(const ml_call *c, bool relu) {
  const ml_shape *x = &c->in[0]->shape;
  ml_norm g = {.n = x->size[0], .c = x->size[1], .inner = 1, .groups = 1, .relu = relu};
  for (int d = 2; d < x->ndim; d++) g.inner *= x->size[d];
  if (c->inputs == 3) {
    g.weight = c->in[1]->f32;
    g.bias = c->in[2]->f32;
  }
  return g;
}

static ml_status check_channels(const ml_tensor *t, const char *what, int64_t channels, ml_error *err) {
  if (t->storage && t->dtype == ML_F32 && ml_shape_equal(&t->shape, &(ml_shape){1, {channels}})) return ML_OK;
  return ml_fail(err, ML_MISUSE, "batch_norm: expected a %s of f32 %lld, one per channel, received %s %s", what,
                 (long long)channels, ml_dtype_name(t->dtype), ML_SHAPE_WORDS(&t->shape));
}

static ml_status check_running(const ml_call *c, int64_t channels, ml_error *err) {
  ml_tensor *mean = c->attrs.norm.running_mean, *var = c->attrs.norm.running_var;
  if (!mean != !var) return ml_fail(err, ML_MISUSE, "batch_norm: a running mean and variance go together");
  if (!mean && !c->attrs.norm.training)
    return ml_fail(err, ML_MISUSE, "batch_norm: expected a running mean and variance outside training");
  if (!mean) return ML_OK;
  if (check_channels(mean, "running mean", channels, err) != ML_OK) return ML_MISUSE;
  return check_channels(var, "running variance", channels, err);
}

static ml_status check_attrs(const ml_call *c, ml_error *err) {
  double eps = c->attrs.norm.eps, momentum = c->attrs.norm.momentum;
  if (!(eps >= 0.0 && eps <= 1e30))
    return ml_fail(err, ML_MISUSE, "batch_norm: expected an eps >= 0, received %g", eps);
  if (!(momentum >= 0.0 && momentum <= 1.0))
    return ml_fail(err, ML_MISUSE, "batch_norm: expected a momentum of 0 to 1, received %g", momentum);
  return ML_OK;
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  if (ml_check_f32(op, c, err) != ML_OK || check_attrs(c, err) != ML_OK) return ML_MISUSE;
  if (x->ndim < 2)
    return ml_fail(err, ML_MISUSE, "batch_norm: expected an input of n x c or more, received %s", ML_SHAPE_WORDS(x));
  if (c->inputs == 2) return ml_fail(err, ML_MISUSE, "batch_norm: a weight and a bias go together");
  int64_t channels = x->size[1];
  if (c->inputs == 3 && (check_channels(c->in[1], "weight", channels, err) != ML_OK ||
                         check_channels(c->in[2], "bias", channels, err) != ML_OK))
    return ML_MISUSE;
  if (check_running(c, channels, err) != ML_OK) return ML_MISUSE;
  if (c->attrs.norm.training && channels > 0 && ml_shape_count(x) / channels < 2)
    return ml_fail(err, ML_MISUSE, "batch_norm: expected more than 1 value per channel in training, received %s",
                   ML_SHAPE_WORDS(x));
  ml_set_output(c, x);
  c->saved_floats = 2 * (size_t)channels;      /* mean, then rstd */
  ml_want_scratch(c, (size_t)channels);        /* variance */
  return ML_OK;
}

static ml_status batch_norm_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_batch_norm, c, err); }
static ml_status batch_norm_relu_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_batch_norm_relu, c, err); }

/* running += momentum (now - running) */
static void move(ml_tensor *running, const float *now, double momentum, double factor) {
  float *r = running->f32;
  for (int64_t i = 0; i < ml_tensor_count(running); i++)
    r[i] = (float)((1.0 - momentum) * (double)r[i] + momentum * factor * (double)now[i]);
  ml_tensor_changed(running);
}

/* y from the batch, or by the running statistics. */
static void normalise(ml_call *c, float *y, const ml_norm *g) {
  float *mean = c->saved, *rstd = mean + g->c, *var = c->scratch;
  ml_tensor *running_mean = c->attrs.norm.running_mean, *running_var = c->attrs.norm.running_var;
  const double eps = c->attrs.norm.eps, momentum = c->attrs.norm.momentum, count = (double)(g->n * g->inner);
  if (c->attrs.norm.training) {
    ml_batch_norm_forward(y, mean, rstd, var, c->in[0]->f32, g, eps);
    if (running_mean) move(running_mean, mean, momentum, 1.0);
    if (running_var) move(running_var, var, momentum, count / (count - 1.0));
  } else {
    ml_copy(mean, running_mean->f32, g->c);
    for (int64_t i = 0; i < g->c; i++) rstd[i] = (float)(1.0 / sqrt((double)running_var->f32[i] + eps));
    ml_batch_norm_apply(y, c->in[0]->f32, mean, rstd, g);
  }
  c->attrs.norm.running_mean = c->attrs.norm.running_var = NULL;   /* a record does not hold them */
}

static void batch_norm_forward(ml_call *c) {
  const ml_norm g = norm_of(c, false);
  normalise(c, c->out->f32, &g);
}

static void batch_norm_relu_forward(ml_call *c) {
  const ml_norm g = norm_of(c, true);
  normalise(c, c->out->f32, &g);
}

static void backward(const ml_call *c, const float *dout, float *const din[], const ml_norm *g) {
  float *dw = c->inputs == 3 ? din[1] : NULL, *db = c->inputs == 3 ? din[2] : NULL;
  ml_batch_norm_backward(din[0], dw, db, dout, c->in[0]->f32, c->saved, c->saved + g->c, g, !c->attrs.norm.training);
}

static void batch_norm_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_norm g = norm_of(c, false);
  backward(c, dout, din, &g);
}

static void batch_norm_relu_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_norm g = norm_of(c, true);
  backward(c, dout, din, &g);
}

const ml_op ml_op_batch_norm = {
    "batch_norm", 1, 3, batch_norm_shape, batch_norm_forward, batch_norm_backward,
    {ML_READS(0) | ML_READS(1), ML_READS(0), 0}};

/* Where ReLU bends is computed again from x, weight and bias. */
#define READS_ALL (ML_READS(0) | ML_READS(1) | ML_READS(2))
const ml_op ml_op_batch_norm_relu = {
    "batch_norm_relu", 1, 3, batch_norm_relu_shape, batch_norm_relu_forward, batch_norm_relu_backward,
    {READS_ALL, READS_ALL, READS_ALL}};

/* ---- halved ---- */

/* In c->saved: mean, rstd, and the places of the elements that are left, one int32_t each. */
static ml_norm_halving halving_of(const ml_call *c) {
  const ml_shape *x = &c->in[0]->shape;
  return (ml_norm_halving){.h = x->size[2], .w = x->size[3], .index = (int32_t *)(c->saved + 2 * x->size[1])};
}

static ml_pooling2d pooling_of(const ml_shape *x) {
  return (ml_pooling2d){.planes = x->size[0] * x->size[1], .h = x->size[2], .w = x->size[3],
                        .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2};
}

/* Planes that are larger lie in memory between the two steps, in the scratch. */
static bool at_once(const ml_shape *x) { return x->size[2] * x->size[3] <= ML_NORM_HALVED; }

static ml_status halve_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  if (shape_of(&ml_op_batch_norm_relu_halve, c, err) != ML_OK) return ML_MISUSE;
  if (x->ndim != 4 || x->size[2] < 2 || x->size[3] < 2 || x->size[2] > INT32_MAX / x->size[3])
    return ml_fail(err, ML_MISUSE, "batch_norm_relu_halve: expected images of 2x2 or more, n x c x h x w, received %s",
                   ML_SHAPE_WORDS(x));
  const ml_shape out = {4, {x->size[0], x->size[1], x->size[2] / 2, x->size[3] / 2}};
  const size_t saved = c->saved_floats + (size_t)ml_shape_count(&out);
  const size_t between = at_once(x) ? 0 : (size_t)ml_shape_count(x);
  ml_set_output(c, &out);
  c->saved_floats = saved;
  ml_want_scratch(c, (size_t)x->size[1] + between);
  return ML_OK;
}

static void halve_forward(ml_call *c) {
  const ml_shape *x = &c->in[0]->shape;
  const ml_norm_halving halving = halving_of(c);
  const ml_pooling2d pooling = pooling_of(x);
  ml_norm g = norm_of(c, true);
  float *between = c->scratch + g.c;
  if (at_once(x)) g.halving = &halving;
  normalise(c, at_once(x) ? c->out->f32 : between, &g);
  if (!at_once(x)) ml_maxpool2d_forward(c->out->f32, halving.index, between, &pooling);
}

static void halve_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_shape *x = &c->in[0]->shape;
  const ml_norm_halving halving = halving_of(c);
  const ml_pooling2d pooling = pooling_of(x);
  ml_norm g = norm_of(c, true);
  float *between = c->scratch + g.c;
  if (at_once(x)) {
    g.halving = &halving;
  } else {
    ml_maxpool2d_dx(between, dout, halving.index, &pooling);
  }
  backward(c, at_once(x) ? dout : between, din, &g);
}

const ml_op ml_op_batch_norm_relu_halve = {
    "batch_norm_relu_halve", 1, 3, halve_shape, halve_forward, halve_backward, {READS_ALL, READS_ALL, READS_ALL}};
