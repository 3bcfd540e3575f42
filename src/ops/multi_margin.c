/* multi_margin(scores [n, c], labels [n] [, weight [c]]): the multi-class hinge loss (Crammer and Singer 2001) in
 * PyTorch's form. With t = label[i], p = attrs.multi_margin.power (1 or 2) and m = attrs.multi_margin.margin:
 *
 *   sum over i and j other than t of  weight[t] max(0, m - x[i, t] + x[i, j])^p  / (n c)
 *
 * Only the scores get a gradient. */
#include "kernels/kernels.h"
#include "ops/ops.h"

static ml_status check_weight(const ml_call *c, ml_error *err) {
  if (c->inputs < 3) return ML_OK;
  if (ml_check_class_weight(&ml_op_multi_margin, c, err) != ML_OK) return ML_MISUSE;
  return ml_check_constants(&ml_op_multi_margin, c, err);
}

static ml_status multi_margin_shape(ml_call *c, ml_error *err) {
  if (ml_check_scores_and_labels(&ml_op_multi_margin, c, "scores", err) != ML_OK) return ML_MISUSE;
  const ml_shape *x = &c->in[0]->shape;
  if (c->attrs.multi_margin.power != 1 && c->attrs.multi_margin.power != 2)
    return ml_fail(err, ML_MISUSE, "multi_margin: expected a power of 1 or 2, received %d",
                   c->attrs.multi_margin.power);
  if (ml_check_labels(&ml_op_multi_margin, c->in[1], x->size[0], x->size[1], err) != ML_OK) return ML_MISUSE;
  if (check_weight(c, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, &(ml_shape){0});
  c->saved_floats = (size_t)ml_tensor_count(c->in[0]);
  return ML_OK;
}

/* The loss of sample i; slope[c] gets its derivatives by the scores. */
static double sample(const ml_call *c, int64_t i, float *slope) {
  const int64_t classes = c->in[0]->shape.size[1], label = (int64_t)ml_tensor_get(c->in[1], i);
  const float *x = c->in[0]->f32 + i * classes;
  const double weight = c->inputs == 3 ? c->in[2]->f32[label] : 1.0;
  const bool squared = c->attrs.multi_margin.power == 2;
  double sum = 0.0, pull = 0.0;
  for (int64_t j = 0; j < classes; j++) {
    const double over = c->attrs.multi_margin.margin - (double)x[label] + (double)x[j];
    const bool counts = j != label && !(over <= 0.0); /* a NaN counts */
    const double by = !counts ? 0.0 : weight * (squared ? 2.0 * over : 1.0);
    if (counts) sum += weight * (squared ? over * over : over);
    slope[j] = (float)by;
    pull += by;
  }
  slope[label] = (float)-pull;
  return sum;
}

static void multi_margin_forward(ml_call *c) {
  int64_t n = c->in[0]->shape.size[0], classes = c->in[0]->shape.size[1];
  double total = 0.0;
  for (int64_t i = 0; i < n; i++) total += sample(c, i, c->saved + i * classes);
  c->out->f32[0] = (float)(total / (double)(n * classes));
}

static void multi_margin_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t count = ml_tensor_count(c->in[0]);
  if (din[0]) ml_scale(din[0], c->saved, count, (float)(dout[0] / (double)count));
}

const ml_op ml_op_multi_margin = {"multi_margin", 2, 3, multi_margin_shape, multi_margin_forward,
                                  multi_margin_backward, {0}};
