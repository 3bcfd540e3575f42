/* Packing for the matrix product: copies a strip of a strided matrix into the panel layout that the register kernels
 * read, padding with zeros. Called by gemm.c and conv_kernel.c. */
#include "kernels/gemm_micro.h"

#include <string.h>

#include "kernels/vec4.h"

/* Any strides, any count. */
static void pack_any(float *panel, int width, int count, const float *x, int64_t stride_w, int64_t stride_p,
                     int64_t k) {
  for (int64_t p = 0; p < k; p++) {
    for (int w = 0; w < count; w++) panel[p * width + w] = x[w * stride_w + p * stride_p];
    for (int w = count; w < width; w++) panel[p * width + w] = 0.0f;
  }
}

/* stride_w is 1: rows of `width` floats, copied as they are. They may lie pages apart, where the hardware fetches none
 * ahead. */
static void pack_rows(float *panel, int width, const float *x, int64_t stride_p, int64_t k) {
  for (int64_t p = 0; p < k; p++, panel += width, x += stride_p) {
    __builtin_prefetch(x + (k - p > 16 ? 16 * stride_p : 0));
    int w = 0;
    for (; w + 4 <= width; w += 4) ml_vec4_store(panel + w, ml_vec4_load(x + w));
    if (w < width) memcpy(panel + w, x + w, 2 * sizeof *x);
  }
}

/* stride_p is 1: a transpose, in blocks of 16 along k so that a few cache lines are read at a time. */
static void pack_columns(float *panel, int width, int count, const float *x, int64_t stride_w, int64_t k) {
  const int fours = count / 4 * 4;
  const int64_t whole = k - k % 4;
  if (count < width) memset(panel, 0, (size_t)(width * k) * sizeof *panel);
  for (int64_t p0 = 0; p0 < whole; p0 += 16) {
    const int64_t end = p0 + 16 < whole ? p0 + 16 : whole;
    for (int w = 0; w < fours; w += 4) {
      for (int64_t p = p0; p < end; p += 4) {
        ml_vec4_transpose(panel + p * width + w, width, x + w * stride_w + p, stride_w);
      }
    }
    for (int64_t p = p0; p < end; p++) {
      for (int w = fours; w < count; w++) panel[p * width + w] = x[w * stride_w + p];
    }
  }
  pack_any(panel + whole * width, width, count, x + whole, stride_w, 1, k - whole);
}

void ml_pack_panel(float *panel, int width, int count, const float *x, int64_t stride_w, int64_t stride_p, int64_t k) {
  if (count == width && stride_w == 1) {
    pack_rows(panel, width, x, stride_p, k);
  } else if (stride_p == 1) {
    pack_columns(panel, width, count, x, stride_w, k);
  } else {
    pack_any(panel, width, count, x, stride_w, stride_p, k);
  }
}
