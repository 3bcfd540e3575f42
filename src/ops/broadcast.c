/* Broadcasting by NumPy's rule for the operations on two inputs. See broadcast.h. Sums over repeated dimensions run as
 * passes of ml_reduce_sum, first dimension first, so they are the same for any number of threads. */
#include "ops/broadcast.h"

/* Element strides of a tensor read under the output's dimensions: 0 where it is repeated. */
static void strides_of(int64_t *strides, const ml_shape *out, const ml_shape *x) {
  int shift = out->ndim - x->ndim;
  int64_t stride = 1;
  for (int d = out->ndim - 1; d >= 0; d--) {
    int64_t size = d >= shift ? x->size[d - shift] : 1;
    strides[d] = size == 1 ? 0 : stride;
    stride *= size;
  }
}

ml_walk ml_walk_plan(const ml_shape *out, const ml_shape *x, const ml_shape *y) {
  int64_t xs[ML_MAX_DIMS], ys[ML_MAX_DIMS];
  ml_walk w = {0};
  strides_of(xs, out, x);
  strides_of(ys, out, y);
  for (int d = 0; d < out->ndim; d++) {
    int64_t size = out->size[d];
    if (size == 1) continue;
    int last = w.ndim - 1;
    if (last >= 0 && w.xs[last] == xs[d] * size && w.ys[last] == ys[d] * size) {
      w.size[last] *= size;
    } else {
      last = w.ndim++;
      w.size[last] = size;
    }
    w.xs[last] = xs[d];
    w.ys[last] = ys[d];
  }
  if (w.ndim == 0) w = (ml_walk){.ndim = 1, .size = {1}, .xs = {1}, .ys = {1}};
  return w;
}

/* Floats in which a gradient is summed: it and what remains after one pass and after two. None if nothing repeats. */
static size_t own_scratch(const ml_call *c) {
  int64_t count = ml_shape_count(&c->out_shape);
  bool summed = ml_tensor_count(c->in[0]) != count || ml_tensor_count(c->in[1]) != count;
  return summed ? 2 * (size_t)count : 0;
}

ml_status ml_broadcast_shape(const ml_op *op, ml_call *c, int blocks, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *y = &c->in[1]->shape;
  ml_shape shape;
  if (!ml_shape_broadcast(&shape, x, y))
    return ml_fail(err, ML_MISUSE, "%s: the shapes %s and %s do not fit: sizes must be equal or 1, from the last back",
                   op->name, ML_SHAPE_WORDS(x), ML_SHAPE_WORDS(y));
  ml_set_output(c, &shape);
  c->scratch_floats = own_scratch(c) + (size_t)blocks * (size_t)ml_shape_count(&shape);
  return ML_OK;
}

void ml_broadcast_map(float *z, const ml_shape *out, const float *x, const ml_shape *x_shape, const float *y,
                      const ml_shape *y_shape, ml_binary op) {
  ml_walk w = ml_walk_plan(out, x_shape, y_shape);
  ml_map_binary_broadcast(z, x, y, w.size, w.xs, w.ys, w.ndim, op);
}

/* dx (of shape x) = sum of g (of shape out) over what was repeated. Each run of repeated dimensions is one pass;
 * between two lies a dimension that is not, so six dimensions have three at most. A pass at least halves what is left,
 * so work[count of out] has room for what lies between them. */
static void sum_to(float *dx, const ml_shape *x, const float *g, const ml_shape *out, float *work) {
  ml_walk w = ml_walk_plan(out, x, x);
  int64_t left = ml_shape_count(out), before = 1;
  int runs = 0;
  for (int d = 0; d < w.ndim; d++) runs += w.xs[d] == 0;
  if (runs == 0) ml_copy(dx, g, left);
  for (int d = 0; d < w.ndim; d++) {
    if (w.xs[d] != 0) {
      before *= w.size[d];
      continue;
    }
    int64_t inner = left / before / w.size[d];
    float *y = --runs == 0 ? dx : work;
    ml_reduce_sum(y, g, before, w.size[d], inner, 1.0);
    left = before * inner;
    work += left;
    g = y;
  }
}

void ml_broadcast_backward(const ml_call *c, const float *dout, float *const din[], ml_local_gradient local) {
  const ml_shape *out = &c->out_shape;
  int64_t count = ml_shape_count(out);
  float *work = c->scratch ? c->scratch + own_scratch(c) : NULL;
  for (int i = 0; i < 2; i++) {
    if (!din[i]) continue;
    const ml_tensor *x = c->in[i];
    bool summed = ml_tensor_count(x) != count;
    if (count == 0) {
      ml_fill(din[i], ml_tensor_count(x), 0.0f);
      continue;
    }
    float *g = summed ? c->scratch : din[i];
    const float *full = local(g, c, dout, i, work);
    if (summed || full != g) sum_to(din[i], &x->shape, full, out, c->scratch + count);
  }
}
