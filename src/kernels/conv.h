/* Two-dimensional convolution (cross-correlation, as neural networks mean it), its input gradient and its weight
 * gradient. Called by the convolution operation; allocates nothing and never fails: callers have checked the geometry
 * and hand over the workspace.
 *
 * All tensors are contiguous: x[n, in_c, h, w], y[n, out_c, oh, ow], w[out_c, in_c / groups, kh, kw]. In the precision
 * of kernels/precision.h, except that depthwise convolutions, and y or dx of at most three channels per group, are
 * computed in f32 always. Like the matrix product, a convolution gives the same bits on any number of threads; an image
 * of y or dx does not depend on the other images of the batch. NaN and infinity in x and dy reach the elements that
 * depend on them and no others; the padding is zeros, and NaN times zero is NaN. */
#ifndef ML_CONV_H
#define ML_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n may be 0; the other sizes and the strides are at least 1, paddings at least 0 and as large as one likes. groups
 * divides in_c and out_c: output channel o reads the in_c / groups input channels of group o / (out_c / groups). */
typedef struct ml_conv2d {
  int64_t n, in_c, h, w;
  int64_t out_c, kh, kw;
  int64_t stride_h, stride_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  int64_t groups;
} ml_conv2d;

/* Height and width of the output: floor((h + pad_top + pad_bottom - kh) / stride_h) + 1, or 0 where the kernel is
 * larger than the padded input. */
int64_t ml_conv2d_out_h(const ml_conv2d *g);
int64_t ml_conv2d_out_w(const ml_conv2d *g);

/* Floats of workspace for any of the functions below, to be 64-byte aligned: some megabytes, a few copies of the
 * weights, and one zero-padded image; it does not grow with a large batch. */
size_t ml_conv2d_workspace(const ml_conv2d *g);

/* y[n, o, i, j] = bias[o] + sum over c, a, b of w[o, c, a, b] x[n, c, i stride_h + a - pad_top, j stride_w + b -
 * pad_left], x being 0 outside; then max(y, 0) with `relu`, a NaN staying one. bias may be NULL. */
void ml_conv2d_forward(float *y, const float *x, const float *w, const float *bias, bool relu, const ml_conv2d *g,
                       float *work);

/* dx, dw and db from dy, all overwritten. */
void ml_conv2d_dx(float *dx, const float *dy, const float *w, const ml_conv2d *g, float *work);
void ml_conv2d_dw(float *dw, const float *dy, const float *x, const ml_conv2d *g, float *work);
void ml_conv2d_db(float *db, const float *dy, const ml_conv2d *g, float *work);

#endif
