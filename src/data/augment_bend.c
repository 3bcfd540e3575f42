/* The elastic bend: a smooth random displacement, new for every sample. Called by augment.c.
 *
 * Simard, Steinkraus and Platt ("Best practices for convolutional neural networks", 2003) smooth white noise with a
 * Gaussian of deviation sigma. Here uniform noise on a coarse grid is smoothed by the cubic B-spline, whose deviation
 * is 1 / sqrt(3) of the grid's spacing and whose shape is nearly a Gaussian's: with a spacing of sqrt(3) sigma a
 * picture of 28 pixels and sigma 4 needs 7 x 7 random numbers for each component, not 784, and no stored fields. The
 * amplitude is chosen so that the root of the mean square over the picture is, on average, what was asked for. */
#include <math.h>

#include "base/memory.h"
#include "data/augment_parts.h"

/* The four cubic B-splines that are not 0 between two points of the grid, t of the way from one to the next. */
static void spline_taps(double taps[4], double t) {
  taps[0] = (1 - t) * (1 - t) * (1 - t) / 6;
  taps[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
  taps[2] = (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6;
  taps[3] = t * t * t / 6;
}

/* An axis of `pixels`, covered by `intervals` of the grid with the overhang shared between its ends. */
typedef struct axis {
  int64_t pixels, intervals;
  double spacing;
} axis;

static axis make_axis(int64_t pixels, double sigma) {
  const double spacing = sqrt(3) * sigma, intervals = ceil((double)(pixels - 1) / spacing);
  return (axis){pixels, intervals < 1 ? 1 : (int64_t)intervals, spacing};
}

/* The first of the four control points that pixel i depends on, and their weights. */
static int32_t axis_taps(const axis *a, int64_t i, double taps[4]) {
  const double overhang = (double)a->intervals - (double)(a->pixels - 1) / a->spacing;
  const double u = (double)i / a->spacing + overhang / 2;
  const int64_t k = (int64_t)u < a->intervals ? (int64_t)u : a->intervals - 1;
  spline_taps(taps, u - (double)k);
  return (int32_t)k;
}

/* The mean over the pixels of sum of taps^2: what remains of the control points' variance along an axis. */
static double mean_variance(const axis *a) {
  double sum = 0, taps[4];
  for (int64_t i = 0; i < a->pixels; i++) {
    axis_taps(a, i, taps);
    for (int k = 0; k < 4; k++) sum += taps[k] * taps[k];
  }
  return sum / (double)a->pixels;
}

bool ml_bend_plan_init(ml_bend_plan *p, ml_picture_size size, double rms, double sigma) {
  const axis x = make_axis(size.width, sigma), y = make_axis(size.height, sigma);
  *p = (ml_bend_plan){.width = size.width, .height = size.height, .padded = ml_resample_padded(size.width),
                      .columns = (x.intervals + 3 + 3) / 4 * 4, .rows = y.intervals + 3};
  p->weights = ml_calloc((size_t)(p->columns * p->padded), sizeof *p->weights);
  p->first = ml_calloc((size_t)size.height, sizeof *p->first);
  p->taps = ml_calloc((size_t)size.height, sizeof *p->taps);
  if (!p->weights || !p->first || !p->taps) return false;
  double taps[4];
  for (int64_t j = 0; j < size.width; j++) {
    const int32_t first = axis_taps(&x, j, taps);
    for (int k = 0; k < 4; k++) p->weights[(first + k) * p->padded + j] = (float)taps[k];
  }
  for (int64_t i = 0; i < size.height; i++) {
    p->first[i] = axis_taps(&y, i, taps);
    for (int k = 0; k < 4; k++) p->taps[i][k] = (float)taps[k];
  }
  const double uniform_variance = 1.0 / 3; /* of -1 to 1 */
  p->amplitude = (float)(rms / sqrt(uniform_variance * mean_variance(&x) * mean_variance(&y)));
  return true;
}

void ml_bend_plan_free(ml_bend_plan *p) {
  ml_free(p->weights);
  ml_free(p->first);
  ml_free(p->taps);
}

ml_bend ml_bend_draw(const ml_bend_plan *p, const uint32_t counter[4], const uint32_t key[2], float strength,
                     ml_augment_scratch *s) {
  const int64_t n = 2 * p->rows * p->columns;
  const float unit = p->amplitude * strength * 0x1p-31f;
  ml_random_bits(s->bits, n / 4, counter, key);
  for (int64_t i = 0; i < n; i++) s->control[i] = unit * (float)(int32_t)s->bits[i];
  ml_resample_expand(s->rows, s->control, p->weights, 2 * p->rows, p->columns, p->padded);
  return (ml_bend){s->rows, s->rows + p->rows * p->padded, p->first, (const float(*)[4])p->taps};
}
