/* The reduction loops compiled for AVX-512. Called by reduce.c only, through the table, on processors that have it. */
#ifdef __x86_64__
#define ML_REDUCE_TABLE_NAME ml_reduce_avx512
#include "kernels/reduce_loops.h"
#endif
