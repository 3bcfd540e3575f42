/* The reduction loops compiled for any processor. Called by reduce.c only, through the table. */
#define ML_REDUCE_TABLE_NAME ml_reduce_portable
#include "kernels/reduce_loops.h"
