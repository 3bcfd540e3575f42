/* dropout: each element is 0 with probability attrs.dropout.p and scaled by 1 / (1 - p) otherwise. The mask is a
 * function of attrs.dropout.rng, so the backward draws the same one again instead of keeping it. Evaluation does not
 * call this. */
#include "kernels/kernels.h"
#include "ops/ops.h"

static ml_status dropout_shape(ml_call *c, ml_error *err) {
  double p = c->attrs.dropout.p;
  if (ml_check_f32(&ml_op_dropout, c, err) != ML_OK) return ML_MISUSE;
  if (!(p >= 0.0 && p <= 1.0))
    return ml_fail(err, ML_MISUSE, "dropout: expected a probability of 0 to 1, received %g", p);
  ml_set_output(c, &c->in[0]->shape);
  return ML_OK;
}

static void mask(const ml_call *c, float *y, const float *x) {
  int64_t n = ml_shape_count(&c->out_shape);
  float p = (float)c->attrs.dropout.p;
  if (p == 0.0f)
    ml_copy(y, x, n);
  else if (p == 1.0f)
    ml_fill(y, n, 0.0f);
  else
    ml_dropout(y, x, n, p, c->attrs.dropout.rng);
}

static void dropout_forward(ml_call *c) { mask(c, c->out->f32, c->in[0]->f32); }

static void dropout_backward(ml_call *c, const float *dout, float *const din[]) {
  if (din[0]) mask(c, din[0], dout);
}

const ml_op ml_op_dropout = {"dropout", 1, 1, dropout_shape, dropout_forward, dropout_backward, {0}};
