/* softmax and log_softmax along attrs.along.dim. The last dimension is the kernels' own case; another is brought there
 * by transposing [n, inner] blocks into scratch and back. */
#include "kernels/kernels.h"
#include "ops/ops.h"

typedef void (*ml_rows_forward)(float *y, const float *x, int64_t rows, int64_t c);
typedef void (*ml_rows_backward)(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);

static ml_status along_shape(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  int64_t outer, n, inner;
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (ml_check_dim(op, x, c->attrs.along.dim, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, x);
  ml_split_dims(x, c->attrs.along.dim, &outer, &n, &inner);
  if (inner > 1) c->scratch_floats = 3 * (size_t)(n * inner);
  return ML_OK;
}

static void along_forward(ml_call *c, ml_rows_forward rows) {
  int64_t outer, n, inner;
  float *y = c->out->f32;
  const float *x = c->in[0]->f32;
  ml_split_dims(&c->out_shape, c->attrs.along.dim, &outer, &n, &inner);
  if (inner == 1) {
    rows(y, x, outer, n);
    return;
  }
  int64_t block = n * inner;
  float *xt = c->scratch, *yt = xt + block;
  for (int64_t at = 0; at < outer * block; at += block) {
    ml_transpose(xt, x + at, n, inner);
    rows(yt, xt, inner, n);
    ml_transpose(y + at, yt, inner, n);
  }
}

static void along_backward(const ml_call *c, const float *dout, float *dx, ml_rows_backward rows) {
  int64_t outer, n, inner;
  const float *y = c->out->f32;
  if (!dx) return;
  ml_split_dims(&c->out_shape, c->attrs.along.dim, &outer, &n, &inner);
  if (inner == 1) {
    rows(dx, dout, y, outer, n);
    return;
  }
  int64_t block = n * inner;
  float *dyt = c->scratch, *yt = dyt + block, *dxt = yt + block;
  for (int64_t at = 0; at < outer * block; at += block) {
    ml_transpose(dyt, dout + at, n, inner);
    ml_transpose(yt, y + at, n, inner);
    rows(dxt, dyt, yt, inner, n);
    ml_transpose(dx + at, dxt, inner, n);
  }
}

#define ALONG(op)                                                                                                      \
  static ml_status op##_shape(ml_call *c, ml_error *err) { return along_shape(&ml_op_##op, c, err); }                  \
  static void op##_forward(ml_call *c) { along_forward(c, ml_##op); }                                                  \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    along_backward(c, dout, din[0], ml_##op##_backward);                                                               \
  }                                                                                                                    \
  const ml_op ml_op_##op = {#op, 1, 1, op##_shape, op##_forward, op##_backward, {ML_READS_OUT}}

ALONG(softmax);
ALONG(log_softmax);
