/* The loops of augmentation: a picture resampled through an affine map and a smooth bend at once, noise, mixing. Called
 * by src/data for one picture at a time, from any thread; they start no threads themselves. Everything is plain f32
 * arithmetic, uncontracted: the same bits on every instruction set.
 *
 * A picture has height x width pixels; row and column numbers are coordinates, and everything outside is background. */
#ifndef ML_RESAMPLE_H
#define ML_RESAMPLE_H

#include <stdint.h>

/* Loops over a row run in steps of LANES pixels, so buffers of a row are up to that much wider; BAND rows are on their
 * way at a time. */
enum { ML_RESAMPLE_LANES = 16, ML_RESAMPLE_BAND = 8 };

/* width rounded up to whole steps: the size of a row's buffers. */
int64_t ml_resample_padded(int64_t width);

/* ---- the source, with a border that can be read ---- */

/* Pixel (i, j) of a bordered source is number (i + 1) * stride + j + 1, with stride = width + 3; there are
 * (height + 3) * stride of them. */
static inline int64_t ml_resample_stride(int64_t width) { return width + 3; }
static inline int64_t ml_resample_area(int64_t height, int64_t width) { return (height + 3) * (width + 3); }

/* quads[area]: at the number of (i, j) the bytes x(i, j), x(i, j+1), x(i+1, j), x(i+1, j+1) of x[height, width], the
 * first one lowest; outside of x is 0. One read fetches all that a bilinear sample needs. border[area] is workspace. */
void ml_resample_quads(uint32_t *quads, const uint8_t *x, int64_t height, int64_t width, uint8_t *border);

/* plane[area]: x[height, width] with `background` around it. */
void ml_resample_plane(float *plane, const float *x, int64_t height, int64_t width, float background);

/* ---- the map ---- */

/* A smooth displacement: cubic B-splines over a coarse grid of control points. The grid's columns have been expanded to
 * pixels (ml_resample_expand); its rows are mixed while the picture is resampled:
 *   d(i, j) = sum over k of taps[i][k] rows[first[i] + k][j]. */
typedef struct ml_bend {
  const float *x_rows, *y_rows;   /* [control rows][padded width] */
  const int32_t *first;           /* [height] */
  const float (*taps)[4];         /* [height] */
} ml_bend;

/* rows[count, padded] = control[count, points] weights[points, padded], padded a multiple of the lanes. */
void ml_resample_expand(float *rows, const float *control, const float *weights, int64_t count, int64_t points,
                        int64_t padded);

/* Where output pixel (i, j) is taken from: with u = j - (width - 1) / 2 and v = i - (height - 1) / 2,
 *   column x0 + xx u + xy v + bend_x(i, j), row y0 + yx u + yy v + bend_y(i, j). */
typedef struct ml_warp {
  int64_t height, width;
  float xx, xy, x0, yx, yy, y0;
  ml_bend bend;                   /* x_rows of NULL for none */
  float *work;                    /* ml_resample_workspace(width) floats */
} ml_warp;

static inline int64_t ml_resample_workspace(int64_t width) {
  return (2 + 3 * ML_RESAMPLE_BAND) * (width + ML_RESAMPLE_LANES);
}

/* y[height, width] = scale * bilinear sample + offset. */
void ml_resample_u8(float *y, const uint32_t *quads, const ml_warp *w, float scale, float offset);
void ml_resample_f32(float *y, const float *plane, const ml_warp *w, float scale, float offset);

/* ---- random numbers in bulk ---- */

/* out[4 * blocks]: number k of Philox block counter[3] + b at out[k * blocks + b]. */
void ml_random_bits(uint32_t *out, int64_t blocks, const uint32_t counter[4], const uint32_t key[2]);

/* y[i] += std * z[i], z normal by Box-Muller, in spans of 64: of 16 blocks from counter[3] on the numbers 0 and 1 make
 * the first 32 of a span (radius from 0; cosines, then sines, of 1), the numbers 2 and 3 the others. */
void ml_add_noise(float *y, int64_t n, float std, const uint32_t counter[4], const uint32_t key[2]);

/* ---- two pictures ---- */

/* (a, b) = (keep a + (1 - keep) b, keep b + (1 - keep) a) */
void ml_mix_pair(float *a, float *b, int64_t n, float keep);

#endif
