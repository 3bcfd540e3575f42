/* add, sub, mul, div of two f32 inputs that broadcast. No attributes. */
#include "ops/broadcast.h"

static void forward(ml_call *c, ml_binary op) {
  const ml_tensor *x = c->in[0], *y = c->in[1];
  ml_broadcast_map(c->out->f32, &c->out_shape, x->f32, &x->shape, y->f32, &y->shape, op);
}

/* Both gradients are dout. */
static const float *add_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  (void)g, (void)c, (void)which, (void)work;
  return dout;
}

/* dx = dout, dy = -dout */
static const float *sub_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  (void)work;
  if (which == 0) return dout;
  ml_scale(g, dout, ml_shape_count(&c->out_shape), -1.0f);
  return g;
}

/* dx = dout y, dy = dout x */
static const float *mul_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  (void)work;
  const ml_tensor *other = c->in[1 - which];
  ml_broadcast_map(g, &c->out_shape, dout, &c->out_shape, other->f32, &other->shape, ML_MUL);
  return g;
}

/* dx = dout / y, dy = -(dout out) / y */
static const float *div_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  (void)work;
  const ml_shape *shape = &c->out_shape;
  const ml_tensor *y = c->in[1];
  int64_t count = ml_shape_count(shape);
  if (which == 1) {
    ml_map_binary(g, dout, c->out->f32, count, ML_MUL);
    ml_scale(g, g, count, -1.0f);
    dout = g;
  }
  ml_broadcast_map(g, shape, dout, shape, y->f32, &y->shape, ML_DIV);
  return g;
}

#define ARITHMETIC(op, kernel, ...)                                                                                    \
  static ml_status op##_shape(ml_call *c, ml_error *err) {                                                             \
    if (ml_check_f32(&ml_op_##op, c, err) != ML_OK) return ML_MISUSE;                                                  \
    return ml_broadcast_shape(&ml_op_##op, c, 0, err);                                                                 \
  }                                                                                                                    \
  static void op##_forward(ml_call *c) { forward(c, kernel); }                                                         \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    ml_broadcast_backward(c, dout, din, op##_local);                                                                   \
  }                                                                                                                    \
  const ml_op ml_op_##op = {#op, 2, 2, op##_shape, op##_forward, op##_backward, {__VA_ARGS__}}

ARITHMETIC(add, ML_ADD, 0);
ARITHMETIC(sub, ML_SUB, 0);
ARITHMETIC(mul, ML_MUL, ML_READS(1), ML_READS(0));
ARITHMETIC(div, ML_DIV, ML_READS(1), ML_READS(1) | ML_READS_OUT);
