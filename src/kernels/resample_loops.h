/* The loops of augmentation, written once as plain C that compilers vectorise. Included by resample_portable.c,
 * resample_avx2.c and resample_avx512.c, which define ML_RESAMPLE_TABLE_NAME and are compiled for their instruction
 * set; by nothing else. The formulas are in resample.h.
 *
 * A band of rows is resampled in three loops over buffers that stay in the first cache: where each pixel comes from
 * (arithmetic only), fetching it (single loads, which gathers do not beat), blending. With a band of one row each loop
 * would wait for the last one's stores. Inner loops have a constant length, which makes them straight vector code. */
#include <stdbool.h>
#include <string.h>

#include "base/fmath.h"
#include "base/integer.h"
#include "base/rng.h"
#include "kernels/loop.h"
#include "kernels/resample_table.h"

enum { LANES = ML_RESAMPLE_LANES, BAND = ML_RESAMPLE_BAND };

/* A band of rows on its way, in buffers of [BAND][padded]. */
typedef struct band {
  const ml_warp *w;
  int64_t padded;
  float *dx, *dy;        /* [padded]: displacement along one row */
  float *fx, *fy;        /* place between the four pixels, 0 to 1; fx is the blended value in the end */
  uint32_t *quad;        /* number of the upper left pixel in the bordered source; then the four pixels */
} band;

static band cut_buffers(const ml_warp *w) {
  const int64_t padded = ml_round_up(w->width, LANES);
  float *d = w->work, *f = d + 2 * padded;
  return (band){w, padded, d, d + padded, f, f + BAND * padded, (uint32_t *)(void *)(f + 2 * BAND * padded)};
}

/* d = the bend's displacement along a row, from four rows of the control grid. */
static void bend_row(float *restrict d, const float *restrict rows, const float taps[4], int64_t padded) {
  const float a = taps[0], b = taps[1], c = taps[2], e = taps[3];
  const float *restrict r1 = rows + padded, *restrict r2 = r1 + padded, *restrict r3 = r2 + padded;
  for (int64_t j = 0; j < padded; j += LANES)
    for (int k = 0; k < LANES; k++) d[j + k] = (a * rows[j + k] + b * r1[j + k]) + (c * r2[j + k] + e * r3[j + k]);
}

static void displace_row(const band *b, int64_t i) {
  const ml_bend *bend = &b->w->bend;
  if (!bend->x_rows) {
    memset(b->dx, 0, 2 * (size_t)b->padded * sizeof *b->dx);
    return;
  }
  const int64_t skip = (int64_t)bend->first[i] * b->padded;
  bend_row(b->dx, bend->x_rows + skip, bend->taps[i], b->padded);
  bend_row(b->dy, bend->y_rows + skip, bend->taps[i], b->padded);
}

/* Coordinates count from the border, 1 more than those of the picture: never below 0, so that cutting off rounds
 * down. Beyond the border everything is background, wherever it lies. */
static void locate_row(float *restrict fx, float *restrict fy, uint32_t *restrict at, const float *restrict dx,
                       const float *restrict dy, const ml_warp *w, int64_t i, int64_t padded) {
  const float v = (float)i - 0.5f * (float)(w->height - 1), middle = 0.5f * (float)(w->width - 1);
  const float x0 = (w->x0 + 1.0f) + w->xy * v, y0 = (w->y0 + 1.0f) + w->yy * v, xx = w->xx, yx = w->yx;
  const float right = (float)(w->width + 1), bottom = (float)(w->height + 1);
  const int32_t stride = (int32_t)ml_resample_stride(w->width);
  for (int64_t j = 0; j < padded; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float u = (float)((int32_t)j + k) - middle;
      float x = (x0 + xx * u) + dx[j + k], y = (y0 + yx * u) + dy[j + k];
      x = x > 0.0f ? x : 0.0f;
      y = y > 0.0f ? y : 0.0f;
      x = x < right ? x : right;
      y = y < bottom ? y : bottom;
      const int32_t column = (int32_t)x, row = (int32_t)y;
      fx[j + k] = x - (float)column;
      fy[j + k] = y - (float)row;
      at[j + k] = (uint32_t)(row * stride + column);
    }
}

static void locate_band(const band *b, int64_t i, int64_t rows) {
  for (int64_t r = 0; r < rows; r++) {
    const int64_t skip = r * b->padded;
    displace_row(b, i + r);
    locate_row(b->fx + skip, b->fy + skip, b->quad + skip, b->dx, b->dy, b->w, i + r, b->padded);
  }
}

static inline float blend(float a, float b, float c, float d, float fx, float fy) {
  const float top = a + fx * (b - a), bottom = c + fx * (d - c);
  return top + fy * (bottom - top);
}

static void blend_quads(float *restrict fx, const float *restrict fy, const uint32_t *restrict quad, int64_t n,
                        float scale, float offset) {
  for (int64_t j = 0; j < n; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const uint32_t q = quad[j + k];
      const float p0 = (float)(int32_t)(q & 255u), p1 = (float)(int32_t)(q >> 8 & 255u);
      const float p2 = (float)(int32_t)(q >> 16 & 255u), p3 = (float)(int32_t)(q >> 24);
      fx[j + k] = scale * blend(p0, p1, p2, p3, fx[j + k], fy[j + k]) + offset;
    }
}

