/* A sheet of paper that lies on a table: where in a photograph it is. Called by prepare.c, which then looks for ink
 * on the sheet alone.
 *
 * The picture is judged by cells. A sheet is what is lighter or darker than all that runs along the picture's edge,
 * fills its own box but for the ink on it, and ends at once: light that fades does not. */
#include <math.h>

#include "base/integer.h"
#include "data/ink.h"

enum { CELLS = 24, LEAST_APART = 40 };

typedef struct cells {
  int64_t rows, columns, size;
  double mean[CELLS * CELLS];
  bool sheet[CELLS * CELLS];
} cells;

static void cells_init(cells *c, const uint8_t *grey, int64_t height, int64_t width) {
  c->size = ml_ceil_div(ml_max64(height, width), CELLS);
  c->rows = height / c->size;
  c->columns = width / c->size;
  for (int64_t i = 0; i < c->rows; i++)
    for (int64_t j = 0; j < c->columns; j++) {
      double sum = 0;
      for (int64_t y = i * c->size; y < (i + 1) * c->size; y++)
        for (int64_t x = j * c->size; x < (j + 1) * c->size; x++) sum += grey[y * width + x];
      c->mean[i * c->columns + j] = sum / (double)(c->size * c->size);
    }
}

static bool at_edge(const cells *c, int64_t i, int64_t j) {
  return i == 0 || j == 0 || i == c->rows - 1 || j == c->columns - 1;
}

/* Tells the cells of two kinds apart: sheet is what those at the edge are not. Returns how far the kinds' means are
 * apart; 0 if the edge is of both kinds. */
static double part_cells(cells *c) {
  int64_t counts[256] = {0}, light = 0, edge = 0;
  double sum[2] = {0, 0}, count[2] = {0, 0};
  const int64_t n = c->rows * c->columns;
  for (int64_t k = 0; k < n; k++) counts[(int)c->mean[k]]++;
  const int at = ml_ink_parting(counts);
  for (int64_t k = 0; k < n; k++) {
    const bool is_light = (int)c->mean[k] >= at, outside = at_edge(c, k / c->columns, k % c->columns);
    sum[is_light] += c->mean[k];
    count[is_light]++;
    edge += outside;
    light += outside && is_light;
  }
  const bool light_sheet = light == 0;
  if ((light > 0 && light < edge) || count[0] == 0 || count[1] == 0) return 0;
  for (int64_t k = 0; k < n; k++) c->sheet[k] = ((int)c->mean[k] >= at) == light_sheet;
  return sum[1] / count[1] - sum[0] / count[0];
}

/* The box of the sheet's cells; false if they do not fill it. */
static bool box_of(ml_ink_box *box, const cells *c) {
  int64_t top = c->rows, left = c->columns, bottom = -1, right = -1, count = 0;
  for (int64_t i = 0; i < c->rows; i++)
    for (int64_t j = 0; j < c->columns; j++) {
      if (!c->sheet[i * c->columns + j]) continue;
      count++;
      top = ml_min64(top, i);
      bottom = ml_max64(bottom, i);
      left = ml_min64(left, j);
      right = ml_max64(right, j);
    }
  *box = (ml_ink_box){.top = top, .left = left, .height = bottom - top + 1, .width = right - left + 1};
  return box->height >= 5 && box->width >= 5 && 5 * count >= 4 * box->height * box->width;
}

/* Whether the sheet begins within a cell or two, along most of its box's sides. */
static bool is_sharp(const cells *c, const ml_ink_box *box, double apart) {
  int64_t sharp = 0, all = 0;
  const int64_t below = box->top + box->height, beyond = box->left + box->width;
  for (int64_t j = box->left; j < beyond; j++, all += 2) {
    const double *column = c->mean + j;
    sharp += fabs(column[(box->top + 1) * c->columns] - column[(box->top - 1) * c->columns]) > 0.6 * apart;
    sharp += fabs(column[(below - 2) * c->columns] - column[below * c->columns]) > 0.6 * apart;
  }
  for (int64_t i = box->top; i < below; i++, all += 2) {
    const double *row = c->mean + i * c->columns;
    sharp += fabs(row[box->left + 1] - row[box->left - 1]) > 0.6 * apart;
    sharp += fabs(row[beyond - 2] - row[beyond]) > 0.6 * apart;
  }
  return 4 * sharp >= 3 * all;
}

bool ml_ink_find_sheet(ml_ink_box *box, const uint8_t *grey, int64_t height, int64_t width) {
  cells c;
  if (ml_min64(height, width) < 2 * CELLS) return false;
  cells_init(&c, grey, height, width);
  const double apart = part_cells(&c);
  if (apart < LEAST_APART || !box_of(box, &c) || !is_sharp(&c, box, apart)) return false;
  /* Without half of the cells along its sides, where some of the table may be. */
  *box = (ml_ink_box){.top = box->top * c.size + c.size / 2, .left = box->left * c.size + c.size / 2,
                      .height = (box->height - 1) * c.size, .width = (box->width - 1) * c.size};
  return true;
}
