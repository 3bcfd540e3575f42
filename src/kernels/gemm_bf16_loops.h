/* What the kernels that emulate AMX share: their panels, which hold the rounded operands as floats, [k][MR] and
 * [k][NR], the way through a tile, and the table ML_BF16_MICRO_NAME. Included by gemm_bf16_portable.c, gemm_bf16_avx2.c
 * and gemm_bf16_avx512.c, by nothing else; each compiles it for its instruction set. They define, beside that name:
 *
 *   MR, NR, GROUP    the size of a tile; the rows that add_step does at a time, a divisor of MR
 *   add_step         sums[GROUP, NR] += one step of a[., MR], the rows from a[., 0] on, and b[., NR]
 *   begin_flushing, end_flushing    around it: subnormals as zeros, where the processor has a mode for that
 */
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
  ml_pack_panels(panel, width, count, x, stride_w, stride_p, k);
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

/* sums[MR, NR] = add ? c : 0 */
static inline void begin_tile(float *sums, const float *c, int64_t ldc, bool add) {
  for (int i = 0; i < MR; i++) {
    for (int j = 0; j < NR; j++) sums[i * NR + j] = add ? c[i * ldc + j] : 0.0f;
  }
}

/* c[MR, NR] = sums, with bias and relu */
static inline void end_tile(float *c, int64_t ldc, const float *sums, ml_finish f) {
  for (int i = 0; i < MR; i++) {
    for (int j = 0; j < NR; j++) {
      float v = sums[i * NR + j];
      if (f.bias) v += f.bias[j];
      c[i * ldc + j] = f.relu && v < 0.0f ? 0.0f : v;
    }
  }
}

/* Not inlined: its arithmetic has to stay between begin_flushing and end_flushing. */
static __attribute__((noinline)) void add_steps(float *sums, const float *a, const float *b, int64_t steps) {
  for (int64_t s = 0; s < steps; s++, a += ML_BF16_STEP * MR, b += ML_BF16_STEP * NR) {
    for (int g = 0; g < MR; g += GROUP) add_step(sums + g * NR, a + g, b);
  }
}

static void run(float *c, int64_t ldc, const void *a, int64_t a_stride, int64_t count, const void *b, int64_t steps,
                ml_finish f) {
  _Alignas(64) float sums[MR * NR];
  for (int64_t q = 0; q < count; q++, c += MR * ldc) {
    begin_tile(sums, c, ldc, f.add);
    const uint32_t mode = begin_flushing();
    add_steps(sums, (const float *)((const char *)a + q * a_stride), b, steps);
    end_flushing(mode);
    end_tile(c, ldc, sums, f);
  }
}

static void pack_a(void *panel, const float *x, int64_t stride_i, int64_t stride_p, int64_t rows, int64_t k,
                   ml_precision precision) {
  pack_widened(panel, MR, x, stride_i, stride_p, rows, k, precision, false);
}

static void pack_b(void *panel, const float *x, int64_t stride_j, int64_t stride_p, int64_t cols, int64_t k,
                   ml_precision precision) {
  pack_widened(panel, NR, x, stride_j, stride_p, cols, k, precision, true);
}

const ml_bf16_micro ML_BF16_MICRO_NAME = {MR, NR, sizeof(float), 10, pack_a, pack_b, run};
