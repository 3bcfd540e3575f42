/* permute: the dimensions of x in the order attrs.permute; a copy. Any dtype. */
#include "kernels/permute.h"

#include "ops/ops.h"

static ml_status permute_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  int ndim = c->attrs.permute.ndim;
  const int *order = c->attrs.permute.order;
  uint32_t seen = 0;
  if (ndim != x->ndim)
    return ml_fail(err, ML_MISUSE, "permute: expected the %d dimension%s of %s in another order, received %d", x->ndim,
                   x->ndim == 1 ? "" : "s", ML_SHAPE_WORDS(x), ndim);
  ml_shape shape = {.ndim = ndim};
  for (int d = 0; d < ndim; d++) {
    if (ml_check_dim(&ml_op_permute, x, order[d], err) != ML_OK) return ML_MISUSE;
    if (seen & 1u << order[d])
      return ml_fail(err, ML_MISUSE, "permute: dimension %d is named twice", order[d] + 1);
    seen |= 1u << order[d];
    shape.size[d] = x->size[order[d]];
  }
  ml_set_output(c, &shape);
  c->out_dtype = c->in[0]->dtype;
  return ML_OK;
}

static void permute_forward(ml_call *c) {
  const ml_tensor *x = c->in[0];
  ml_permute(c->out->data, x->data, ml_dtype_size(x->dtype), x->shape.size, c->attrs.permute.order, x->shape.ndim);
}

static void permute_backward(ml_call *c, const float *dout, float *const din[]) {
  int back[ML_MAX_DIMS] = {0};
  if (!din[0]) return;
  for (int d = 0; d < c->out_shape.ndim; d++) back[c->attrs.permute.order[d]] = d;
  ml_permute(din[0], dout, sizeof *dout, c->out_shape.size, back, c->out_shape.ndim);
}

const ml_op ml_op_permute = {"permute", 1, 1, permute_shape, permute_forward, permute_backward, {0}};
