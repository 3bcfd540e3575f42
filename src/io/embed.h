/* Numbers as text inside other files: base64, and rows of weights as 16-bit whole numbers with a scale each. Called by
 * the bindings for pages that hold a model. Nothing here allocates or fails, but for what is said. */
#ifndef ML_IO_EMBED_H
#define ML_IO_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x [rows][width]: scales[r] = max |x[r]| / 32767 (1 for a row of zeros), values[r][i] = x[r][i] / scales[r], rounded
 * to the nearest. The error of a weight is at most half its row's scale. False if x holds NaN or infinity. */
bool ml_rows_to_int16(int16_t *values, float *scales, const float *x, int64_t rows, int64_t width);

/* The characters that base64 takes for `size` bytes, without an end mark; 0 if that is more than a size_t holds. */
size_t ml_base64_size(size_t size);

/* Writes ml_base64_size(size) characters (RFC 4648, with padding) and no end mark. */
void ml_base64(char *text, const void *bytes, size_t size);

#endif
