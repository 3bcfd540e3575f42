/* The loops of augmentation compiled for any processor. Called by resample.c only, through the table. */
#define ML_RESAMPLE_TABLE_NAME ml_resample_portable
#include "kernels/resample_loops.h"
