/* The register kernels that convolutions multiply with: those of the matrix product, in f32 or in bf16, behind one
 * interface. Internal to src/kernels: conv_product.c and conv_dw.c use it.
 *
 * Products are walked in blocks of ml_conv_block(k) (the last may be shorter); a block's panels are packed, and each
 * `run` continues an element of c: in f32 by adding the block's sum, in bf16 by going on with the chain. */
#ifndef ML_CONV_KERNEL_H
#define ML_CONV_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv_unit.h"
#include "kernels/gemm_bf16.h"

enum {
  ML_CONV_MAX_ROWS = 32, /* of a tile of any kernel */
  ML_CONV_MAX_COLS = 32,
  ML_CONV_MAX_BLOCK = 320, /* a multiple of 16 and of ML_BF16_STEP */
  ML_CONV_PANEL_BYTES = 4 * ML_CONV_MAX_BLOCK * ML_CONV_MAX_ROWS /* a block's panel, packed */
};

typedef struct ml_conv_kernel {
  const ml_conv_unit *unit;
  const ml_bf16_micro *bf16; /* NULL: f32 */
  ml_precision precision;
  int mr, nr;
  int step; /* rows are computed in multiples of it */
} ml_conv_kernel;

ml_conv_kernel ml_conv_kernel_in_use(void);

/* Products per block when there are k > 0 in all. Not of the instruction set's choosing. */
int64_t ml_conv_block(const ml_conv_kernel *kernel, int64_t k);

/* Bytes of a packed panel of `width` rows or columns, a multiple of 64 in bf16; at most ML_CONV_SPREAD floats for every
 * product, k rounded up to whole steps, and row. */
size_t ml_conv_panel_bytes(const ml_conv_kernel *kernel, int width, int64_t k);
#define ML_CONV_SPREAD 3

/* Packs row (or column) i < count, product p < k of x[i * stride + p]; zeros from count on. */
void ml_conv_pack_a(const ml_conv_kernel *kernel, void *panel, const float *x, int64_t stride, int64_t count,
                    int64_t k);
void ml_conv_pack_b(const ml_conv_kernel *kernel, void *panel, const float *x, int64_t stride, int64_t count,
                    int64_t k);

/* Panels of A, a_stride bytes apart, by one of B: `rows` of c, rounded up to a multiple of `step`, nr columns, k
 * products, a block or less. */
static inline void ml_conv_run(const ml_conv_kernel *kernel, float *c, int64_t ldc, const char *a, size_t a_stride,
                               int64_t rows, const void *b, int64_t k, ml_finish f) {
  if (kernel->bf16) {
    const int64_t steps = ml_bf16_steps(k, kernel->precision);
    kernel->bf16->run(c, ldc, a, (int64_t)a_stride, (rows + kernel->mr - 1) / kernel->mr, b, steps, f);
    return;
  }
  for (; rows > 0; rows -= kernel->mr, a += a_stride, c += kernel->mr * ldc) {
    kernel->unit->micro->run_packed(c, ldc, (const float *)(const void *)a, b, kernel->nr, k, rows, &f);
  }
}

#endif
