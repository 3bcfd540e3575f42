/* Losses on what a model gave, as means. nll: log-probabilities [n, c], labels [n] (i32 or u8) and, if attrs.nll says
 * so, a weight [c]; PyTorch's weighted mean. mse: the mean of (x - y)^2 over two f32 tensors of one shape. */
#include "kernels/kernels.h"
#include "ops/ops.h"

/* ---- nll ---- */

static ml_status check_nll_weight(const ml_call *c, ml_error *err) {
  bool has_weight = c->attrs.nll.has_weight;
  if (has_weight != (c->inputs == 3))
    return ml_fail(err, ML_MISUSE, "nll: expected %d inputs %s weight, received %d", has_weight ? 3 : 2,
                   has_weight ? "with a" : "without", c->inputs);
  if (!has_weight) return ML_OK;
  if (ml_check_class_weight(&ml_op_nll, c, err) != ML_OK) return ML_MISUSE;
  return ml_check_constants(&ml_op_nll, c, err);
}

static ml_status nll_shape(ml_call *c, ml_error *err) {
  if (ml_check_scores_and_labels(&ml_op_nll, c, "log-probabilities", err) != ML_OK) return ML_MISUSE;
  const ml_shape *x = &c->in[0]->shape;
  if (ml_check_labels(&ml_op_nll, c->in[1], x->size[0], x->size[1], err) != ML_OK) return ML_MISUSE;
  if (check_nll_weight(c, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, &(ml_shape){0});
  return ML_OK;
}

static int64_t label_at(const ml_call *c, int64_t i) { return (int64_t)ml_tensor_get(c->in[1], i); }

static double weight_at(const ml_call *c, int64_t label) { return c->inputs == 3 ? c->in[2]->f32[label] : 1.0; }

/* Sum of w[label] */
static double total_weight(const ml_call *c) {
  double total = 0.0;
  for (int64_t i = 0; i < c->in[0]->shape.size[0]; i++) total += weight_at(c, label_at(c, i));
  return total;
}

/* y = sum of -w[label] x[i, label] / sum of w[label] */
static void nll_forward(ml_call *c) {
  int64_t n = c->in[0]->shape.size[0], classes = c->in[0]->shape.size[1];
  double total = 0.0;
  for (int64_t i = 0; i < n; i++) {
    int64_t label = label_at(c, i);
    total -= weight_at(c, label) * c->in[0]->f32[i * classes + label];
  }
  c->out->f32[0] = (float)(total / total_weight(c));
}

static void nll_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t n = c->in[0]->shape.size[0], classes = c->in[0]->shape.size[1];
  double scale = dout[0] / total_weight(c);
  if (!din[0]) return;
  ml_fill(din[0], n * classes, 0.0f);
  for (int64_t i = 0; i < n; i++) {
    int64_t label = label_at(c, i);
    din[0][i * classes + label] = (float)(-scale * weight_at(c, label));
  }
}

const ml_op ml_op_nll = {"nll", 2, 3, nll_shape, nll_forward, nll_backward, {ML_READS(1) | ML_READS(2)}};

/* ---- mse ---- */

static ml_status mse_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *y = &c->in[1]->shape;
  if (ml_check_f32(&ml_op_mse, c, err) != ML_OK) return ML_MISUSE;
  if (!ml_shape_equal(x, y))
    return ml_fail(err, ML_MISUSE, "mse: expected two tensors of one shape, received %s and %s",
                   ML_SHAPE_WORDS(x), ML_SHAPE_WORDS(y));
  ml_set_output(c, &(ml_shape){0});
  c->saved_floats = (size_t)ml_shape_count(x);
  return ML_OK;
}

/* saved = x - y */
static void mse_forward(ml_call *c) {
  int64_t n = ml_tensor_count(c->in[0]);
  ml_map_binary(c->saved, c->in[0]->f32, c->in[1]->f32, n, ML_SUB);
  c->out->f32[0] = (float)(ml_sum_squares(c->saved, n) / (double)n);
}

/* dx = dout 2 (x - y) / n, dy = -dx */
static void mse_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t n = ml_tensor_count(c->in[0]);
  double scale = 2.0 * dout[0] / (double)n;
  if (din[0]) ml_scale(din[0], c->saved, n, (float)scale);
  if (din[1]) ml_scale(din[1], c->saved, n, (float)-scale);
}

const ml_op ml_op_mse = {"mse", 2, 2, mse_shape, mse_forward, mse_backward, {0}};
