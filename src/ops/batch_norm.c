/* batch_norm: y = (x - mean) / sqrt(var + eps) weight + bias for each channel of x [n, c, ...]; weight and bias [c] are
 * both there or both not. batch_norm_relu: max(y, 0), the same numbers as relu afterwards without the walk over y in
 * between; nn.Sequential calls it.
 *
 * attrs.norm: in training mean and (biased) variance are those of the batch, and the running ones, if any, move towards
 * them by momentum (the variance unbiased); else mean and variance are the running ones. A gradient never depends on
 * the running tensors: what it needs is saved. Ioffe and Szegedy 2015, "Batch normalization". */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/norm.h"
#include "ops/ops.h"

static ml_norm norm_of(const ml_call *c, bool relu) {
  const ml_shape *x = &c->out_shape;
  ml_norm g = {.n = x->size[0], .c = x->size[1], .inner = 1, .groups = 1, .relu = relu};
  for (int d = 2; d < x->ndim; d++) g.inner *= x->size[d];
  if (c->inputs == 3) {
    g.weight = c->in[1]->f32;
    g.bias = c->in[2]->f32;
  }
  return g;
}

static ml_status check_channels(const ml_tensor *t, const char *what, int64_t channels, ml_error *err) {
  char text[ML_SHAPE_TEXT];
  if (t->storage && t->dtype == ML_F32 && ml_shape_equal(&t->shape, &(ml_shape){1, {channels}})) return ML_OK;
  return ml_fail(err, ML_MISUSE, "batch_norm: expected a %s of f32 %lld, one per channel, received %s %s", what,
                 (long long)channels, ml_dtype_name(t->dtype), ml_shape_text(text, sizeof text, &t->shape));
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
  char text[ML_SHAPE_TEXT];
  const ml_shape *x = &c->in[0]->shape;
  if (ml_check_f32(op, c, err) != ML_OK || check_attrs(c, err) != ML_OK) return ML_MISUSE;
  ml_shape_text(text, sizeof text, x);
  if (x->ndim < 2) return ml_fail(err, ML_MISUSE, "batch_norm: expected an input of n x c or more, received %s", text);
  if (c->inputs == 2) return ml_fail(err, ML_MISUSE, "batch_norm: a weight and a bias go together");
  int64_t channels = x->size[1];
  if (c->inputs == 3 && (check_channels(c->in[1], "weight", channels, err) != ML_OK ||
                         check_channels(c->in[2], "bias", channels, err) != ML_OK))
    return ML_MISUSE;
  if (check_running(c, channels, err) != ML_OK) return ML_MISUSE;
  if (c->attrs.norm.training && channels > 0 && ml_shape_count(x) / channels < 2)
    return ml_fail(err, ML_MISUSE, "batch_norm: expected more than 1 value per channel in training, received %s", text);
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

static void forward(ml_call *c, bool relu) {
  const ml_norm g = norm_of(c, relu);
  float *mean = c->saved, *rstd = mean + g.c, *var = c->scratch;
  ml_tensor *running_mean = c->attrs.norm.running_mean, *running_var = c->attrs.norm.running_var;
  const double eps = c->attrs.norm.eps, momentum = c->attrs.norm.momentum, count = (double)(g.n * g.inner);
  if (c->attrs.norm.training) {
    ml_batch_norm_forward(c->out->f32, mean, rstd, var, c->in[0]->f32, &g, eps);
    if (running_mean) move(running_mean, mean, momentum, 1.0);
    if (running_var) move(running_var, var, momentum, count / (count - 1.0));
  } else {
    ml_copy(mean, running_mean->f32, g.c);
    for (int64_t i = 0; i < g.c; i++) rstd[i] = (float)(1.0 / sqrt((double)running_var->f32[i] + eps));
    ml_batch_norm_apply(c->out->f32, c->in[0]->f32, mean, rstd, &g);
  }
  c->attrs.norm.running_mean = c->attrs.norm.running_var = NULL;   /* a record does not hold them */
}

static void batch_norm_forward(ml_call *c) { forward(c, false); }
static void batch_norm_relu_forward(ml_call *c) { forward(c, true); }

static void backward(const ml_call *c, const float *dout, float *const din[], bool relu) {
  const ml_norm g = norm_of(c, relu);
  float *dw = c->inputs == 3 ? din[1] : NULL, *db = c->inputs == 3 ? din[2] : NULL;
  ml_batch_norm_backward(din[0], dw, db, dout, c->in[0]->f32, c->saved, c->saved + g.c, &g, !c->attrs.norm.training);
}

static void batch_norm_backward(ml_call *c, const float *dout, float *const din[]) { backward(c, dout, din, false); }
static void batch_norm_relu_backward(ml_call *c, const float *dout, float *const din[]) {
  backward(c, dout, din, true);
}

const ml_op ml_op_batch_norm = {
    "batch_norm", 1, 3, batch_norm_shape, batch_norm_forward, batch_norm_backward,
    {ML_READS(0) | ML_READS(1), ML_READS(0), 0}};

/* Where ReLU bends is computed again from x, weight and bias. */
#define READS_ALL (ML_READS(0) | ML_READS(1) | ML_READS(2))
const ml_op ml_op_batch_norm_relu = {
    "batch_norm_relu", 1, 3, batch_norm_relu_shape, batch_norm_relu_forward, batch_norm_relu_backward,
    {READS_ALL, READS_ALL, READS_ALL}};
