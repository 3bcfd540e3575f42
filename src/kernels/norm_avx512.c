/* The normalisation loops compiled for AVX-512. Called by norm.c and norm_group.c only, through the table, on
 * processors that have it. */
#ifdef __x86_64__
#define ML_NORM_TABLE_NAME ml_norm_avx512
#include "kernels/norm_loops.h"
#endif
