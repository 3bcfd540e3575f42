/* Functions of one element: y = f(x), dx = dy f'(x), any shape. leaky_relu reads attrs.scalar.value as its slope, elu
 * as its alpha; the others read no attributes. */
#include "kernels/kernels.h"
#include "ops/ops.h"

static ml_status same_shape(const ml_op *op, ml_call *c, ml_error *err) {
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, &c->in[0]->shape);
  return ML_OK;
}

static void map(ml_call *c, ml_unary f, double a) {
  ml_map_unary(c->out->f32, c->in[0]->f32, ml_tensor_count(c->out), f, (float)a);
}

static void map_backward(const ml_call *c, const float *dout, float *dx, ml_unary f, double a) {
  ml_map_unary_backward(dx, dout, c->in[0]->f32, c->out->f32, ml_tensor_count(c->out), f, (float)a);
}

/* One operation from its name, its kernel, its parameter (an expression of the call c), and what its derivative is
 * computed from. */
#define UNARY(op, f, a, derivative_reads)                                                                              \
  static ml_status op##_shape(ml_call *c, ml_error *err) { return same_shape(&ml_op_##op, c, err); }                   \
  static void op##_forward(ml_call *c) { map(c, f, a); }                                                               \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    if (din[0]) map_backward(c, dout, din[0], f, a);                                                                   \
  }                                                                                                                    \
  const ml_op ml_op_##op = {#op, 1, 1, op##_shape, op##_forward, op##_backward, {derivative_reads}}

UNARY(neg, ML_NEG, 0, 0);
UNARY(exp, ML_EXP, 0, ML_READS_OUT);
UNARY(log, ML_LOG, 0, ML_READS(0));
UNARY(sqrt, ML_SQRT, 0, ML_READS_OUT);
UNARY(abs, ML_ABS, 0, ML_READS(0));
UNARY(relu, ML_RELU, 0, ML_READS(0));
UNARY(leaky_relu, ML_LEAKY_RELU, c->attrs.scalar.value, ML_READS(0));
UNARY(elu, ML_ELU, c->attrs.scalar.value, ML_READS(0) | ML_READS_OUT);
UNARY(gelu, ML_GELU, 0, ML_READS(0));
UNARY(silu, ML_SILU, 0, ML_READS(0));
UNARY(sigmoid, ML_SIGMOID, 0, ML_READS_OUT);
UNARY(tanh, ML_TANH, 0, ML_READS_OUT);
