/* The right operand of a matrix product, packed once for many products: a weight stays the same for all batches of an
 * evaluation, and in training it is packed while the update has it in the cache. In f32 nothing is gained by that and
 * there is nothing here: ml_packed_floats is 0.
 *
 * What is packed is good for the precision and the instruction set that were in use; ml_packed_form tells. */
#ifndef ML_PACKED_H
#define ML_PACKED_H

#include "kernels/kernels.h"

/* Floats that b[k, n] takes up, 64-byte aligned; 0 if it cannot be kept: ml_gemm is to be called. */
size_t ml_packed_floats(int64_t n, int64_t k);

/* Names the form that packing has at present; never 0. */
uint32_t ml_packed_form(void);

/* Columns are packed in groups of this many. */
int64_t ml_packed_group(void);

/* Packs columns begin..end-1 of b[k, n], in the caller's thread; begin is a multiple of ml_packed_group, end too or
 * n. */
void ml_pack_columns(float *packed, ml_matrix b, int64_t n, int64_t k, int64_t begin, int64_t end);

/* ml_gemm with a right operand b[k, n] that was packed in the form that is in use, whole: the same bits. */
void ml_gemm_packed(float *c, int64_t ldc, ml_matrix a, const float *packed, ml_epilogue e, int64_t m, int64_t n,
                    int64_t k, float *work);

#endif
