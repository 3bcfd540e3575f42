/* Pictures of one size from pictures of any: a table of weights for each axis, then rows, then columns. Called by
 * images.c for each picture, from several threads; sums run in a fixed order, in double.
 *
 * With s = from / to, result i covers [i s, (i + 1) s) of the source when s > 1; otherwise it lies at (i + 0.5) s - 0.5
 * between the centres of two pixels. */
#include "data/picture_fit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"

/* Where result i begins in the source, and its `taps` weights, which sum to 1. */
typedef struct axis {
  int64_t to, taps;
  int64_t *first;    /* [to] */
  double *weight;    /* [to, taps] */
} axis;

static void cover(axis *a, int64_t i, int64_t from) {
  const double s = (double)from / (double)a->to, begin = (double)i * s, end = (double)(i + 1) * s;
  int64_t first = (int64_t)begin;
  if (first > from - a->taps) first = from - a->taps;
  a->first[i] = first;
  for (int64_t k = 0; k < a->taps; k++) {
    const double low = fmax(begin, (double)(first + k)), high = fmin(end, (double)(first + k + 1));
    a->weight[i * a->taps + k] = high > low ? (high - low) / s : 0;
  }
}

static void interpolate(axis *a, int64_t i, int64_t from) {
  const double at = fmax(((double)i + 0.5) * (double)from / (double)a->to - 0.5, 0);
  int64_t first = (int64_t)at;
  if (first > from - a->taps) first = from - a->taps;
  const double share = a->taps > 1 ? fmin(at - (double)first, 1) : 0;
  a->first[i] = first;
  a->weight[i * a->taps] = 1 - share;
  if (a->taps > 1) a->weight[i * a->taps + 1] = share;
}

static bool axis_init(axis *a, int64_t to, int64_t from) {
  *a = (axis){.to = to, .taps = ml_min64(to >= from ? 2 : from / to + 2, from)};
  a->first = ml_alloc((size_t)to * sizeof *a->first);
  a->weight = ml_alloc((size_t)(to * a->taps) * sizeof *a->weight);
  if (!a->first || !a->weight) return false;
  for (int64_t i = 0; i < to; i++)
    if (to < from) cover(a, i, from);
    else interpolate(a, i, from);
  return true;
}

static void axis_free(axis *a) {
  ml_free(a->first);
  ml_free(a->weight);
}

/* row [values] = sum over k of weight k times source row first + k. */
static void mix_rows(double *row, const axis *a, int64_t i, const uint8_t *x, int64_t values) {
  memset(row, 0, (size_t)values * sizeof *row);
  for (int64_t k = 0; k < a->taps; k++) {
    const double w = a->weight[i * a->taps + k];
    const uint8_t *source = x + (a->first[i] + k) * values;
    if (w == 0) continue;
    for (int64_t j = 0; j < values; j++) row[j] += w * source[j];
  }
}

/* One row of one channel. */
static void mix_columns(uint8_t *y, const axis *a, const double *row, int channels, int channel) {
  for (int64_t i = 0; i < a->to; i++) {
    double sum = 0;
    for (int64_t k = 0; k < a->taps; k++)
      sum += a->weight[i * a->taps + k] * row[(a->first[i] + k) * channels + channel];
    y[i] = (uint8_t)fmin(sum + 0.5, 255);
  }
}

static void separate(uint8_t *y, const uint8_t *x, int64_t pixels, int channels) {
  for (int c = 0; c < channels; c++)
    for (int64_t i = 0; i < pixels; i++) y[c * pixels + i] = x[i * channels + c];
}

ml_status ml_picture_fit(uint8_t *y, int64_t height, int64_t width, const uint8_t *x, int64_t from_height,
                         int64_t from_width, int channels, ml_error *err) {
  if (height == from_height && width == from_width) {
    separate(y, x, height * width, channels);
    return ML_OK;
  }
  axis down = {.to = 0}, across = {.to = 0};
  double *row = ml_alloc((size_t)(from_width * channels) * sizeof *row);
  const bool ready = row && axis_init(&down, height, from_height) && axis_init(&across, width, from_width);
  for (int64_t i = 0; ready && i < height; i++) {
    mix_rows(row, &down, i, x, from_width * channels);
    for (int c = 0; c < channels; c++) mix_columns(y + (c * height + i) * width, &across, row, channels, c);
  }
  ml_free(row);
  axis_free(&down);
  axis_free(&across);
  return ready ? ML_OK : ml_fail(err, ML_NOMEM, "no memory to fit a picture into %lldx%lld", (long long)width,
                                 (long long)height);
}
