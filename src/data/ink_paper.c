/* How much each pixel of a picture differs from the paper around it. Called by prepare.c.
 *
 * The paper is what most of a wide window is, so its level at a pixel is a quantile of the values in a window around
 * it. Windows are counted from histograms of cells, summed over all cells above and to the left; levels are known at
 * the cells' centres and interpolated between them. First the median of windows of three quarters of the picture tells
 * whether ink is darker or lighter: noise and light that changes evenly deviate from it to both sides, ink to one. Then
 * narrower windows follow the light, with a quantile on the paper's side of the median, for there ink may be many
 * pixels. Last, the mean of those pixels that are no ink follows it closely. */
#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "data/ink.h"

enum { CELLS = 24, BINS = 64, BIN = 256 / BINS, ROUNDS = 2 };

typedef struct paper {
  const uint8_t *grey;
  int64_t height, width, cell, rows, columns; /* of pixels in all, of pixels in a cell, of cells */
  int32_t *sums;                              /* [rows + 1, columns + 1, BINS] */
  float *level;                               /* [rows, columns] */
} paper;

/* ---- histograms ---- */

static int32_t *sums_at(const paper *p, int64_t row, int64_t column) {
  return p->sums + (row * (p->columns + 1) + column) * BINS;
}

static void count_cells(paper *p) {
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < p->width; x++)
      sums_at(p, y / p->cell + 1, x / p->cell + 1)[p->grey[y * p->width + x] / BIN]++;
  for (int64_t i = 1; i <= p->rows; i++)
    for (int64_t j = 1; j <= p->columns; j++)
      for (int b = 0; b < BINS; b++)
        sums_at(p, i, j)[b] += sums_at(p, i - 1, j)[b] + sums_at(p, i, j - 1)[b] - sums_at(p, i - 1, j - 1)[b];
}

static bool paper_init(paper *p, const uint8_t *grey, int64_t height, int64_t width) {
  const int64_t cell = ml_ceil_div(ml_max64(height, width), CELLS);
  *p = (paper){.grey = grey, .height = height, .width = width, .cell = cell, .rows = ml_ceil_div(height, cell),
               .columns = ml_ceil_div(width, cell)};
  p->sums = ml_calloc((size_t)((p->rows + 1) * (p->columns + 1) * BINS), sizeof *p->sums);
  p->level = ml_alloc((size_t)(p->rows * p->columns) * sizeof *p->level);
  if (!p->sums || !p->level) return false;
  count_cells(p);
  return true;
}

static void paper_free(paper *p) {
  ml_free(p->sums);
  ml_free(p->level);
}

/* A window of `size` cells around cell i of n. Near the edge it becomes narrower, at most by half, so that the cell
 * stays in its middle, for light changes evenly; then it is moved inside. */
static void window(int64_t *begin, int64_t *end, int64_t i, int64_t size, int64_t n) {
  const int64_t edge = 2 * ml_min64(i, n - 1 - i) + 1;
  size = ml_min64(ml_min64(size, ml_max64(edge, ml_ceil_div(size, 2))), n);
  *begin = ml_min64(ml_max64(i - size / 2, 0), n - size);
  *end = *begin + size;
}

/* The quantile q of the cells in rows [top, bottom), columns [left, right); a bin's values count as spread evenly. */
static float quantile(const paper *p, int64_t top, int64_t bottom, int64_t left, int64_t right, double q) {
  const int32_t *a = sums_at(p, top, left), *b = sums_at(p, top, right), *c = sums_at(p, bottom, left),
                *d = sums_at(p, bottom, right);
  double total = 0, below = 0;
  for (int i = 0; i < BINS; i++) total += d[i] - b[i] - c[i] + a[i];
  for (int i = 0; i < BINS; i++) {
    const double count = d[i] - b[i] - c[i] + a[i];
    if (count > 0 && below + count >= q * total) return (float)(BIN * (i + (q * total - below) / count) - 0.5);
    below += count;
  }
  return 255;
}

