/* The optimizers' loops compiled for AVX2. Called by update.c only, through the table, on processors that have it. */
#ifdef __x86_64__
#define ML_UPDATE_TABLE_NAME ml_update_avx2
#include "kernels/update_loops.h"
#endif
