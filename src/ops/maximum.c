/* maximum and minimum of two f32 inputs that broadcast. No attributes. Where both are equal each gets half of the
 * gradient, as in PyTorch. */
#include "ops/broadcast.h"

/* g = dout m (1 - other m / 2), where m is 1 at the elements that input `which` gave and other m the same for the other
 * input: 1 where it gave the element alone, 1/2 at a tie, 0 else. */
static const float *maximum_local(float *g, const ml_call *c, const float *dout, int which, float *work) {
  const ml_tensor *x = c->in[which], *y = c->in[1 - which];
  const ml_shape *shape = &c->out_shape;
  int64_t n = ml_shape_count(shape);
  ml_broadcast_map(work, shape, c->out->f32, shape, y->f32, &y->shape, ML_EQUAL);
  ml_broadcast_map(g, shape, c->out->f32, shape, x->f32, &x->shape, ML_EQUAL);
  for (int64_t i = 0; i < n; i++) g[i] = dout[i] * (g[i] * (1.0f - 0.5f * work[i]));
  return g;
}

#define ALL_VALUES (ML_READS(0) | ML_READS(1) | ML_READS_OUT)

#define EXTREMUM(op, kernel)                                                                                           \
  static ml_status op##_shape(ml_call *c, ml_error *err) {                                                             \
    if (ml_check_f32(&ml_op_##op, c, err) != ML_OK) return ML_MISUSE;                                                  \
    return ml_broadcast_shape(&ml_op_##op, c, 1, err);                                                                 \
  }                                                                                                                    \
  static void op##_forward(ml_call *c) {                                                                               \
    const ml_tensor *x = c->in[0], *y = c->in[1];                                                                      \
    ml_broadcast_map(c->out->f32, &c->out_shape, x->f32, &x->shape, y->f32, &y->shape, kernel);                        \
  }                                                                                                                    \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    ml_broadcast_backward(c, dout, din, maximum_local);                                                                \
  }                                                                                                                    \
  const ml_op ml_op_##op = {#op, 2, 2, op##_shape, op##_forward, op##_backward,                                        \
                            {ALL_VALUES, ALL_VALUES}}

EXTREMUM(maximum, ML_MAXIMUM);
EXTREMUM(minimum, ML_MINIMUM);
