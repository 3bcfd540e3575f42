/* Two-dimensional pooling of planes x[planes, h, w] into y[planes, oh, ow]: the greatest or the mean of windows, and
 * the gradients. Called by the pooling operations; allocates nothing, never fails, threaded over planes. The same bits
 * on any number of threads and every instruction set; a plane does not depend on the others. (The threads' pool is in
 * base/pool.h, which is something else.) */
#ifndef ML_POOLING_H
#define ML_POOLING_H

#include <stdbool.h>
#include <stdint.h>

/* planes, the product of batch and channels, may be 0; sizes and strides are at least 1, paddings at least 0. h w is
 * less than 2^31. */
typedef struct ml_pooling2d {
  int64_t planes, h, w;
  int64_t kh, kw, stride_h, stride_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
} ml_pooling2d;

/* floor((h + pad_top + pad_bottom - kh) / stride_h) + 1, or 0 where the window is larger than the padded plane. */
int64_t ml_pooling2d_out_h(const ml_pooling2d *g);
int64_t ml_pooling2d_out_w(const ml_pooling2d *g);

/* The greatest element of each window; padding does not count. index[planes, oh, ow] (may be NULL) gets its place
 * i * w + j in the plane, the lowest at a tie. A NaN counts as the greatest, as in PyTorch. A window of nothing but
 * padding gives -inf and the index -1. */
void ml_maxpool2d_forward(float *y, int32_t *index, const float *x, const ml_pooling2d *g);

/* dx[index] += dy over the windows, from 0. Windows of index -1 give nothing. */
void ml_maxpool2d_dx(float *dx, const float *dy, const int32_t *index, const ml_pooling2d *g);

/* The mean of each window, padding being zeros that count, or with count_padding false do not; a window of nothing but
 * padding gives 0. Sums in double, rounded once. */
void ml_avgpool2d_forward(float *y, const float *x, const ml_pooling2d *g, bool count_padding);
void ml_avgpool2d_dx(float *dx, const float *dy, const ml_pooling2d *g, bool count_padding);

/* The mean over bins as PyTorch cuts them: rows floor(i h / oh) .. ceil((i + 1) h / oh) - 1, columns alike. */
void ml_adaptive_avgpool2d_forward(float *y, const float *x, int64_t planes, int64_t h, int64_t w, int64_t oh,
                                   int64_t ow);
void ml_adaptive_avgpool2d_dx(float *dx, const float *dy, int64_t planes, int64_t h, int64_t w, int64_t oh,
                              int64_t ow);

#endif
