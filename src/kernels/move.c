/* Kernels that move floats without computing: copies, fills, transposes and the loader's gather from bytes. They
 * allocate nothing. */
#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/map_table.h"
#include "kernels/vec4.h"

enum { GRAIN = 65536, STRIP = 16 };

typedef struct move_args {
  float *y;
  const float *x;
  float value;
  int64_t rows, cols;
} move_args;

static void fill_range(void *ctx, int64_t begin, int64_t end) {
  const move_args *g = ctx;
  for (int64_t i = begin; i < end; i++) g->y[i] = g->value;
}

void ml_fill(float *y, int64_t n, float value) {
  move_args args = {.y = y, .value = value};
  ml_pool_for(fill_range, &args, n, GRAIN);
}

static void copy_range(void *ctx, int64_t begin, int64_t end) {
  const move_args *g = ctx;
  memcpy(g->y + begin, g->x + begin, (size_t)(end - begin) * sizeof *g->y);
}

void ml_copy(float *y, const float *x, int64_t n) {
  if (y == x) return;
  move_args args = {.y = y, .x = x};
  ml_pool_for(copy_range, &args, n, GRAIN);
}

/* Rows i0..i1-1, columns j0..j1-1, in squares of four where they fit. */
static void transpose_block(const move_args *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  for (int64_t j = j0; j < j1; j += 4) {
    for (int64_t i = i0; i < i1; i += 4) {
      if (i + 4 <= i1 && j + 4 <= j1) {
        ml_vec4_transpose(g->y + j * g->rows + i, g->rows, g->x + i * g->cols + j, g->cols);
        continue;
      }
      for (int64_t jj = j; jj < ml_min64(j + 4, j1); jj++) {
        for (int64_t ii = i; ii < ml_min64(i + 4, i1); ii++) g->y[jj * g->rows + ii] = g->x[ii * g->cols + jj];
      }
    }
  }
}

/* Strips of columns of x, which are rows of y; in blocks, so that whole cache lines are read and written. */
static void transpose_range(void *ctx, int64_t begin, int64_t end) {
  const move_args *g = ctx;
  for (int64_t strip = begin; strip < end; strip++) {
    const int64_t j0 = strip * STRIP, j1 = ml_min64(j0 + STRIP, g->cols);
    for (int64_t i0 = 0; i0 < g->rows; i0 += STRIP) transpose_block(g, i0, ml_min64(i0 + STRIP, g->rows), j0, j1);
  }
}

void ml_transpose(float *y, const float *x, int64_t rows, int64_t cols) {
  if (rows <= 0 || cols <= 0) return;
  move_args args = {.y = y, .x = x, .rows = rows, .cols = cols};
  const int64_t strips = ml_ceil_div(cols, STRIP), grain = GRAIN / 4 / (STRIP * rows);
  ml_pool_for(transpose_range, &args, strips, grain > 0 ? grain : 1);
}

/* ---- bytes to floats ---- */

enum { LINE = 64, ROWS_AHEAD = 2 };

/* Arithmetic is several times as fast as looking up, where it gives the same floats. */
void ml_byte_values_normalise(ml_byte_values *values, double mean, double std) {
  values->scale = 1 / (255.0 * std);
  values->offset = -mean / std;
  values->linear = true;
  for (int v = 0; v < 256; v++) {
    values->table[v] = (float)((v / 255.0 - mean) / std);
    if (values->table[v] != (float)(values->scale * v + values->offset)) values->linear = false;
  }
}

static void convert_row(float *y, const uint8_t *x, int64_t n, const ml_byte_values *values) {
  if (values->linear) {
    ML_FOR_ISA(ml_map)->bytes_line(y, x, n, values->scale, values->offset);
    return;
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < n; i++) y[i] = values->table[x[i]];
}

/* The rows lie anywhere in the data set, where the processor cannot guess the next one: it is asked for the lines of
 * the one after next before this one is converted. */
void ml_gather_u8(float *y, const uint8_t *x, const int32_t *index, int64_t count, int64_t width,
                  const ml_byte_values *values) {
  for (int64_t i = 0; i < count; i++, y += width) {
    const uint8_t *later = x + index[ml_min64(i + ROWS_AHEAD, count - 1)] * width;
    for (int64_t j = 0; j < width; j += LINE) __builtin_prefetch(later + j);
    convert_row(y, x + index[i] * width, width, values);
  }
}
