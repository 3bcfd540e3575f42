/* The recurrent cells' loops compiled for AVX-512. Called by recurrent.c only, through the table, on processors that
 * have it. */
#ifdef __x86_64__
#define ML_RECURRENT_TABLE_NAME ml_recurrent_avx512
#include "kernels/recurrent_loops.h"
#endif
