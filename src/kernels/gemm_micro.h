/* The seam between the matrix product's blocking (gemm.c), its packing (gemm_pack.c) and the register kernels, one per
 * instruction set. Internal to src/kernels.
 *
 * A register kernel multiplies one panel of A, mr rows, by one of B, nr columns. Panels are packed, as [k][mr] and
 * [k][nr], unless their rows lie contiguous anyway. Packed panels are padded with zeros to full width, so there is no
 * tail code: an edge tile is computed in whole columns, and rows rounded up to `step`, into a small buffer, of which
 * gemm.c copies the part that exists. Every output element is thus the same chain of operations wherever it lies. */
#ifndef ML_GEMM_MICRO_H
#define ML_GEMM_MICRO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/integer.h"
#include "base/region.h"

#define ML_MICRO_MAX_ROWS 12
#define ML_MICRO_MAX_COLS 32
#define ML_MICRO_MIN_WIDTH 4 /* of mr and of nr */

/* Handed over by reference: copied, its fields would be stored one by one and loaded as a whole, for which a processor
 * waits until all stores before it are done.
 *
 * What becomes of a tile's sums s, in this order: v = add ? c + s : s; v += bias[j] unless NULL; with relu
 * v = max(v, 0), a NaN staying one; c = v. */
typedef struct ml_finish {
  bool add, relu;
  const float *bias; /* of the tile's first column */
} ml_finish;

typedef struct ml_micro {
  int mr, nr; /* mr divides ML_MICRO_MAX_ROWS and is even; nr divides ML_MICRO_MAX_COLS and is a multiple of 4 */
  int step;   /* divides mr */

  /* s[i, j] = sum over p, ascending, of a[p, i] b[p, j]; c = finish(s). c has the row stride ldc, b ldb, which is nr
   * where it is packed. The first `rows` of the mr rows, rounded up to a multiple of `step`, are read and written. */
  void (*run_packed)(float *c, int64_t ldc, const float *a, const float *b, int64_t ldb, int64_t k, int64_t rows,
                     const ml_finish *f);

  /* The same sums for rows of A as they lie in memory, a[i * lda + p]: packing them would only cost. */
  void (*run_rows)(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t k,
                   int64_t rows, const ml_finish *f);

  /* The same sums over p = at[0], at[1], ... at[count - 1] only, in this order: the products of the others are known
   * to be zeros (gemm_zeros.h). a[p, i] lies at a[i * row + p * step]. */
  void (*run_some)(float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t ldb,
                   const uint16_t *at, int64_t count, int64_t rows, const ml_finish *f);
} ml_micro;

/* How sums along k are cut: the size of the blocks, as few as the limit allows, all equal but for the last. Part of
 * what a product in f32 is: whoever computes one block by block, in ascending order, gives the same bits. A panel of
 * B, [320][16], stays in a 32 KB L1 cache beside one of A, [320][6]. */
#define ML_K_BLOCK 320
static inline int64_t ml_k_block(int64_t k) {
  return ml_ceil_div(k, ml_ceil_div(k, ML_K_BLOCK));
}

extern const ml_micro ml_micro_portable;
#ifdef __x86_64__
extern const ml_micro ml_micro_avx2, ml_micro_avx512;
#endif

/* The ranges that a register kernel is about to touch: mr rows of A, a[p, i] at a[i * row + p * step], k rows of B,
 * those of `at` unless it is NULL, and mr rows of c. */
static inline void ml_micro_touch(const float *c, int64_t ldc, const float *a, int64_t row, int64_t step, int mr,
                                  const float *b, int64_t ldb, const uint16_t *at, int64_t k, int nr,
                                  const ml_finish *f) {
  const size_t one = sizeof(float);
  if (at) {
    for (int64_t q = 0; q < k; q++) {
      ml_touch(b + at[q] * ldb, (size_t)nr * one);
      for (int i = 0; i < mr; i++) ml_touch(a + i * row + at[q] * step, one);
    }
  } else {
    if (ldb == nr) ml_touch(b, (size_t)(k * nr) * one);
    for (int64_t p = 0; p < k && ldb != nr; p++) ml_touch(b + p * ldb, (size_t)nr * one);
    if (k > 0 && step > 1) ml_touch(a, (size_t)((k - 1) * step + mr) * one);
    for (int i = 0; i < mr && step == 1; i++) ml_touch(a + i * row, (size_t)k * one);
  }
  for (int i = 0; i < mr; i++) ml_touch(c + i * ldc, (size_t)nr * one);
  if (f->bias) ml_touch(f->bias, (size_t)nr * one);
}

/* Panels of `width` columns, k rows each, one after the other: panel i's element (p, w) is that of x at column
 * j = i * width + w, x[j * stride_w + p * stride_p], for j < count, and 0 in the rest of the last panel. width is
 * even. */
void ml_pack_panels(float *panels, int width, int64_t count, const float *x, int64_t stride_w, int64_t stride_p,
                    int64_t k);

#endif
