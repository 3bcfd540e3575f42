/* The loops of augmentation compiled for AVX-512. Called by resample.c only, through the table, on processors that have
 * it. */
#ifdef __x86_64__
#define ML_RESAMPLE_TABLE_NAME ml_resample_avx512
#include "kernels/resample_loops.h"
#endif
