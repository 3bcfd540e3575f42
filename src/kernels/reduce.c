/* Reductions and softmax: cuts the work up for the thread pool and calls the loops of the instruction set in use.
 * Called by operations, losses and the optimizers' clipping; allocates nothing.
 *
 * A long sum is cut into chunks whose size follows from its length, and their results are added in ascending order. */
#include "base/integer.h"
#include "base/pool.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/packed.h"
#include "kernels/reduce_table.h"

enum {
  CHUNK = 4096,      /* elements of a partial sum, or a multiple for very long ones */
  MAX_CHUNKS = 1024, /* partial sums, on the stack */
  GRAIN = 16384,     /* elements that one thread takes at a time */
  RELU_GRAIN = 4096, /* those of bias and ReLU, which are four arrays' */
  RELU_NARROW = 32
};

typedef double (*fold_fn)(const float *x, int64_t n);

typedef struct reduce_args {
  const ml_reduce_table *table;
  float *y;
  int32_t *index;
  const float *x;
  int64_t n, inner, blocks; /* blocks of ML_COLUMNS in inner */
  double scale;
  bool least;
  fold_fn fold;
  int64_t chunk;
  double *partial;
} reduce_args;

/* How many outputs of `each` elements make a grain. */
static int64_t grain_of(int64_t each) { return each >= GRAIN ? 1 : GRAIN / (each > 0 ? each : 1); }

static const ml_reduce_table *table_in_use(void) { return ML_FOR_ISA(ml_reduce); }

/* ---- whole rows ---- */

static void fold_range(void *ctx, int64_t begin, int64_t end) {
  const reduce_args *g = ctx;
  for (int64_t i = begin; i < end; i += g->chunk) {
    g->partial[i / g->chunk] = g->fold(g->x + i, ml_min64(g->chunk, end - i));
  }
}

/* fold over the chunks of x[n], added up. A short row runs in the caller. */
static double fold_row(fold_fn fold, const float *x, int64_t n) {
  const int64_t chunk = CHUNK * ml_ceil_div(n, (int64_t)CHUNK * MAX_CHUNKS);
  if (n <= CHUNK) return fold(x, n);
  double partial[MAX_CHUNKS];
  reduce_args args = {.x = x, .fold = fold, .chunk = chunk, .partial = partial};
  ml_pool_for(fold_range, &args, n, chunk > GRAIN ? chunk : GRAIN / chunk * chunk);
  double total = 0.0;
  for (int64_t i = 0; i < ml_ceil_div(n, chunk); i++) total += partial[i];
  return total;
}

double ml_sum_squares(const float *x, int64_t n) { return fold_row(table_in_use()->sum_squares, x, n); }

int64_t ml_count_nonfinite(const float *x, int64_t n) {
  return (int64_t)fold_row(table_in_use()->count_nonfinite, x, n);
}

static void sum_rows_range(void *ctx, int64_t begin, int64_t end) {
  const reduce_args *g = ctx;
  for (int64_t i = begin; i < end; i++) {
    g->y[i] = (float)(g->scale * fold_row(g->table->sum, g->x + i * g->n, g->n));
  }
}

static void max_rows_range(void *ctx, int64_t begin, int64_t end) {
  const reduce_args *g = ctx;
  for (int64_t i = begin; i < end; i++) {
    const int64_t place = g->table->place_of_max(g->x + i * g->n, g->n, g->least);
    g->y[i] = g->x[i * g->n + place];
    if (g->index) g->index[i] = (int32_t)place;
  }
}

/* ---- columns ---- */

/* Column block number `at` counts through [outer, blocks]; finds its place in y and x and its width. */
static int64_t locate(const reduce_args *g, int64_t at, int64_t *y_at, int64_t *x_at) {
  const int64_t outer = at / g->blocks, j = at % g->blocks * ML_COLUMNS;
  *y_at = outer * g->inner + j;
  *x_at = outer * g->n * g->inner + j;
  return ml_min64(ML_COLUMNS, g->inner - j);
}

static void sum_columns_range(void *ctx, int64_t begin, int64_t end) {
  const reduce_args *g = ctx;
  for (int64_t i = begin; i < end; i++) {
    int64_t y_at, x_at;
    const int64_t w = locate(g, i, &y_at, &x_at);
    g->table->sum_columns(g->y + y_at, g->x + x_at, g->n, g->inner, w, g->scale);
  }
}

static void max_columns_range(void *ctx, int64_t begin, int64_t end) {
  const reduce_args *g = ctx;
  for (int64_t i = begin; i < end; i++) {
    int64_t y_at, x_at;
    const int64_t w = locate(g, i, &y_at, &x_at);
    g->table->max_columns(g->y + y_at, g->index ? g->index + y_at : NULL, g->x + x_at, g->n, g->inner, w, g->least);
  }
}

/* ---- both ---- */

/* Runs `rows` over outer where inner is 1, else `columns` over blocks of columns. */
static void run(ml_range_fn rows, ml_range_fn columns, reduce_args *g, int64_t outer) {
  g->table = table_in_use();
  if (outer <= 0 || g->inner <= 0) return;
  if (g->inner == 1) {
    if (outer == 1) {
      rows(g, 0, 1); /* which may use all threads itself */
    } else {
      ml_pool_for(rows, g, outer, grain_of(g->n));
    }
    return;
  }
  g->blocks = ml_ceil_div(g->inner, ML_COLUMNS);
  ml_pool_for(columns, g, outer * g->blocks, grain_of(g->n * ml_min64(g->inner, ML_COLUMNS)));
}

