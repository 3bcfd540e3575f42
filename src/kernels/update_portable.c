/* The optimizers' loops compiled for any processor. Called by update.c only, through the table. */
#define ML_UPDATE_TABLE_NAME ml_update_portable
#include "kernels/update_loops.h"
