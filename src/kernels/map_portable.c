/* The element-wise loops compiled for any processor. Called by map.c only, through the table. */
#define ML_MAP_TABLE_NAME ml_map_portable
#include "kernels/map_loops.h"
