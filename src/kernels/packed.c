/* Packing operands ahead of their products, whole or in parts, and the products that read them. Called by the
 * operations, and by gemm_bf16.c for results that are packed as they are computed.
 *
 * A packed operand is a single stage of gemm_bf16.c: its panels of mr rows, or nr columns, one after the other, each of
 * all steps along K. So a part that is whole panels one way and whole steps the other way is packed by itself. */
#include "kernels/packed.h"

#include "base/cpu.h"
#include "base/integer.h"
#include "kernels/gemm_bf16.h"

enum { MOST_COLUMNS = 1024, GRAIN = 96 /* a multiple of every kernel's mr and nr and of a step */ };

static int64_t panel_width(const ml_bf16_micro *micro, ml_packing p) {
  return p.side == ML_LEFT ? micro->mr : micro->nr;
}

/* Bytes of `products` along K, a multiple of a step or all there are, in a panel. */
static int64_t panel_bytes(const ml_bf16_micro *micro, ml_packing p, int64_t products) {
  return ml_bf16_steps(products, ml_precision_in_use()) * ML_BF16_STEP * panel_width(micro, p) * micro->element;
}

size_t ml_packed_floats(ml_packing p) {
  const ml_precision precision = ml_precision_in_use();
  const ml_bf16_micro *micro = ml_bf16_micro_in_use();
  if (precision == ML_PRECISION_F32 || p.width < 1 || p.k < 1) return 0;
  if (p.side == ML_RIGHT && p.width > MOST_COLUMNS) return 0;
  if (p.k > ml_bf16_stage_depth(micro, precision)) return 0;
  return (size_t)(ml_ceil_div(p.width, panel_width(micro, p)) * panel_bytes(micro, p, p.k)) / sizeof(float);
}

uint32_t ml_packed_form(void) { return 1u + (uint32_t)ml_precision_in_use() + 16u * (uint32_t)ml_cpu_isa(); }

int64_t ml_packed_grain(void) {
  const ml_bf16_micro *micro = ml_bf16_micro_in_use();
  return ML_BF16_STEP % micro->mr == 0 ? ML_BF16_STEP : GRAIN;
}

void ml_pack_part(float *packed, ml_packing p, ml_matrix x, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const ml_bf16_micro *micro = ml_bf16_micro_in_use();
  const bool left = p.side == ML_LEFT;
  const int64_t width = panel_width(micro, p), w0 = left ? i0 : j0, w1 = left ? i1 : j1, p0 = left ? j0 : i0;
  const int64_t products = (left ? j1 : i1) - p0;
  const int64_t along_width = left ? x.row : x.col, along_k = left ? x.col : x.row;
  char *to = (char *)packed + panel_bytes(micro, p, p0);
  for (int64_t w = w0; w < w1; w += width) {
    char *panel = to + w / width * panel_bytes(micro, p, p.k);
    const float *from = x.data + w * along_width + p0 * along_k;
    (left ? micro->pack_a : micro->pack_b)(panel, from, along_width, along_k, ml_min64(width, w1 - w), products,
                                           ml_precision_in_use());
  }
}

void ml_gemm_kept(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_kept kept, ml_epilogue e, int64_t m, int64_t n,
                  int64_t k, float *work) {
  if (kept.a || kept.b || kept.c_left || kept.c_right) {
    if (m > 0 && n > 0) ml_gemm_bf16(c, ldc, a, b, kept, e, m, n, k, work, ml_precision_in_use());
  } else {
    ml_gemm(c, ldc, a, b, e, m, n, k, work);
  }
}
