/* pow: x to the power of y, f32 inputs that broadcast. No attributes.
 *
 * As in PyTorch the gradient for x is 0 where y is 0, and the gradient for y is 0 where x is 0. */
#include "ops/broadcast.h"

static ml_status pow_shape(ml_call *c, ml_error *err) {
  if (ml_check_f32(&ml_op_pow, c, err) != ML_OK) return ML_MISUSE;
  return ml_broadcast_shape(&ml_op_pow, c, 1, err);
}

static void pow_forward(ml_call *c) {
  const ml_tensor *x = c->in[0], *y = c->in[1];
  ml_broadcast_map(c->out->f32, &c->out_shape, x->f32, &x->shape, y->f32, &y->shape, ML_POW);
}

/* g = dout y x^(y - 1); less[] is y - 1, and 0 where y is 0, so that 0^-1 is never formed. */
static void base_gradient(float *g, const ml_call *c, const float *dout, float *less) {
  const ml_tensor *x = c->in[0], *y = c->in[1];
  const ml_shape *shape = &c->out_shape;
  int64_t n = ml_tensor_count(y);
  for (int64_t i = 0; i < n; i++) less[i] = y->f32[i] == 0.0f ? 0.0f : y->f32[i] - 1.0f;
  ml_broadcast_map(g, shape, x->f32, &x->shape, less, &y->shape, ML_POW);
  ml_broadcast_map(g, shape, g, shape, y->f32, &y->shape, ML_MUL);
  ml_map_binary(g, g, dout, ml_shape_count(shape), ML_MUL);
}

/* g = dout out log x; log_x[] is 0 where x is 0. */
static void exponent_gradient(float *g, const ml_call *c, const float *dout, float *log_x) {
  const ml_tensor *x = c->in[0];
  const ml_shape *shape = &c->out_shape;
  int64_t n = ml_tensor_count(x);
  ml_map_unary(log_x, x->f32, n, ML_LOG, 0);
  for (int64_t i = 0; i < n; i++)
    if (x->f32[i] == 0.0f) log_x[i] = 0.0f;
  ml_map_binary(g, dout, c->out->f32, ml_shape_count(shape), ML_MUL);
  ml_broadcast_map(g, shape, g, shape, log_x, &x->shape, ML_MUL);
}

static const float *pow_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  (which == 0 ? base_gradient : exponent_gradient)(g, c, dout, work);
  return g;
}

static void pow_backward(ml_call *c, const float *dout, float *const din[]) {
  ml_broadcast_backward(c, dout, din, pow_local);
}

const ml_op ml_op_pow = {"pow",       2,           2,
                         pow_shape,   pow_forward, pow_backward,
                         {ML_READS(0) | ML_READS(1), ML_READS(0) | ML_READS_OUT}};
