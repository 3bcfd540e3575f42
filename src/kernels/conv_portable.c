/* The loops of convolutions compiled for any processor. Called through ml_conv_unit_in_use only. */
#define WIDTH 4
#define MICRO ml_micro_portable
#define UNIT_NAME ml_conv_portable
#include "kernels/conv_loops.h"
