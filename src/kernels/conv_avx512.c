/* The loops of convolutions compiled for AVX-512. Called through ml_conv_unit_in_use only, on processors that have
 * it. */
#ifdef __x86_64__
#define WIDTH 16
#define MICRO ml_micro_avx512
#define UNIT_NAME ml_conv_avx512
#include "kernels/conv_loops.h"
#endif
