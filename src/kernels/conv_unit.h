/* The loops of a convolution that are compiled once per instruction set. Internal to src/kernels: conv_product.c,
 * conv_dw.c and conv_direct.c call them through ml_conv_unit_in_use; the loops are in conv_loops.h. */
#ifndef ML_CONV_UNIT_H
#define ML_CONV_UNIT_H

#include <stdint.h>

#include "kernels/gemm_micro.h"

#define ML_CONV_MAX_WIDTH 16 /* floats of a vector, at most */

/* Up to `width` pixels beside each other in the staged image: floats src.. go to column col.. of a panel's row. */
typedef struct ml_conv_piece {
  int64_t src, col;
} ml_conv_piece;

/* What a product reads in the staged planes: product p is tap p % taps of channel p / taps, which lies
 * tap[p % taps] + p / taps * plane floats after its pixel. */
typedef struct ml_conv_taps {
  const int64_t *tap;
  int64_t taps, plane;
} ml_conv_taps;

typedef struct ml_conv_unit {
  const ml_micro *micro;
  int width; /* floats of a piece */

  /* out[(p - p0) * stride + col] = staged[src + the offset of p] for the pieces' pixels and p0 <= p < p0 + rows.
   * Pieces come with ascending columns. Every piece is written in full, so up to width - 1 floats past the last row
   * may be written, and as many past a piece's pixels read. */
  void (*gather)(float *out, int64_t stride, const float *staged, const ml_conv_piece *pieces, int64_t count,
                 ml_conv_taps t, int64_t p0, int64_t rows);

  /* y[j] = bias + sum over p < k, ascending, of a[p] staged[j + the offset of p], j < n. Plain arithmetic: the same
   * bits on every instruction set. Reads and writes up to width - 1 floats too far. */
  void (*direct)(float *y, const float *staged, const float *a, float bias, ml_conv_taps t, int64_t k, int64_t n);
} ml_conv_unit;

extern const ml_conv_unit ml_conv_portable;
#ifdef __x86_64__
extern const ml_conv_unit ml_conv_avx2, ml_conv_avx512;
#endif

const ml_conv_unit *ml_conv_unit_in_use(void);

#endif
