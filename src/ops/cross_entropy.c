/* cross_entropy(logits [n, c], target [, weight [c]]): log-softmax and negative log-likelihood in one, with PyTorch's
 * mean.
 *
 * The target is labels [n] (i32 or u8) or probabilities [n, c] (f32). With smoothing s and q[i, j] the target as
 * probabilities, t = (1 - s) q + s / c, the loss is
 *
 *   sum over i, j of  -weight[j] t[i, j] log p[i, j]  / W,
 *
 * where W is the sum of weight[label[i]] for labels and n for probabilities. attrs.cross_entropy holds the smoothing
 * and says whether there is a weight. Only the logits get a gradient; saved holds log p. */
#include "kernels/kernels.h"
#include "ops/ops.h"

static ml_status check_target(const ml_call *c, ml_error *err) {
  const ml_tensor *x = c->in[0], *t = c->in[1];
  if (ml_check_scores(&ml_op_cross_entropy, c, "logits", err) != ML_OK) return ML_MISUSE;
  int64_t n = x->shape.size[0], classes = x->shape.size[1];
  if (t->dtype == ML_F32 && ml_shape_equal(&t->shape, &x->shape)) return ML_OK;
  if (t->dtype == ML_F32 || t->shape.ndim != 1 || t->shape.size[0] != n)
    return ml_fail(err, ML_MISUSE,
                   "cross_entropy: for logits of %s expected %lld labels (i32 or u8) or f32 probabilities of %s, "
                   "received %s %s",
                   ML_SHAPE_WORDS(&x->shape), (long long)n, ML_SHAPE_WORDS(&x->shape), ml_dtype_name(t->dtype),
                   ML_SHAPE_WORDS(&t->shape));
  return ml_check_labels(&ml_op_cross_entropy, t, n, classes, err);
}

static ml_status check_weight(const ml_call *c, ml_error *err) {
  bool has_weight = c->attrs.cross_entropy.has_weight;
  if (has_weight != (c->inputs == 3))
    return ml_fail(err, ML_MISUSE, "cross_entropy: expected %d inputs %s weight, received %d", has_weight ? 3 : 2,
                   has_weight ? "with a" : "without", c->inputs);
  return has_weight ? ml_check_class_weight(&ml_op_cross_entropy, c, err) : ML_OK;
}

static ml_status cross_entropy_shape(ml_call *c, ml_error *err) {
  double smoothing = c->attrs.cross_entropy.smoothing;
  if (check_target(c, err) != ML_OK || check_weight(c, err) != ML_OK) return ML_MISUSE;
  if (!(smoothing >= 0.0 && smoothing <= 1.0))
    return ml_fail(err, ML_MISUSE, "cross_entropy: expected a label smoothing of 0 to 1, received %g", smoothing);
  if (ml_check_constants(&ml_op_cross_entropy, c, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, &(ml_shape){0});
  c->saved_floats = (size_t)ml_tensor_count(c->in[0]);
  c->scratch_floats = (size_t)c->in[0]->shape.size[1];
  return ML_OK;
}

/* row[j] = weight[j] t[i, j] of sample i; returns their sum. */
static double target_row(float *row, const ml_call *c, int64_t i) {
  const ml_tensor *t = c->in[1];
  int64_t classes = c->in[0]->shape.size[1];
  const float *weight = c->inputs == 3 ? c->in[2]->f32 : NULL;
  double s = c->attrs.cross_entropy.smoothing, rest = s / (double)classes, sum = 0.0;
  for (int64_t j = 0; j < classes; j++)
    row[j] = (float)(t->dtype == ML_F32 ? (1.0 - s) * t->f32[i * classes + j] + rest : rest);
  if (t->dtype != ML_F32) row[(int64_t)ml_tensor_get(t, i)] = (float)(1.0 - s + rest);
  for (int64_t j = 0; j < classes; j++) {
    if (weight) row[j] *= weight[j];
    sum += row[j];
  }
  return sum;
}

/* W */
static double total_weight(const ml_call *c) {
  const ml_tensor *t = c->in[1];
  int64_t n = c->in[0]->shape.size[0];
  if (c->inputs < 3 || t->dtype == ML_F32) return (double)n;
  double total = 0.0;
  for (int64_t i = 0; i < n; i++) total += c->in[2]->f32[(int64_t)ml_tensor_get(t, i)];
  return total;
}

/* A class whose target is 0 adds nothing, even if its log-probability is -infinity. */
static void cross_entropy_forward(ml_call *c) {
  int64_t n = c->in[0]->shape.size[0], classes = c->in[0]->shape.size[1];
  float *row = c->scratch;
  const float *log_p = c->saved;
  double total = 0.0;
  ml_log_softmax(c->saved, c->in[0]->f32, n, classes);
  for (int64_t i = 0; i < n; i++, log_p += classes) {
    target_row(row, c, i);
    for (int64_t j = 0; j < classes; j++)
      if (row[j] != 0.0f) total -= (double)row[j] * log_p[j];
  }
  c->out->f32[0] = (float)(total / total_weight(c));
}

/* dx[i, j] = dout / W (p[i, j] sum over k of w[k] t[i, k] - w[j] t[i, j]) */
static void cross_entropy_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t n = c->in[0]->shape.size[0], classes = c->in[0]->shape.size[1];
  double scale = dout[0] / total_weight(c);
  float *dx = din[0], *row = c->scratch;
  if (!dx) return;
  ml_map_unary(dx, c->saved, n * classes, ML_EXP, 0);
  for (int64_t i = 0; i < n; i++, dx += classes) {
    double sum = target_row(row, c, i);
    for (int64_t j = 0; j < classes; j++) dx[j] = (float)(scale * (sum * dx[j] - row[j]));
  }
}

const ml_op ml_op_cross_entropy = {
    "cross_entropy",       2, 3, cross_entropy_shape, cross_entropy_forward, cross_entropy_backward,
    {ML_READS(1) | ML_READS(2)}};
