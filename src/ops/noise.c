/* Noise in training. gaussian_noise: y = x + attrs.noise.std z, z normal. dropout2d: each channel of each sample of
 * x [n, c, ...] is 0 with probability attrs.dropout.p and scaled by 1 / (1 - p) otherwise. Both draw from the stream in
 * their attributes, so the backward of dropout2d draws the same mask again. Evaluation does not call these.
 * Tompson et al. 2015, "Efficient object localization using convolutional networks" (dropout2d). */
#include "base/pool.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

/* ---- gaussian_noise ---- */

static ml_status gaussian_noise_shape(ml_call *c, ml_error *err) {
  double std = c->attrs.noise.std;
  if (ml_check_f32(&ml_op_gaussian_noise, c, err) != ML_OK) return ML_MISUSE;
  if (!(std >= 0.0 && std <= 1e30))
    return ml_fail(err, ML_MISUSE, "gaussian_noise: expected a deviation >= 0, received %g", std);
  ml_set_output(c, &c->in[0]->shape);
  return ML_OK;
}

static void gaussian_noise_forward(ml_call *c) {
  ml_gaussian_noise(c->out->f32, c->in[0]->f32, ml_shape_count(&c->out_shape), (float)c->attrs.noise.std,
                    c->attrs.noise.rng);
}

static void gaussian_noise_backward(ml_call *c, const float *dout, float *const din[]) {
  if (din[0]) ml_copy(din[0], dout, ml_shape_count(&c->out_shape));
}

const ml_op ml_op_gaussian_noise = {
    "gaussian_noise", 1, 1, gaussian_noise_shape, gaussian_noise_forward, gaussian_noise_backward, {0}};

/* ---- dropout2d ---- */

enum { GRAIN = 16384 };                /* elements that one thread takes at a time */

typedef struct planes {
  float *y;
  const float *x, *factor;             /* a factor for each plane */
  int64_t inner;
} planes;

static ml_status dropout2d_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  double p = c->attrs.dropout.p;
  if (ml_check_f32(&ml_op_dropout2d, c, err) != ML_OK) return ML_MISUSE;
  if (!(p >= 0.0 && p <= 1.0))
    return ml_fail(err, ML_MISUSE, "dropout2d: expected a probability of 0 to 1, received %g", p);
  if (x->ndim < 2)
    return ml_fail(err, ML_MISUSE, "dropout2d: expected an input of n x c or more, received %s", ML_SHAPE_WORDS(x));
  ml_set_output(c, x);
  ml_want_scratch(c, (size_t)(x->size[0] * x->size[1]));
  return ML_OK;
}

static void plane_range(void *ctx, int64_t begin, int64_t end) {
  const planes *g = ctx;
  for (int64_t i = begin; i < end; i++) {
    float *y = g->y + i * g->inner;
    if (g->factor[i] == 0.0f) ml_fill(y, g->inner, 0.0f);
    else ml_scale(y, g->x + i * g->inner, g->inner, g->factor[i]);
  }
}

static void mask(const ml_call *c, float *y, const float *x) {
  int64_t count = c->out_shape.size[0] * c->out_shape.size[1], n = ml_shape_count(&c->out_shape);
  float p = (float)c->attrs.dropout.p, *factor = c->scratch;
  if (n == 0) return;
  ml_fill(factor, count, p == 1.0f ? 0.0f : 1.0f);
  if (p > 0.0f && p < 1.0f) ml_dropout(factor, factor, count, p, c->attrs.dropout.rng);
  planes g = {.y = y, .x = x, .factor = factor, .inner = n / count};
  ml_pool_for(plane_range, &g, count, g.inner >= GRAIN ? 1 : GRAIN / g.inner);
}

static void dropout2d_forward(ml_call *c) { mask(c, c->out->f32, c->in[0]->f32); }

static void dropout2d_backward(ml_call *c, const float *dout, float *const din[]) {
  if (din[0]) mask(c, din[0], dout);
}

const ml_op ml_op_dropout2d = {"dropout2d", 1, 1, dropout2d_shape, dropout2d_forward, dropout2d_backward, {0}};
