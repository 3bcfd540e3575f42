/* What the kernels that emulate AMX share: their panels, which hold the rounded operands as floats, [k][mr] and
 * [k][nr], and the end of a tile. Included by gemm_bf16_portable.c, gemm_bf16_avx2.c and gemm_bf16_avx512.c, each of
 * which compiles it for its instruction set; it defines static functions only. */
#ifndef ML_GEMM_BF16_LOOPS_H
#define ML_GEMM_BF16_LOOPS_H

#include <string.h>

#include "base/integer.h"
#include "kernels/bf16.h"
#include "kernels/gemm_bf16.h"

static inline void round_all(float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = ml_bf16_round(x[i]);
}

/* high takes the place of x[n]; the other parts follow, low before rest if low_first (B's order). */
static inline void split_all(float *restrict x, float *restrict second, float *restrict third, int64_t n,
                             bool low_first) {
  for (int64_t i = 0; i < n; i++) {
    const ml_bf16_parts parts = ml_bf16_split(x[i]);
    x[i] = parts.high;
    second[i] = low_first ? parts.low : parts.rest;
    third[i] = low_first ? parts.rest : parts.low;
  }
}

/* k products, padded with zeros to whole steps. */
static inline void copy_panel(float *panel, int width, int count, const float *x, int64_t stride_w, int64_t stride_p,
                              int64_t k) {
  const int64_t padding = (ML_BF16_STEP - k % ML_BF16_STEP) % ML_BF16_STEP;
  ml_pack_panel(panel, width, count, x, stride_w, stride_p, k);
  memset(panel + k * width, 0, (size_t)(padding * width) * sizeof *panel);
}

static inline void pack_widened(float *panel, int width, const float *x, int64_t stride_w, int64_t stride_p,
                                int64_t count, int64_t k, ml_precision precision, bool is_b) {
  const int64_t step = ML_BF16_STEP * width;
  if (precision != ML_PRECISION_BF16X3) {
    copy_panel(panel, width, (int)count, x, stride_w, stride_p, k);
    round_all(panel, k * width);
    return;
  }
  for (int64_t p = 0; p < k; p += ML_BF16_STEP, panel += 3 * step) {
    const int64_t depth = ml_min64(k - p, ML_BF16_STEP);
    copy_panel(panel, width, (int)count, x + p * stride_p, stride_w, stride_p, depth);
    split_all(panel, panel + step, panel + 2 * step, step, is_b);
  }
}

/* sums[mr, nr] = f.add ? c : 0 */
static inline void begin_tile(float *sums, const float *c, int64_t ldc, int mr, int nr, bool add) {
  for (int i = 0; i < mr; i++) {
    for (int j = 0; j < nr; j++) sums[i * nr + j] = add ? c[i * ldc + j] : 0.0f;
  }
}

/* c[mr, nr] = sums, with bias and relu */
static inline void end_tile(float *c, int64_t ldc, const float *sums, int mr, int nr, ml_finish f) {
  for (int i = 0; i < mr; i++) {
    for (int j = 0; j < nr; j++) {
      float v = sums[i * nr + j];
      if (f.bias) v += f.bias[j];
      c[i * ldc + j] = f.relu && v < 0.0f ? 0.0f : v;
    }
  }
}

#endif
