/* The pooling loops compiled for AVX2. Called by pooling_halve.c only, through the table, on processors
 * that have it. */
#ifdef __x86_64__
#define ML_POOLING_TABLE_NAME ml_pooling_avx2
#include "kernels/pooling_loops.h"
#endif
