/* prelu: y = x where x > 0, else w x, with one w for all or one for each channel of x [n, c, ...]. No attributes.
 * He et al. 2015, "Delving deep into rectifiers". */
#include "kernels/prelu.h"
#include "ops/ops.h"

typedef struct ml_channels {
  int64_t n, c, inner;
} ml_channels;

static ml_channels channels_of(const ml_call *c) {
  const ml_shape *x = &c->in[0]->shape;
  ml_channels k = {.n = x->ndim > 0 ? x->size[0] : 1, .c = c->in[1]->shape.size[0], .inner = 1};
  for (int d = k.c == 1 ? 1 : 2; d < x->ndim; d++) k.inner *= x->size[d];
  return k;
}

static ml_status prelu_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *w = &c->in[1]->shape;
  if (ml_check_f32(&ml_op_prelu, c, err) != ML_OK) return ML_MISUSE;
  if (w->ndim != 1 || !(w->size[0] == 1 || (x->ndim >= 2 && w->size[0] == x->size[1])))
    return ml_fail(err, ML_MISUSE, "prelu: expected one weight, or one per channel of %s, received %s",
                   ML_SHAPE_WORDS(x), ML_SHAPE_WORDS(w));
  ml_set_output(c, x);
  ml_channels k = channels_of(c);
  ml_want_scratch(c, ml_prelu_workspace(k.n, k.c, k.inner));
  return ML_OK;
}

static void prelu_forward(ml_call *c) {
  ml_channels k = channels_of(c);
  ml_prelu(c->out->f32, c->in[0]->f32, c->in[1]->f32, k.n, k.c, k.inner);
}

static void prelu_backward(ml_call *c, const float *dout, float *const din[]) {
  ml_channels k = channels_of(c);
  ml_prelu_backward(din[0], din[1], dout, c->in[0]->f32, c->in[1]->f32, k.n, k.c, k.inner, c->scratch);
}

const ml_op ml_op_prelu = {
    "prelu", 2, 2, prelu_shape, prelu_forward, prelu_backward, {ML_READS(0) | ML_READS(1), ML_READS(0)}};
