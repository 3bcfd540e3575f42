/* The precision in use, and the names of all. Set by src/bind, read by the matrix products. */
#include "kernels/precision.h"

static const char *const names[ML_PRECISION_COUNT] = {"f32", "bf16", "bf16x3"};

static ml_precision in_use = ML_PRECISION_F32;

const char *ml_precision_name(ml_precision p) {
  return (unsigned)p < ML_PRECISION_COUNT ? names[p] : "unknown";
}

ml_precision ml_precision_in_use(void) { return in_use; }

void ml_precision_use(ml_precision p) { in_use = p; }
