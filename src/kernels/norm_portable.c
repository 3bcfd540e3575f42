/* The normalisation loops compiled for any processor. Called by norm.c and norm_group.c only, through the table. */
#define ML_NORM_TABLE_NAME ml_norm_portable
#include "kernels/norm_loops.h"
