/* How conv.c has a pass computed: as a matrix product (conv_product.c), or directly where a group has few rows
 * (conv_direct.c). Internal to src/kernels.
 *
 * Both pack a pass's weights first, then compute images first.. as staged. The floats of the stage may be read up to
 * ML_CONV_MAX_WIDTH past their end. k is at least 1, and so is the number of pixels. */
#ifndef ML_CONV_PRODUCT_H
#define ML_CONV_PRODUCT_H

#include "kernels/conv_kernel.h"
#include "kernels/conv_pass.h"

/* Floats of packed weights, for either way and in any precision; a multiple of 16. */
int64_t ml_conv_packed_floats(int64_t groups, int64_t rows, int64_t k);

void ml_conv_product_pack(const ml_conv_pass *pass, float *packed);
void ml_conv_product(const ml_conv_pass *pass, const float *packed, const float *staged, int64_t first,
                     int64_t images);

void ml_conv_direct_pack(const ml_conv_pass *pass, float *packed);
void ml_conv_direct(const ml_conv_pass *pass, const float *packed, const float *staged, int64_t first, int64_t images);

#endif
