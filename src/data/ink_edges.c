/* Shadows and tables along the sides of a picture, taken for what they are. Called by prepare.c.
 *
 * From each side inwards, line by line: what most pixels of a stretch of the line have in common is not the digit,
 * which crosses it in a stroke or two. So the median of that stretch is taken off, and whoever stood in the shadow
 * stays. It ends, for each place along the side, at the first line without such a shadow. */
#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "data/ink.h"

enum { BINS = 128, SIDES = 4 };

/* The picture seen from one of its sides: at(i, d) is u[start + i * along + d * inward], d = 0 at the side. */
typedef struct view {
  float *u;
  int64_t start, along, inward, length, depth;
} view;

static view view_of(float *u, int side, int64_t height, int64_t width) {
  switch (side) {
    case 0: return (view){u, 0, 1, width, width, height};
    case 1: return (view){u, (height - 1) * width, 1, -width, width, height};
    case 2: return (view){u, 0, width, 1, height, width};
    default: return (view){u, width - 1, width, -1, height, width};
  }
}

/* The share of the side's pixels that differ from paper as ink does. */
static double covered(const view *v, double least) {
  int64_t count = 0;
  for (int64_t i = 0; i < v->length; i++) count += v->u[v->start + i * v->along] > least;
  return (double)count / (double)v->length;
}

static int bin_of(float u) { return (int)fminf(fmaxf(u, 0) / 2, BINS - 1); }

static float median(const int32_t *counts, int64_t n) {
  int64_t below = 0;
  int b = 0;
  while (2 * (below + counts[b]) < n) below += counts[b++];
  return (float)(2 * b);
}

/* m [length]: the medians of line d in windows of `reach` to either side. */
static void medians(float *m, const view *v, int64_t d, int64_t reach) {
  const float *line = v->u + v->start + d * v->inward;
  int32_t counts[BINS] = {0};
  int64_t n = 0;
  for (int64_t i = 0; i < ml_min64(reach, v->length); i++, n++) counts[bin_of(line[i * v->along])]++;
  for (int64_t i = 0; i < v->length; i++) {
    if (i + reach < v->length) counts[bin_of(line[(i + reach) * v->along])]++, n++;
    if (i > reach) counts[bin_of(line[(i - reach - 1) * v->along])]--, n--;
    m[i] = median(counts, n);
  }
}

/* m and more [length] are scratch; more[i] tells whether the shadow at i has come so far. What begins along less than
 * half of the side may be a stroke of a digit close to it. */
static void take_off(const view *v, float *m, bool *more, double least) {
  const int64_t reach = ml_max64(v->length / 10, 2);
  int64_t count = v->length;
  memset(more, true, (size_t)v->length * sizeof *more);
  for (int64_t d = 0; count > 0 && 3 * d < v->depth; d++) {
    count = 0;
    medians(m, v, d, reach);
    for (int64_t i = 0; i < v->length; i++) {
      more[i] = more[i] && m[i] >= least;
      count += more[i];
    }
    if (d == 0 && 2 * count < v->length) return;
    for (int64_t i = 0; i < v->length; i++)
      if (more[i]) v->u[v->start + i * v->along + d * v->inward] -= m[i];
  }
}

void ml_ink_clear_edges(float *u, double noise, int64_t height, int64_t width) {
  float m[ML_INK_MOST];
  bool more[ML_INK_MOST];
  const double least = fmax(2 * noise, 8), strong = fmax(0.5 * ml_ink_level(u, height * width, least), least);
  int free = 0, full = 0;
  for (int side = 0; side < SIDES; side++) {
    const view v = view_of(u, side, height, width);
    const double share = covered(&v, strong);
    free += share < 0.04;
    full += share > 0.6;
  }
  if (free == 0 && full < SIDES) return;  /* a digit cut out closely, which touches every side */
  for (int side = 0; side < SIDES; side++) {
    const view v = view_of(u, side, height, width);
    take_off(&v, m, more, least);
  }
}
