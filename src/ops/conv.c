/* conv2d: y[n, out, oh, ow] from x[n, in, h, w] (or [n, h, w], one channel), w[out, in / groups, kh, kw] and, if given,
 * b[out]; kernels/conv.h has the formula. conv2d_relu: max(y, 0), the same numbers as relu after conv2d without the
 * walk over y in between; nn.Sequential calls it. Reads the attribute conv2d: the groups, and of the window the strides
 * and the padding; the kernel's size is the weight's. */
#include "kernels/conv.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/window.h"

static ml_conv2d geometry_of(const ml_call *c) {
  const ml_images x = ml_images_of(&c->in[0]->shape);
  const ml_shape *w = &c->in[1]->shape;
  const ml_window2d *win = &c->attrs.conv2d.window;
  return (ml_conv2d){.n = x.n, .in_c = x.c, .h = x.h, .w = x.w,
                     .out_c = w->size[0], .kh = w->size[2], .kw = w->size[3],
                     .stride_h = win->stride_h, .stride_w = win->stride_w,
                     .pad_top = win->pad_top, .pad_left = win->pad_left,
                     .pad_bottom = win->pad_bottom, .pad_right = win->pad_right,
                     .groups = c->attrs.conv2d.groups};
}

/* Whole cache lines. */
static size_t kernel_scratch(const ml_conv2d *g) { return (ml_conv2d_workspace(g) + 15) / 16 * 16; }

static ml_status check_weight(const ml_op *op, const ml_call *c, const ml_images *x, ml_error *err) {
  const ml_shape *w = &c->in[1]->shape;
  const int64_t groups = c->attrs.conv2d.groups;
  if (w->ndim != 4 || ml_shape_count(w) == 0)
    return ml_fail(err, ML_MISUSE, "%s: expected a weight of outputs x inputs / groups x height x width, received %s",
                   op->name, ML_SHAPE_WORDS(w));
  if (groups < 1 || x->c % groups != 0 || w->size[0] % groups != 0)
    return ml_fail(err, ML_MISUSE, "%s: groups is %lld, which does not divide %lld input and %lld output channels",
                   op->name, (long long)groups, (long long)x->c, (long long)w->size[0]);
  if (w->size[1] != x->c / groups)
    return ml_fail(err, ML_MISUSE, "%s: the weight %s in %lld group%s expects %lld channels but receives %lld (input "
                   "%s)", op->name, ML_SHAPE_WORDS(w), (long long)groups, groups == 1 ? "" : "s",
                   (long long)(w->size[1] * groups), (long long)x->c, ML_SHAPE_WORDS(&c->in[0]->shape));
  return ML_OK;
}

static ml_status check_bias(const ml_op *op, const ml_call *c, ml_error *err) {
  const int64_t out = c->in[1]->shape.size[0];
  if (c->inputs < 3 || ml_shape_equal(&c->in[2]->shape, &(ml_shape){1, {out}})) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: expected a bias of %lld, one per output, received %s", op->name, (long long)out,
                 ML_SHAPE_WORDS(&c->in[2]->shape));
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  if (ml_check_f32(op, c, err) != ML_OK || ml_check_images(op, &c->in[0]->shape, err) != ML_OK) return ML_MISUSE;
  const ml_images x = ml_images_of(&c->in[0]->shape);
  if (check_weight(op, c, &x, err) != ML_OK || check_bias(op, c, err) != ML_OK) return ML_MISUSE;
  ml_window2d *win = &c->attrs.conv2d.window;
  win->kh = c->in[1]->shape.size[2];
  win->kw = c->in[1]->shape.size[3];
  if (ml_check_window(op, win, &x, err) != ML_OK) return ML_MISUSE;
  const ml_conv2d g = geometry_of(c);
  ml_set_output(c, &(ml_shape){4, {g.n, g.out_c, ml_conv2d_out_h(&g), ml_conv2d_out_w(&g)}});
  ml_want_scratch(c, kernel_scratch(&g));
  return ML_OK;
}

static ml_status conv2d_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_conv2d, c, err); }

/* Behind the kernels' scratch there is room for the gradient before the ReLU. */
static ml_status conv2d_relu_shape(ml_call *c, ml_error *err) {
  const ml_status status = shape_of(&ml_op_conv2d_relu, c, err);
  if (status == ML_OK) ml_want_scratch(c, c->scratch_floats + (size_t)ml_shape_count(&c->out_shape));
  return status;
}

static void forward(ml_call *c, bool relu) {
  const ml_conv2d g = geometry_of(c);
  const float *bias = c->inputs == 3 ? c->in[2]->f32 : NULL;
  ml_conv2d_forward(c->out->f32, c->in[0]->f32, c->in[1]->f32, bias, relu, &g, c->scratch);
}

static void conv2d_forward(ml_call *c) { forward(c, false); }
static void conv2d_relu_forward(ml_call *c) { forward(c, true); }

static void conv2d_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_conv2d g = geometry_of(c);
  if (din[0]) ml_conv2d_dx(din[0], dout, c->in[1]->f32, &g, c->scratch);
  if (din[1]) ml_conv2d_dw(din[1], dout, c->in[0]->f32, &g, c->scratch);
  if (c->inputs == 3 && din[2]) ml_conv2d_db(din[2], dout, &g, c->scratch);
}

static void conv2d_relu_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_conv2d g = geometry_of(c);
  const float *y = c->out->f32;
  float *dz = c->scratch + kernel_scratch(&g);
  ml_map_unary_backward(dz, dout, y, y, ml_tensor_count(c->out), ML_RELU, 0);
  conv2d_backward(c, dz, din);
}

const ml_op ml_op_conv2d = {
    "conv2d", 2, 3, conv2d_shape, conv2d_forward, conv2d_backward, {ML_READS(1), ML_READS(0), 0}};

/* ReLU's slope shows in its output as well as in its input. */
const ml_op ml_op_conv2d_relu = {
    "conv2d_relu",       2, 3, conv2d_relu_shape, conv2d_relu_forward, conv2d_relu_backward,
    {ML_READS(1) | ML_READS_OUT, ML_READS(0) | ML_READS_OUT, ML_READS_OUT}};
