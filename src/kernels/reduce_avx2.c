/* The reduction loops compiled for AVX2. Called by reduce.c only, through the table, on processors that have it. */
#ifdef __x86_64__
#define ML_REDUCE_TABLE_NAME ml_reduce_avx2
#include "kernels/reduce_loops.h"
#endif
