/* max_pool2d and avg_pool2d: the greatest and the mean of windows of x[n, c, h, w] or x[n, h, w]; they read the
 * attribute pool2d, avg_pool2d also whether padding counts. adaptive_avg_pool2d: the mean over size2d.h x size2d.w
 * bins. kernels/pooling.h has the formulas. max_pool2d keeps where each window's greatest element is. */
#include "kernels/pooling.h"

#include "ops/ops.h"
#include "ops/window.h"

static ml_pooling2d geometry_of(const ml_call *c) {
  const ml_images x = ml_images_of(&c->in[0]->shape);
  const ml_window2d *win = &c->attrs.pool2d.window;
  return (ml_pooling2d){.planes = x.n * x.c, .h = x.h, .w = x.w, .kh = win->kh, .kw = win->kw,
                        .stride_h = win->stride_h, .stride_w = win->stride_w,
                        .pad_top = win->pad_top, .pad_left = win->pad_left,
                        .pad_bottom = win->pad_bottom, .pad_right = win->pad_right};
}

/* Images of h x w instead of the input's. */
static void set_output(ml_call *c, int64_t h, int64_t w) {
  ml_shape shape = c->in[0]->shape;
  shape.size[shape.ndim - 2] = h;
  shape.size[shape.ndim - 1] = w;
  ml_set_output(c, &shape);
}

/* Places in a plane are counted in 32 bits. */
static ml_status check_plane(const ml_op *op, const ml_images *x, ml_error *err) {
  int64_t plane;
  if (!__builtin_mul_overflow(x->h, x->w, &plane) && plane <= INT32_MAX) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: images of %lldx%lld are too large", op->name, (long long)x->h, (long long)x->w);
}

/* With more padding than half the kernel a window could be nothing but padding. */
static ml_status check_padding(const ml_op *op, const ml_window2d *w, ml_error *err) {
  if (2 * w->pad_top <= w->kh && 2 * w->pad_bottom <= w->kh && 2 * w->pad_left <= w->kw && 2 * w->pad_right <= w->kw)
    return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: the padding %lldx%lld is more than half of the kernel, %lldx%lld", op->name,
                 (long long)w->pad_top, (long long)w->pad_left, (long long)w->kh, (long long)w->kw);
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_window2d *win = &c->attrs.pool2d.window;
  if (ml_check_f32(op, c, err) != ML_OK || ml_check_images(op, &c->in[0]->shape, err) != ML_OK) return ML_MISUSE;
  const ml_images x = ml_images_of(&c->in[0]->shape);
  if (check_plane(op, &x, err) != ML_OK || ml_check_window(op, win, &x, err) != ML_OK) return ML_MISUSE;
  if (check_padding(op, win, err) != ML_OK) return ML_MISUSE;
  const ml_pooling2d g = geometry_of(c);
  set_output(c, ml_pooling2d_out_h(&g), ml_pooling2d_out_w(&g));
  return ML_OK;
}

/* ---- the greatest ---- */

static ml_status max_shape(ml_call *c, ml_error *err) {
  const ml_status status = shape_of(&ml_op_max_pool2d, c, err);
  if (status == ML_OK) c->saved_floats = (size_t)ml_shape_count(&c->out_shape); /* an int32_t each */
  return status;
}

static void max_forward(ml_call *c) {
  const ml_pooling2d g = geometry_of(c);
  ml_maxpool2d_forward(c->out->f32, (int32_t *)c->saved, c->in[0]->f32, &g);
}

static void max_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_pooling2d g = geometry_of(c);
  if (din[0]) ml_maxpool2d_dx(din[0], dout, (const int32_t *)c->saved, &g);
}

const ml_op ml_op_max_pool2d = {"max_pool2d", 1, 1, max_shape, max_forward, max_backward, {0}};

/* ---- the mean ---- */

static ml_status avg_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_avg_pool2d, c, err); }

static void avg_forward(ml_call *c) {
  const ml_pooling2d g = geometry_of(c);
  ml_avgpool2d_forward(c->out->f32, c->in[0]->f32, &g, c->attrs.pool2d.count_padding);
}

static void avg_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_pooling2d g = geometry_of(c);
  if (din[0]) ml_avgpool2d_dx(din[0], dout, &g, c->attrs.pool2d.count_padding);
}

const ml_op ml_op_avg_pool2d = {"avg_pool2d", 1, 1, avg_shape, avg_forward, avg_backward, {0}};

static ml_status adaptive_shape(ml_call *c, ml_error *err) {
  const ml_op *op = &ml_op_adaptive_avg_pool2d;
  const int64_t h = c->attrs.size2d.h, w = c->attrs.size2d.w;
  if (ml_check_f32(op, c, err) != ML_OK || ml_check_images(op, &c->in[0]->shape, err) != ML_OK) return ML_MISUSE;
  if (h < 1 || w < 1 || h > INT16_MAX || w > INT16_MAX)
    return ml_fail(err, ML_MISUSE, "%s: the output's size is %lldx%lld; expected 1 to %d", op->name, (long long)h,
                   (long long)w, INT16_MAX);
  const ml_images x = ml_images_of(&c->in[0]->shape);
  if (check_plane(op, &x, err) != ML_OK) return ML_MISUSE;
  set_output(c, h, w);
  return ML_OK;
}

static void adaptive_forward(ml_call *c) {
  const ml_images x = ml_images_of(&c->in[0]->shape);
  ml_adaptive_avgpool2d_forward(c->out->f32, c->in[0]->f32, x.n * x.c, x.h, x.w, c->attrs.size2d.h, c->attrs.size2d.w);
}

static void adaptive_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_images x = ml_images_of(&c->in[0]->shape);
  if (din[0])
    ml_adaptive_avgpool2d_dx(din[0], dout, x.n * x.c, x.h, x.w, c->attrs.size2d.h, c->attrs.size2d.w);
}

const ml_op ml_op_adaptive_avg_pool2d = {
    "adaptive_avg_pool2d", 1, 1, adaptive_shape, adaptive_forward, adaptive_backward, {0}};
