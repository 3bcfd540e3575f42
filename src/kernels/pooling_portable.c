/* The pooling loops compiled for any processor. Called by pooling_halve.c only, through the table. */
#define ML_POOLING_TABLE_NAME ml_pooling_portable
#include "kernels/pooling_loops.h"
