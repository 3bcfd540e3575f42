/* The weight of a linear layer, packed for its forward product and kept as a companion of the tensor for as long as its
 * values stay. linear.c reads it; src/bind tells it of updates. */
#ifndef ML_OPS_PACKED_WEIGHT_H
#define ML_OPS_PACKED_WEIGHT_H

#include "kernels/packed.h"
#include "tensor/companion.h"

/* w[out, in]^T as a right operand for ml_gemm_packed, packed now if it isn't yet; NULL if it cannot be kept or there is
 * no memory: then ml_gemm is to be called. */
const float *ml_packed_weight(ml_tensor *w);

/* ml_tensor_changed(w), for an update that is about to begin. True if the packed copy can follow it: then *refresh is
 * to be run over all of w, piece by piece as its values are written, and the copy is good again. */
bool ml_packed_weight_update(ml_tensor *w, ml_refresh *refresh);

#endif
