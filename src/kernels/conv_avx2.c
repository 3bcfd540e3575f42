/* The loops of convolutions compiled for AVX2. Called through ml_conv_unit_in_use only, on processors that have it. */
#ifdef __x86_64__
#define WIDTH 8
#define MICRO ml_micro_avx2
#define UNIT_NAME ml_conv_avx2
#include "kernels/conv_loops.h"
#endif
