/* The recurrent cells' loops for any processor. Called by recurrent.c only, through the table. */
#define ML_RECURRENT_TABLE_NAME ml_recurrent_portable
#include "kernels/recurrent_loops.h"
