/* Losses of two f32 tensors of one shape, element by element, as means. x is what a model gave, y what it should have:
 *
 *   smooth_l1        d = x - y:  d^2 / (2 b) where |d| < b, else |d| - b / 2;  b is attrs.scalar, 0 for |d| itself
 *   bce_with_logits  (1 - y) x + (1 + (w - 1) y) (ln(1 + e^-|x|) + max(-x, 0)), with a weight w of positives for each
 *                    place in the last dimension as third input, or 1
 *   kl_div           y (ln y - x), 0 where y is; e^y (y - x) with attrs.kl_div.log_target. x is log-probabilities.
 *                    attrs.kl_div.batch_mean divides by the size of the first dimension in place of all elements
 *
 * smooth_l1 gives gradients to both, the others to x only. */
#include <math.h>

#include "base/fmath.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

enum { CHUNK = 4096 };

/* ---- what they share ---- */

static ml_status pair_shape(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *y = &c->in[1]->shape;
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (!ml_shape_equal(x, y))
    return ml_fail(err, ML_MISUSE, "%s: expected two tensors of one shape, received %s and %s", op->name,
                   ML_SHAPE_WORDS(x), ML_SHAPE_WORDS(y));
  ml_set_output(c, &(ml_shape){0});
  c->saved_floats = (size_t)ml_shape_count(x);
  ml_want_scratch(c, c->saved_floats);
  return ML_OK;
}

static double divisor(const ml_call *c) { return (double)ml_tensor_count(c->in[0]); }

/* scratch holds the elements' losses. */
static void mean_of_scratch(ml_call *c, double by) {
  ml_reduce_sum(c->out->f32, c->scratch, 1, ml_tensor_count(c->in[0]), 1, 1.0 / by);
}

/* saved holds the slope of each element by x. */
static void slopes_to_gradient(const ml_call *c, float *dx, float dout, double by) {
  if (dx) ml_scale(dx, c->saved, ml_tensor_count(c->in[0]), (float)(dout / by));
}

/* ---- smooth_l1 ---- */

static ml_status smooth_l1_shape(ml_call *c, ml_error *err) {
  double beta = c->attrs.scalar.value;
  if (!(beta >= 0.0 && beta < INFINITY))
    return ml_fail(err, ML_MISUSE, "smooth_l1: expected a beta of at least 0, received %g", beta);
  return pair_shape(&ml_op_smooth_l1, c, err);
}

static void smooth_l1_range(void *ctx, int64_t begin, int64_t end) {
  const ml_call *c = ctx;
  const float *x = c->in[0]->f32, *y = c->in[1]->f32, beta = (float)c->attrs.scalar.value;
  for (int64_t i = begin; i < end; i++) {
    const float d = x[i] - y[i], size = ml_absf(d);
    const float sign = (d > 0.0f ? 1.0f : 0.0f) - (d < 0.0f ? 1.0f : 0.0f);
    c->scratch[i] = size < beta ? 0.5f * d * d / beta : size - 0.5f * beta;
    c->saved[i] = size < beta ? d / beta : sign;
  }
}

static void smooth_l1_forward(ml_call *c) {
  ml_pool_for(smooth_l1_range, c, ml_tensor_count(c->in[0]), CHUNK);
  mean_of_scratch(c, divisor(c));
}

static void smooth_l1_backward(ml_call *c, const float *dout, float *const din[]) {
  slopes_to_gradient(c, din[0], dout[0], divisor(c));
  slopes_to_gradient(c, din[1], -dout[0], divisor(c));
}

const ml_op ml_op_smooth_l1 = {"smooth_l1", 2, 2, smooth_l1_shape, smooth_l1_forward, smooth_l1_backward, {0}};

/* ---- bce_with_logits ---- */

static ml_status bce_shape(ml_call *c, ml_error *err) {
  const ml_op *op = &ml_op_bce_with_logits;
  if (pair_shape(op, c, err) != ML_OK || ml_check_constants(op, c, err) != ML_OK) return ML_MISUSE;
  if (c->inputs == 2) return ML_OK;
  const ml_shape *x = &c->in[0]->shape, *w = &c->in[2]->shape;
  if (x->ndim > 0 && w->ndim == 1 && w->size[0] == x->size[x->ndim - 1]) return ML_OK;
  return ml_fail(err, ML_MISUSE, "bce_with_logits: expected a weight for each of %lld places, received %s",
                 x->ndim > 0 ? (long long)x->size[x->ndim - 1] : 0LL, ML_SHAPE_WORDS(w));
}

static void bce_range(void *ctx, int64_t begin, int64_t end) {
  const ml_call *c = ctx;
  const float *x = c->in[0]->f32, *y = c->in[1]->f32, *weight = c->inputs == 3 ? c->in[2]->f32 : NULL;
  const int64_t places = weight ? c->in[2]->shape.size[0] : 1;
  for (int64_t i = begin; i < end; i++) {
    const float w = weight ? weight[i % places] : 1.0f, share = 1.0f + (w - 1.0f) * y[i];
    const float log_part = ml_logf(1.0f + ml_expf(-ml_absf(x[i]))) + (x[i] < 0.0f ? -x[i] : 0.0f);
    c->scratch[i] = (1.0f - y[i]) * x[i] + share * log_part;
    c->saved[i] = (1.0f - y[i]) - share * ml_sigmoidf(-x[i]);
  }
}

static void bce_forward(ml_call *c) {
  ml_pool_for(bce_range, c, ml_tensor_count(c->in[0]), CHUNK);
  mean_of_scratch(c, divisor(c));
}

static void bce_backward(ml_call *c, const float *dout, float *const din[]) {
  slopes_to_gradient(c, din[0], dout[0], divisor(c));
}

const ml_op ml_op_bce_with_logits = {"bce_with_logits", 2, 3, bce_shape, bce_forward, bce_backward, {0}};

/* ---- kl_div ---- */

static ml_status kl_div_shape(ml_call *c, ml_error *err) {
  if (pair_shape(&ml_op_kl_div, c, err) != ML_OK) return ML_MISUSE;
  if (c->attrs.kl_div.batch_mean && c->in[0]->shape.ndim == 0)
    return ml_fail(err, ML_MISUSE, "kl_div: a scalar has no batch to take the mean over");
  return ml_check_constants(&ml_op_kl_div, c, err);
}

static double kl_divisor(const ml_call *c) {
  return c->attrs.kl_div.batch_mean ? (double)c->in[0]->shape.size[0] : divisor(c);
}

static void kl_div_range(void *ctx, int64_t begin, int64_t end) {
  const ml_call *c = ctx;
  const float *x = c->in[0]->f32, *y = c->in[1]->f32;
  const bool log_target = c->attrs.kl_div.log_target;
  for (int64_t i = begin; i < end; i++) {
    const float p = log_target ? ml_expf(y[i]) : y[i], log_p = log_target ? y[i] : ml_logf(y[i]);
    c->scratch[i] = p > 0.0f ? p * (log_p - x[i]) : p == p ? 0.0f : p;
    c->saved[i] = -p;
  }
}

static void kl_div_forward(ml_call *c) {
  ml_pool_for(kl_div_range, c, ml_tensor_count(c->in[0]), CHUNK);
  mean_of_scratch(c, kl_divisor(c));
}

static void kl_div_backward(ml_call *c, const float *dout, float *const din[]) {
  slopes_to_gradient(c, din[0], dout[0], kl_divisor(c));
}

const ml_op ml_op_kl_div = {"kl_div", 2, 2, kl_div_shape, kl_div_forward, kl_div_backward, {0}};
