/* Operands of matrix products that are kept packed: a weight stays the same for all batches of an evaluation, and in
 * training it is packed while the update has it in the cache; an activation is packed by the product that computes it,
 * in the forms that the next layer's products read. In f32 nothing is gained by that and there is nothing here:
 * ml_packed_floats is 0.
 *
 * What is packed is good for the precision and the instruction set that were in use; ml_packed_form tells. */
#ifndef ML_PACKED_H
#define ML_PACKED_H

#include "kernels/kernels.h"

/* An operand: the left one, a[width, k], or the right one, b[k, width]. */
typedef struct ml_packing {
  enum { ML_LEFT, ML_RIGHT } side;
  int64_t width, k;
} ml_packing;

/* Floats that it takes up, 64-byte aligned; 0 if it cannot be kept: ml_gemm is to be called. */
size_t ml_packed_floats(ml_packing p);

/* Names the form that packing has at present; never 0. */
uint32_t ml_packed_form(void);

/* Parts that are packed begin at multiples of this many rows and columns, and end there or with the matrix. */
int64_t ml_packed_grain(void);

/* Packs a part of x, which is the operand as ml_gemm would read it, in the caller's thread: rows i0..i1-1, columns
 * j0..j1-1 of x. */
void ml_pack_part(float *packed, ml_packing p, ml_matrix x, int64_t i0, int64_t i1, int64_t j0, int64_t j1);

/* Packed operands of a product c[m, n] = a[m, k] b[k, n], and forms of its result that it is to write besides c, if
 * m, n and k are not 0. Any may be NULL. */
typedef struct ml_kept {
  const float *a, *b;       /* read in place of the matrices: {ML_LEFT, m, k}, {ML_RIGHT, n, k} */
  float *c_left, *c_right;  /* c as {ML_LEFT, m, n} and as {ML_RIGHT, n, m} */
} ml_kept;

#define ML_NOTHING_KEPT ((ml_kept){.a = NULL})

/* ml_gemm with operands that were packed whole, in the form that is in use: the same bits. */
void ml_gemm_kept(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_kept kept, ml_epilogue e, int64_t m, int64_t n,
                  int64_t k, float *work);

#endif
