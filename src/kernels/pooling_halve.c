/* Max pooling by 2x2 windows two apart, from the plane's corner on: walks over planes, a row of windows at a time, by
 * the loops of the instruction set in use. Called by pooling.c and norm_halve.c; allocates nothing, starts no
 * threads. */
#include "kernels/pooling_halve.h"

#include <string.h>

#include "kernels/isa.h"

static const ml_pooling_table *table_in_use(void) { return ML_FOR_ISA(ml_pooling); }

/* How many windows of a row to compute: of a short one eight, where those that it lacks still lie within the arrays,
 * with so many windows and floats of x left. What is written too much comes right with the rows after it. */
static int64_t windows_of(int64_t ow, int64_t w, int64_t windows_left, int64_t floats_left) {
  return ow < 8 && windows_left >= 8 && floats_left >= w + 16 ? 8 : ow;
}

void ml_halve(float *y, int32_t *index, const float *x, int64_t planes, int64_t h, int64_t w) {
  const ml_pooling_table *table = table_in_use();
  const int64_t ow = w / 2;
  const float *const x_end = x + planes * h * w;
  const float *const y_end = y + planes * (h / 2) * ow;
  for (int64_t n = 0; n < planes; n++, x += h * w) {
    for (int64_t r = 0; r + 2 <= h; r += 2, y += ow) {
      table->max2(y, index, x + r * w, w, windows_of(ow, w, y_end - y, x_end - (x + r * w)), (int32_t)(r * w));
      if (index) index += ow;
    }
  }
}

/* In rows so short dy is scattered. Adding to 0 makes -0 a 0, as in the loops. */
static void scatter(float *dx, const float *dy, const int32_t *index, int64_t planes, int64_t h, int64_t w) {
  const int64_t windows = (h / 2) * (w / 2);
  memset(dx, 0, (size_t)(planes * h * w) * sizeof *dx);
  for (int64_t n = 0; n < planes; n++, dx += h * w, dy += windows, index += windows) {
    for (int64_t i = 0; i < windows; i++) dx[index[i]] += dy[i];
  }
}

/* Every element of dx belongs to one window at most, so nothing is added up. */
void ml_halve_dx(float *dx, const float *dy, const int32_t *index, int64_t planes, int64_t h, int64_t w) {
  const ml_pooling_table *table = table_in_use();
  const int64_t ow = w / 2;
  if (ow < 7) {
    scatter(dx, dy, index, planes, h, w);
    return;
  }
  const float *const dx_end = dx + planes * h * w;
  const float *const dy_end = dy + planes * (h / 2) * ow;
  for (int64_t n = 0; n < planes; n++, dx += h * w) {
    for (int64_t r = 0; r + 2 <= h; r += 2, dy += ow, index += ow) {
      float *row = dx + r * w;
      table->max2_dx(row, dy, index, w, windows_of(ow, w, dy_end - dy, dx_end - row), (int32_t)(r * w));
      if (w % 2) row[w - 1] = row[2 * w - 1] = 0.0f;
    }
    if (h % 2) memset(dx + (h - 1) * w, 0, (size_t)w * sizeof *dx);
  }
}