void ml_reduce_sum(float *y, const float *x, int64_t outer, int64_t n, int64_t inner, double scale) {
  run(sum_rows_range, sum_columns_range, &(reduce_args){.y = y, .x = x, .n = n, .inner = inner, .scale = scale}, outer);
}

void ml_reduce_max(float *y, int32_t *index, const float *x, int64_t outer, int64_t n, int64_t inner, bool least) {
  reduce_args args = {.y = y, .index = index, .x = x, .n = n, .inner = inner, .least = least};
  run(max_rows_range, max_columns_range, &args, outer);
}

/* ---- the gradient of bias and ReLU ---- */

typedef struct relu_args {
  const ml_reduce_table *table;
  float *dz, *db;
  const float *dy, *out;
  int64_t rows, cols;
  int64_t group;        /* columns beside each other */
  float *left, *left_t; /* where dz and its transpose are packed, or NULL */
} relu_args;

/* Columns j0..j1-1, which are in the cache. */
static void pack_gradient(const relu_args *g, int64_t j0, int64_t j1) {
  const ml_matrix dz = {g->dz, g->cols, 1}, dz_t = {g->dz, 1, g->cols};
  if (g->left) ml_pack_part(g->left, (ml_packing){ML_LEFT, g->rows, g->cols}, dz, 0, g->rows, j0, j1);
  if (g->left_t) ml_pack_part(g->left_t, (ml_packing){ML_LEFT, g->cols, g->rows}, dz_t, j0, j1, 0, g->rows);
}

static void relu_columns_range(void *ctx, int64_t begin, int64_t end) {
  const relu_args *g = ctx;
  const int64_t j0 = begin * g->group, j1 = ml_min64(end * g->group, g->cols);
  for (int64_t j = j0; j < j1; j += g->group) {
    g->table->relu_columns(g->dz + j, g->db + j, g->dy + j, g->out + j, g->rows, g->cols, ml_min64(g->group, j1 - j));
  }
  pack_gradient(g, j0, j1);
}

/* Groups are narrow where all threads would not get one otherwise. Threads that pack take whole parts of what they pack
 * to. */
static void run_relu_columns(relu_args *g) {
  const bool pack = g->left || g->left_t;
  int64_t part = 1;
  g->group = ML_RELU_COLUMNS;
  while (g->group > RELU_NARROW && g->cols < 4 * g->group && g->rows * g->group > RELU_GRAIN) g->group /= 2;
  while (pack && part * g->group % ml_packed_grain() != 0) part++;
  const int64_t grain = ml_max64(RELU_GRAIN / ml_max64(g->rows * g->group, 1), 1);
  ml_pool_for(relu_columns_range, g, ml_ceil_div(g->cols, g->group), ml_round_up(grain, part));
}

void ml_relu_bias_backward_packed(float *dz, float *db, const float *dy, const float *out, int64_t rows, int64_t cols,
                                  float *left, float *left_t) {
  relu_args args = {table_in_use(), dz, db, dy, out, rows, cols, ML_RELU_COLUMNS, left, left_t};
  if (cols == 1) { /* a sum along memory has another order */
    ml_map_unary_backward(dz, dy, out, out, rows, ML_RELU, 0);
    ml_reduce_sum(db, dz, 1, rows, 1, 1.0);
    pack_gradient(&args, 0, 1);
    return;
  }
  run_relu_columns(&args);
}

void ml_relu_bias_backward(float *dz, float *db, const float *dy, const float *out, int64_t rows, int64_t cols) {
  ml_relu_bias_backward_packed(dz, db, dy, out, rows, cols, NULL, NULL);
}

/* ---- softmax ---- */

typedef struct softmax_args {
  void (*forward)(float *y, const float *x, int64_t rows, int64_t c);
  void (*backward)(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);
  float *out;
  const float *a, *b;
  int64_t c;
} softmax_args;

static void forward_range(void *ctx, int64_t begin, int64_t end) {
  const softmax_args *g = ctx;
  g->forward(g->out + begin * g->c, g->a + begin * g->c, end - begin, g->c);
}

static void backward_range(void *ctx, int64_t begin, int64_t end) {
  const softmax_args *g = ctx;
  g->backward(g->out + begin * g->c, g->a + begin * g->c, g->b + begin * g->c, end - begin, g->c);
}

/* An exponential costs about as much as four plain elements. */
static void run_softmax(ml_range_fn fn, softmax_args *args, int64_t rows) {
  if (rows > 0 && args->c > 0) ml_pool_for(fn, args, rows, grain_of(4 * args->c));
}

void ml_softmax(float *y, const float *x, int64_t rows, int64_t c) {
  run_softmax(forward_range, &(softmax_args){.forward = table_in_use()->softmax, .out = y, .a = x, .c = c}, rows);
}

void ml_log_softmax(float *y, const float *x, int64_t rows, int64_t c) {
  run_softmax(forward_range, &(softmax_args){.forward = table_in_use()->log_softmax, .out = y, .a = x, .c = c}, rows);
}

void ml_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  softmax_args args = {.backward = table_in_use()->softmax_backward, .out = dx, .a = dy, .b = y, .c = c};
  run_softmax(backward_range, &args, rows);
}

void ml_log_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  softmax_args args = {.backward = table_in_use()->log_softmax_backward, .out = dx, .a = dy, .b = y, .c = c};
  run_softmax(backward_range, &args, rows);
}
