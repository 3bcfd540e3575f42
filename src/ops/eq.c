/* eq: 1 where two inputs that broadcast are equal, 0 elsewhere, as f32. Inputs of any dtypes, so that argmax's result
 * compares with labels; f32 with f32 is fast. No gradient, no attributes. */
#include "ops/broadcast.h"

static ml_status eq_shape(ml_call *c, ml_error *err) {
  ml_status status = ml_broadcast_shape(&ml_op_eq, c, 0, err);
  c->scratch_floats = 0;
  return status;
}

/* Walks the merged dimensions like the digits of a counter; doubles hold every value of every dtype. */
static void eq_mixed(float *z, const ml_shape *out, const ml_tensor *x, const ml_tensor *y) {
  ml_walk w = ml_walk_plan(out, &x->shape, &y->shape);
  int64_t at[ML_MAX_DIMS] = {0}, i = 0, j = 0, count = ml_shape_count(out);
  for (int64_t n = 0; n < count; n++) {
    z[n] = ml_tensor_get(x, i) == ml_tensor_get(y, j) ? 1.0f : 0.0f;
    for (int d = w.ndim - 1; d >= 0; d--) {
      i += w.xs[d];
      j += w.ys[d];
      if (++at[d] < w.size[d]) break;
      i -= w.xs[d] * w.size[d];
      j -= w.ys[d] * w.size[d];
      at[d] = 0;
    }
  }
}

static void eq_forward(ml_call *c) {
  const ml_tensor *x = c->in[0], *y = c->in[1];
  if (x->dtype == ML_F32 && y->dtype == ML_F32)
    ml_broadcast_map(c->out->f32, &c->out_shape, x->f32, &x->shape, y->f32, &y->shape, ML_EQUAL);
  else
    eq_mixed(c->out->f32, &c->out_shape, x, y);
}

const ml_op ml_op_eq = {"eq", 2, 2, eq_shape, eq_forward, NULL, {0}};