static void set_levels(paper *p, int64_t rows, int64_t columns, double q) {
  int64_t top, bottom, left, right;
  for (int64_t i = 0; i < p->rows; i++)
    for (int64_t j = 0; j < p->columns; j++) {
      window(&top, &bottom, i, rows, p->rows);
      window(&left, &right, j, columns, p->columns);
      p->level[i * p->columns + j] = quantile(p, top, bottom, left, right, q);
    }
}

/* ---- differences ---- */

static void place(int64_t *first, float *share, int64_t pixel, int64_t cell, int64_t n) {
  const float at = fmaxf(((float)pixel + 0.5f) / (float)cell - 0.5f, 0);
  *first = ml_min64((int64_t)at, ml_max64(n - 2, 0));
  *share = n > 1 ? fminf(at - (float)*first, 1) : 0;
}

/* The levels of a row of pixels at the cells' centres: between those of two rows of cells. */
static void levels_of_row(float *levels, const paper *p, int64_t y) {
  int64_t i;
  float down;
  place(&i, &down, y, p->cell, p->rows);
  const float *above = p->level + i * p->columns, *below = p->rows > 1 ? above + p->columns : above;
  for (int64_t j = 0; j < p->columns; j++) levels[j] = above[j] + down * (below[j] - above[j]);
  levels[p->columns] = levels[p->columns - 1];
}

/* u = sign * (grey - the interpolated level). */
static void subtract(float *u, const paper *p, float sign) {
  int64_t first[ML_INK_MOST];
  float share[ML_INK_MOST], levels[CELLS + 1];
  for (int64_t x = 0; x < p->width; x++) place(&first[x], &share[x], x, p->cell, p->columns);
  for (int64_t y = 0; y < p->height; y++) {
    const uint8_t *grey = p->grey + y * p->width;
    float *row = u + y * p->width;
    levels_of_row(levels, p, y);
    for (int64_t x = 0; x < p->width; x++) {
      const float *at = levels + first[x];
      row[x] = sign * ((float)grey[x] - (at[0] + share[x] * (at[1] - at[0])));
    }
  }
}

/* What counts of a line's pixel at i: less near the ends of the line. */
static float central(int64_t i, int64_t length, int64_t reach) {
  const float edge = (float)(ml_min64(i, length - 1 - i) + 1) / (float)reach;
  return edge < 1 ? edge : 1;
}

/* -1 for dark ink, 1 for light ink. What lies near the picture's edge, where shadows and tables are, counts less. */
static float sign_of_ink(float *u, paper *p) {
  set_levels(p, ml_ceil_div(3 * p->rows, 4), ml_ceil_div(3 * p->columns, 4), 0.5);
  subtract(u, p, 1);
  const int64_t reach = ml_max64(ml_max64(p->height, p->width) / 8, 1);
  double sum = 0;
  float across[ML_INK_MOST];
  for (int64_t x = 0; x < p->width; x++) across[x] = central(x, p->width, reach);
  for (int64_t y = 0; y < p->height; y++) {
    const float down = central(y, p->height, reach), *row = u + y * p->width;
    double line = 0;
    for (int64_t x = 0; x < p->width; x++) {
      const float weight = across[x] < down ? across[x] : down;
      line += (double)(weight * row[x] * fabsf(row[x]));
    }
    sum += line;
  }
  return sum > 0 ? 1 : -1;
}

/* ---- pixels that are no ink ---- */

int ml_ink_parting(const int64_t *counts) {
  double total = 0, sum = 0, below = 0, sum_below = 0, best = -1;
  int at = 0;
  for (int v = 0; v < 256; v++) total += (double)counts[v], sum += (double)counts[v] * v;
  for (int v = 0; v < 255; v++) {
    below += (double)counts[v];
    sum_below += (double)counts[v] * v;
    if (below == 0 || below == total) continue;
    const double apart = sum_below / below - (sum - sum_below) / (total - below);
    const double score = below * (total - below) * apart * apart;
    if (score > best) best = score, at = v + 1;
  }
  return at;
}

