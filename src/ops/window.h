/* Images and the windows that slide over them: checks that the operations on images share. Called from their shape
 * functions only. */
#ifndef ML_OPS_WINDOW_H
#define ML_OPS_WINDOW_H

#include "ops/op.h"

/* Images [n, c, h, w], or [n, h, w], whose c is 1. */
typedef struct ml_images {
  int64_t n, c, h, w;
} ml_images;

ml_images ml_images_of(const ml_shape *shape);

/* ML_OK if the shape is one of the two with no size 0 but n. */
ml_status ml_check_images(const ml_op *op, const ml_shape *shape, ml_error *err);

/* ML_OK if kernel and strides are at least 1, the paddings not negative, none of them more than 65536, and the kernel
 * no larger than the padded image. */
ml_status ml_check_window(const ml_op *op, const ml_window2d *win, const ml_images *im, ml_error *err);

#endif
