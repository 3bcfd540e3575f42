/* Exact Euclidean distances to the nearest pixel of a set. Called by prepare.c, which measures and thickens strokes.
 *
 * Columns first, rows then: with f(i) the squared distance within the column, the squared distance of pixel j of a row
 * is the minimum over i of (j - i)^2 + f(i), the lower envelope of parabolas: Felzenszwalb and Huttenlocher, "Distance
 * transforms of sampled functions" (2012). */
#include <math.h>

#include "base/memory.h"
#include "data/ink.h"

/* Farther than anything in a picture, and small enough that its square is exact. */
#define FAR 4096.0f

/* Where the parabolas of i < j meet. */
static double meeting(const double *f, int64_t i, int64_t j) {
  return (f[j] + (double)(j * j) - f[i] - (double)(i * i)) / (double)(2 * (j - i));
}

/* d [n] becomes the lower envelope of parabolas over f [n]; apex and from [n + 1] are scratch. */
static void envelope(float *d, const double *f, int64_t n, int64_t *apex, double *from) {
  int64_t k = 0;
  apex[0] = 0;
  from[0] = -INFINITY;
  for (int64_t j = 1; j < n; j++) {
    double s = meeting(f, apex[k], j);
    while (s <= from[k]) s = meeting(f, apex[--k], j);
    apex[++k] = j;
    from[k] = s;
  }
  for (int64_t j = n - 1; j >= 0; j--) {
    while (from[k] > (double)j) k--;
    d[j] = (float)sqrt((double)((j - apex[k]) * (j - apex[k])) + f[apex[k]]);
  }
}

/* The distance to the nearest member in the pixel's own column. */
static void along_columns(float *d, const uint8_t *strength, bool of_ink, int64_t height, int64_t width) {
  for (int64_t x = 0; x < width; x++) {
    float run = of_ink ? FAR : 0;
    for (int64_t y = 0; y < height; y++) {
      run = (strength[y * width + x] >= 128) == of_ink ? 0 : run + 1;
      d[y * width + x] = run;
    }
    run = of_ink ? FAR : 0;
    for (int64_t y = height - 1; y >= 0; y--) {
      run = (strength[y * width + x] >= 128) == of_ink ? 0 : run + 1;
      d[y * width + x] = fminf(d[y * width + x], run);
    }
  }
}

ml_status ml_ink_distance(float *d, const uint8_t *strength, bool of_ink, int64_t height, int64_t width,
                          ml_error *err) {
  /* A column of paper on either side, when paper is what counts. */
  const int64_t side = of_ink ? 0 : 1, n = width + 2 * side;
  double *f = ml_alloc((size_t)n * sizeof *f), *from = ml_alloc((size_t)(n + 1) * sizeof *from);
  int64_t *apex = ml_alloc((size_t)(n + 1) * sizeof *apex);
  float *row = ml_alloc((size_t)n * sizeof *row);
  const bool ready = f && from && apex && row;
  if (ready) along_columns(d, strength, of_ink, height, width);
  for (int64_t y = 0; ready && y < height; y++) {
    f[0] = f[n - 1] = 0;
    for (int64_t x = 0; x < width; x++) f[x + side] = (double)d[y * width + x] * d[y * width + x];
    envelope(row, f, n, apex, from);
    for (int64_t x = 0; x < width; x++) d[y * width + x] = row[x + side];
  }
  ml_free(f);
  ml_free(from);
  ml_free(apex);
  ml_free(row);
  return ready ? ML_OK : ml_fail(err, ML_NOMEM, "no memory to measure strokes");
}