static void resample_u8(float *y, const uint32_t *quads, const ml_warp *w, float scale, float offset) {
  const band b = cut_buffers(w);
  for (int64_t i = 0; i < w->height; i += BAND) {
    const int64_t rows = ml_min64(w->height - i, BAND), n = rows * b.padded;
    locate_band(&b, i, rows);
    for (int64_t j = 0; j < n; j++) b.quad[j] = quads[b.quad[j]];
    blend_quads(b.fx, b.fy, b.quad, n, scale, offset);
    for (int64_t r = 0; r < rows; r++, y += w->width)
      memcpy(y, b.fx + r * b.padded, (size_t)w->width * sizeof *y);
  }
}

static void resample_f32(float *y, const float *plane, const ml_warp *w, float scale, float offset) {
  const band b = cut_buffers(w);
  const int64_t stride = ml_resample_stride(w->width);
  for (int64_t i = 0; i < w->height; i++, y += w->width) {
    locate_band(&b, i, 1);
    for (int64_t j = 0; j < w->width; j++) {
      const float *p = plane + b.quad[j];
      y[j] = scale * blend(p[0], p[1], p[stride], p[stride + 1], b.fx[j], b.fy[j]) + offset;
    }
  }
}

static void make_quads(uint32_t *restrict quads, const uint8_t *restrict border, int64_t height, int64_t stride) {
  const uint8_t *restrict below = border + stride;
  const int64_t n = (height + 2) * stride - 1;
  for (int64_t i = 0; i < n; i++)
    quads[i] = (uint32_t)border[i] | (uint32_t)border[i + 1] << 8 | (uint32_t)below[i] << 16 |
               (uint32_t)below[i + 1] << 24;
}

/* y (+)= c[0] w0 + .. + c[3] w3, where w0 is the first of four rows of weights. */
static void add_four(float *restrict y, const float *restrict c, const float *restrict w0, int64_t padded, bool begin) {
  const float *restrict w1 = w0 + padded, *restrict w2 = w1 + padded, *restrict w3 = w2 + padded;
  const float a = c[0], b = c[1], d = c[2], e = c[3];
  for (int64_t j = 0; j < padded; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float sum = (a * w0[j + k] + b * w1[j + k]) + (d * w2[j + k] + e * w3[j + k]);
      y[j + k] = begin ? sum : y[j + k] + sum;
    }
}

static void expand(float *rows, const float *control, const float *weights, int64_t count, int64_t points,
                   int64_t padded) {
  for (int64_t i = 0; i < count; i++, rows += padded, control += points)
    for (int64_t p = 0; p < points; p += 4) add_four(rows, control + p, weights + p * padded, padded, p == 0);
}

/* ---- random numbers ---- */

static void bits(uint32_t *restrict out, int64_t blocks, const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t *restrict o0 = out, *restrict o1 = o0 + blocks, *restrict o2 = o1 + blocks, *restrict o3 = o2 + blocks;
  const ml_philox_block first = {counter[0], counter[1], counter[2], counter[3]};
  const uint32_t k0 = key[0], k1 = key[1];
  for (int64_t b = 0; b < blocks; b++) {
    ml_philox_block c = {first.w0, first.w1, first.w2, first.w3 + (uint32_t)b};
    ml_philox_rounds(&c, k0, k1);
    o0[b] = c.w0;
    o1[b] = c.w1;
    o2[b] = c.w2;
    o3[b] = c.w3;
  }
}

enum { NOISE_BLOCKS = 16, NOISE_SPAN = 4 * NOISE_BLOCKS };

/* z[2n] from n radii and n angles: cosines, then sines. */
static void box_muller(float *restrict z, const uint32_t *restrict radii, const uint32_t *restrict angles, int n) {
  for (int i = 0; i < n; i++) {
    const float u = ((float)(int32_t)(radii[i] >> 8) + 0.5f) * 0x1p-24f;
    const float turns = (float)(int32_t)(angles[i] >> 8) * 0x1p-24f;
    const float radius = __builtin_sqrtf(-2.0f * ml_logf(u));
    z[i] = radius * ml_cosf2pi(turns);
    z[n + i] = radius * ml_sinf2pi(turns);
  }
}

static void noise(float *restrict y, int64_t n, float std, const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t at[4] = {counter[0], counter[1], counter[2], counter[3]}, drawn[NOISE_SPAN];
  float z[NOISE_SPAN];
  for (; n > 0; n -= NOISE_SPAN, y += NOISE_SPAN, at[3] += NOISE_BLOCKS) {
    bits(drawn, NOISE_BLOCKS, at, key);
    box_muller(z, drawn, drawn + NOISE_BLOCKS, NOISE_BLOCKS);
    box_muller(z + 2 * NOISE_BLOCKS, drawn + 2 * NOISE_BLOCKS, drawn + 3 * NOISE_BLOCKS, NOISE_BLOCKS);
    const int64_t count = ml_min64(n, NOISE_SPAN);
    for (int64_t i = 0; i < count; i++) y[i] += std * z[i];
  }
}

static void mix(float *restrict a, float *restrict b, int64_t n, float keep) {
  const float give = 1.0f - keep;
  for (int64_t i = 0; i < n; i++) {
    const float p = a[i], q = b[i];
    a[i] = keep * p + give * q;
    b[i] = keep * q + give * p;
  }
}

const ml_resample_table ML_RESAMPLE_TABLE_NAME = {make_quads, expand, resample_u8, resample_f32, bits, noise, mix};
