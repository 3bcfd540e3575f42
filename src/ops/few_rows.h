/* The forward of a linear layer on so few rows that reading the weight is all its cost. Only linear.c calls it. */
#ifndef ML_OPS_FEW_ROWS_H
#define ML_OPS_FEW_ROWS_H

#include "kernels/kernels.h"
#include "tensor/tensor.h"

/* y[n, out] = epilogue(x[n, in] w[out, in]^T), if there are few rows and w's strips are at hand or worth making: the
 * bits of ml_gemm. False, with nothing done, otherwise: then ml_gemm is to be called. */
bool ml_few_rows(float *y, const float *x, ml_tensor *w, ml_epilogue e, int64_t n);

#endif
