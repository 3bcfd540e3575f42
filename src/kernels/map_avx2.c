/* The element-wise loops compiled for AVX2. Called by map.c only, through the table, on processors that have it. */
#ifdef __x86_64__
#define ML_MAP_TABLE_NAME ml_map_avx2
#include "kernels/map_loops.h"
#endif
