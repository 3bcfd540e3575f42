/* What the operations on two broadcast inputs share: their shape rule, their forward, and how a gradient of the
 * output's shape becomes one of an input's. Used by arithmetic.c, pow.c, maximum.c and eq.c only. */
#ifndef ML_OPS_BROADCAST_H
#define ML_OPS_BROADCAST_H

#include "kernels/kernels.h"
#include "ops/ops.h"

/* How two tensors are read to give one: dimensions that can be walked as one are merged, so same shapes give one
 * dimension with strides 1 and 1, and a scalar operand one with strides 1 and 0. */
typedef struct ml_walk {
  int ndim;
  int64_t size[ML_MAX_DIMS], xs[ML_MAX_DIMS], ys[ML_MAX_DIMS];
} ml_walk;

ml_walk ml_walk_plan(const ml_shape *out, const ml_shape *x, const ml_shape *y);

/* Checks and sets the output; the backward will have `blocks` blocks of the output's size in scratch for itself. */
ml_status ml_broadcast_shape(const ml_op *op, ml_call *c, int blocks, ml_error *err);

/* z (of the output's shape) = x op y, where x and y have shapes that broadcast to it. */
void ml_broadcast_map(float *z, const ml_shape *out, const float *x, const ml_shape *x_shape, const float *y,
                      const ml_shape *y_shape, ml_binary op);

/* The gradient of input `which` before it is summed over what was broadcast: writes g (of the output's shape) and
 * returns it, or returns dout if that is the gradient. work is the scratch asked for. */
typedef const float *(*ml_local_gradient)(float *g, const ml_call *c, const float *dout, int which, float *work);

/* For each input with din[i]: its local gradient, summed over the dimensions along which it was repeated, in order. */
void ml_broadcast_backward(const ml_call *c, const float *dout, float *const din[], ml_local_gradient local);

#endif
