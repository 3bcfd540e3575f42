/* Packing for the matrix product: copies strips of a strided matrix into the panel layout that the register kernels
 * read, padding with zeros. Called by gemm.c, by the emulation of bf16, by conv_kernel.c and by recurrent.c. */
#include "kernels/gemm_micro.h"

#include <string.h>

#include "kernels/vec4.h"

enum {
  LINE = 16, /* floats of a cache line */
  ROWS_AHEAD = 16
};

/* Any strides, any count. */
static void pack_any(float *panel, int width, int count, const float *x, int64_t stride_w, int64_t stride_p,
                     int64_t k) {
  for (int64_t p = 0; p < k; p++) {
    for (int w = 0; w < count; w++) panel[p * width + w] = x[w * stride_w + p * stride_p];
    for (int w = count; w < width; w++) panel[p * width + w] = 0.0f;
  }
}

/* stride_w is 1, and so x's rows are read from end to end, each into all `panels` panels: copied panel by panel, a
 * line of x would be fetched for a few floats at a time. Rows may lie pages apart, where the hardware fetches none
 * ahead. */
static void pack_rows(float *panel, int width, int64_t panels, const float *x, int64_t stride_p, int64_t k) {
  for (int64_t p = 0; p < k; p++, x += stride_p) {
    const float *from = x, *later = x + (k - p > ROWS_AHEAD ? ROWS_AHEAD * stride_p : 0);
    float *to = panel + p * width;
    for (int64_t j = 0; j < panels * width; j += LINE) __builtin_prefetch(later + j);
    for (int64_t i = 0; i < panels; i++, from += width, to += width * k) {
      int w = 0;
      for (; w + 4 <= width; w += 4) ml_vec4_store(to + w, ml_vec4_load(from + w));
      if (w < width) memcpy(to + w, from + w, 2 * sizeof *to);
    }
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

void ml_pack_panels(float *panels, int width, int64_t count, const float *x, int64_t stride_w, int64_t stride_p,
                    int64_t k) {
  int64_t done = 0;
  if (stride_w == 1) {
    done = count / width * width;
    pack_rows(panels, width, done / width, x, stride_p, k);
  }
  for (; done < count; done += width) {
    float *panel = panels + done * k;
    const float *from = x + done * stride_w;
    const int columns = (int)(count - done < width ? count - done : width);
    if (stride_p == 1) {
      pack_columns(panel, width, columns, from, stride_w, k);
    } else {
      pack_any(panel, width, columns, from, stride_w, stride_p, k);
    }
  }
}
