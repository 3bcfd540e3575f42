/* The loops of augmentation: picks the instruction set's, and prepares the bordered sources. Called by src/data; starts
 * no threads. */
#include "kernels/resample.h"

#include <string.h>

#include "base/integer.h"
#include "kernels/isa.h"
#include "kernels/resample_table.h"

static const ml_resample_table *table(void) { return ML_FOR_ISA(ml_resample); }

int64_t ml_resample_padded(int64_t width) {
  return ml_round_up(width, ML_RESAMPLE_LANES);
}

void ml_resample_quads(uint32_t *quads, const uint8_t *x, int64_t height, int64_t width, uint8_t *border) {
  const int64_t stride = ml_resample_stride(width);
  memset(border, 0, (size_t)ml_resample_area(height, width));
  for (int64_t i = 0; i < height; i++) memcpy(border + (i + 1) * stride + 1, x + i * width, (size_t)width);
  table()->quads(quads, border, height, stride);
}

void ml_resample_plane(float *plane, const float *x, int64_t height, int64_t width, float background) {
  const int64_t stride = ml_resample_stride(width), area = ml_resample_area(height, width);
  for (int64_t i = 0; i < area; i++) plane[i] = background;
  for (int64_t i = 0; i < height; i++)
    memcpy(plane + (i + 1) * stride + 1, x + i * width, (size_t)width * sizeof *x);
}

void ml_resample_expand(float *rows, const float *control, const float *weights, int64_t count, int64_t points,
                        int64_t padded) {
  table()->expand(rows, control, weights, count, points, padded);
}

void ml_resample_u8(float *y, const uint32_t *quads, const ml_warp *w, float scale, float offset) {
  table()->u8(y, quads, w, scale, offset);
}

void ml_resample_f32(float *y, const float *plane, const ml_warp *w, float scale, float offset) {
  table()->f32(y, plane, w, scale, offset);
}

void ml_random_bits(uint32_t *out, int64_t blocks, const uint32_t counter[4], const uint32_t key[2]) {
  table()->bits(out, blocks, counter, key);
}

void ml_add_noise(float *y, int64_t n, float std, const uint32_t counter[4], const uint32_t key[2]) {
  table()->noise(y, n, std, counter, key);
}

void ml_mix_pair(float *a, float *b, int64_t n, float keep) { table()->mix(a, b, n, keep); }
