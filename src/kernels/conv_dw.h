/* The weight gradient of a convolution, as conv.c has it computed: as matrix products (conv_dw.c), or directly where a
 * group has few rows and one channel (conv_dw_direct.c). Internal to src/kernels.
 *
 * `pass` is the forward pass, of whose members those about weights and out are not read. dw[out_c, channels, taps] is
 * overwritten. */
#ifndef ML_CONV_DW_H
#define ML_CONV_DW_H

#include "kernels/conv_pass.h"

/* Floats of workspace. */
int64_t ml_conv_dw_floats(const ml_conv2d *g);
int64_t ml_conv_dw_direct_floats(const ml_conv2d *g);

void ml_conv_dw(float *dw, const float *dy, const ml_conv_pass *pass, int64_t n, float *work);
void ml_conv_dw_direct(float *dw, const float *dy, const ml_conv_pass *pass, int64_t n, float *work);

#endif
