/* A person's own picture of a digit, made into what MNIST's pictures are: light ink on black, 28x28. Called by the
 * bindings; prepare.c has the steps. */
#ifndef ML_DATA_PREPARE_H
#define ML_DATA_PREPARE_H

#include <stdint.h>

#include "base/error.h"

enum { ML_DIGIT_SIDE = 28, ML_DIGIT_BOX = 20, ML_DIGIT_CENTRE = 14 };

/* out [28, 28], 0 paper to 255 ink, from grey [height, width], 0 black to 255 white, of any size and polarity: a scan,
 * a photograph, a screen shot. The result is a function of the bytes alone. ML_FORMAT if there is no ink in it,
 * ML_NOMEM; out is then undefined. */
ml_status ml_prepare_digit(uint8_t *out, const uint8_t *grey, int64_t height, int64_t width, ml_error *err);

#endif