static double parting(const float *u, int64_t n) {
  int64_t counts[256] = {0};
  for (int64_t i = 0; i < n; i++) counts[u[i] <= 0 ? 0 : u[i] >= 255 ? 255 : (int)u[i]]++;
  return ml_ink_parting(counts);
}

typedef struct paper_sum {
  double value, count;
} paper_sum;

/* Sums of grey over the cells' pixels that are no ink, as sums_at has the counts. */
static void sum_cells(paper_sum *s, const paper *p, const float *u, double most) {
  const int64_t stride = p->columns + 1;
  memset(s, 0, (size_t)((p->rows + 1) * stride) * sizeof *s);
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < p->width; x++) {
      paper_sum *cell = s + (y / p->cell + 1) * stride + x / p->cell + 1;
      if (fabs((double)u[y * p->width + x]) > most) continue;
      cell->value += p->grey[y * p->width + x];
      cell->count++;
    }
  for (int64_t i = 1; i <= p->rows; i++)
    for (int64_t j = 1; j <= p->columns; j++) {
      paper_sum *here = s + i * stride + j, *above = here - stride;
      here->value += above->value + here[-1].value - above[-1].value;
      here->count += above->count + here[-1].count - above[-1].count;
    }
}

/* A cell's level becomes the mean of the paper around it where there is enough paper. */
static void refine_levels(paper *p, const paper_sum *s) {
  const int64_t down = ml_max64(p->rows / 4, 3), across = ml_max64(p->columns / 4, 3), stride = p->columns + 1;
  int64_t top, bottom, left, right;
  for (int64_t i = 0; i < p->rows; i++)
    for (int64_t j = 0; j < p->columns; j++) {
      window(&top, &bottom, i, down, p->rows);
      window(&left, &right, j, across, p->columns);
      const paper_sum *a = s + top * stride + left, *b = s + top * stride + right, *c = s + bottom * stride + left,
                      *d = s + bottom * stride + right;
      const double count = d->count - b->count - c->count + a->count;
      if (count < 0.2 * (double)((bottom - top) * (right - left) * p->cell * p->cell)) continue;
      p->level[i * p->columns + j] = (float)((d->value - b->value - c->value + a->value) / count);
    }
}

/* The standard deviation of what is paper, from the median of the differences, which ink hardly moves. */
static double noise_of(const float *u, int64_t n) {
  enum { STEPS = 1024 };
  int64_t counts[STEPS] = {0}, below = 0;
  for (int64_t i = 0; i < n; i++) counts[(int)fminf(fabsf(u[i]) * 4, STEPS - 1)]++;
  int at = 0;
  while (below + counts[at] < n / 2) below += counts[at++];
  return 1.4826 * (at + 0.5) / 4;
}

ml_status ml_ink_contrast(float *u, double *noise, const uint8_t *grey, int64_t height, int64_t width, ml_error *err) {
  paper p;
  bool ready = paper_init(&p, grey, height, width);
  paper_sum *s = ready ? ml_alloc((size_t)((p.rows + 1) * (p.columns + 1)) * sizeof *s) : NULL;
  if (s) {
    const float sign = sign_of_ink(u, &p);
    const int64_t size = ml_max64(ml_ceil_div(2 * ml_max64(p.rows, p.columns), 5), 3);
    set_levels(&p, size, size, sign < 0 ? 0.7 : 0.3);
    subtract(u, &p, sign);
    for (int round = 0; round < ROUNDS; round++) {
      sum_cells(s, &p, u, fmax(0.6 * parting(u, height * width), 4));
      refine_levels(&p, s);
      subtract(u, &p, sign);
    }
    *noise = noise_of(u, height * width);
  }
  ml_free(s);
  paper_free(&p);
  return s ? ML_OK : ml_fail(err, ML_NOMEM, "no memory to find the ink of a picture");
}
