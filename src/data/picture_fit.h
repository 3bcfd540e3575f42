/* Stretches pictures of bytes to another size. Used by images.c only. */
#ifndef ML_DATA_PICTURE_FIT_H
#define ML_DATA_PICTURE_FIT_H

#include <stdint.h>

#include "base/error.h"

/* y [channels, height, width] from x [from_height, from_width, channels]. Along an axis that shrinks each result is the
 * mean of what it covers, weighted by how much of each pixel that is; along one that grows it is interpolated linearly
 * between the centres of two pixels, and the edge goes on outside. Values are rounded to the nearest; the same size is
 * copied as it is. ML_NOMEM is the only failure. */
ml_status ml_picture_fit(uint8_t *y, int64_t height, int64_t width, const uint8_t *x, int64_t from_height,
                         int64_t from_width, int channels, ml_error *err);

#endif
