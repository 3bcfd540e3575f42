/* The weight of a linear layer, packed for its forward product and kept as a companion of the tensor for as long as its
 * values stay. Only linear.c calls it. */
#ifndef ML_OPS_PACKED_WEIGHT_H
#define ML_OPS_PACKED_WEIGHT_H

#include "kernels/packed.h"
#include "tensor/tensor.h"

/* w[out, in]^T as a right operand for ml_gemm_packed, packed now if it isn't yet; NULL if it cannot be kept or there is
 * no memory: then ml_gemm is to be called. */
const float *ml_packed_weight(ml_tensor *w);

#endif
