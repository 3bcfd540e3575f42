/* Dimensions in another order. Called by the operation `permute`, forward and, with the inverse order, backward. */
#ifndef ML_PERMUTE_H
#define ML_PERMUTE_H

#include <stddef.h>
#include <stdint.h>

#define ML_PERMUTE_MAX_DIMS 8

/* y is x with its dimensions in the order `order`: dimension d of y is dimension order[d] of x, whose sizes are
 * x_size[ndim], ndim <= 8. element is the size of an element in bytes, 1 or 4. y must not be x. Threaded inside. */
void ml_permute(void *y, const void *x, size_t element, const int64_t *x_size, const int *order, int ndim);

#endif
