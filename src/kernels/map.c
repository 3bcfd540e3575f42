/* Element-wise kernels: cuts the elements into chunks of a fixed size for the thread pool and calls the loops of the
 * instruction set in use. Called by operations and optimizers; allocates nothing. */
#include "base/pool.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/map_table.h"

/* Elements per chunk: some microseconds of work. Up to one chunk runs in the caller. A multiple of ML_DROPOUT_STEP. */
enum { GRAIN = 16384, MAX_DIMS = 8 };

static const ml_map_table *table_in_use(void) { return ML_FOR_ISA(ml_map); }

/* One call's arguments for the chunks. */
typedef struct map_args {
  const ml_map_table *table;
  float *out;
  const float *x, *y, *dy;
  int kind;
  float a;
  ml_rng rng;
} map_args;

static void run(ml_range_fn fn, map_args *args, int64_t n, int64_t grain) {
  args->table = table_in_use();
  ml_pool_for(fn, args, n, grain);
}

static void unary_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  g->table->unary[g->kind](g->out + begin, g->x + begin, end - begin, g->a);
}

void ml_map_unary(float *y, const float *x, int64_t n, ml_unary f, float a) {
  run(unary_range, &(map_args){.out = y, .x = x, .kind = (int)f, .a = a}, n, GRAIN);
}

static void backward_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  g->table->unary_backward[g->kind](g->out + begin, g->dy + begin, g->x + begin, g->y + begin, end - begin, g->a);
}

void ml_map_unary_backward(float *dx, const float *dy, const float *x, const float *y, int64_t n, ml_unary f, float a) {
  run(backward_range, &(map_args){.out = dx, .dy = dy, .x = x, .y = y, .kind = (int)f, .a = a}, n, GRAIN);
}

static void binary_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  g->table->binary[g->kind](g->out + begin, g->x + begin, g->y + begin, end - begin, 1, 1);
}

void ml_map_binary(float *z, const float *x, const float *y, int64_t n, ml_binary op) {
  run(binary_range, &(map_args){.out = z, .x = x, .y = y, .kind = (int)op}, n, GRAIN);
}

static void axpy_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  g->table->axpy(g->out + begin, g->x + begin, end - begin, g->a);
}

void ml_axpy(float *y, const float *x, int64_t n, float a) {
  run(axpy_range, &(map_args){.out = y, .x = x, .a = a}, n, GRAIN);
}

static void scale_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  g->table->scale(g->out + begin, g->x + begin, end - begin, g->a);
}

void ml_scale(float *y, const float *x, int64_t n, float a) {
  run(scale_range, &(map_args){.out = y, .x = x, .a = a}, n, GRAIN);
}

static void dropout_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  ml_rng rng = g->rng;
  rng.block += (uint32_t)(begin / ML_PHILOX_WORDS);
  g->table->dropout(g->out + begin, g->x + begin, end - begin, g->a, rng);
}

void ml_dropout(float *y, const float *x, int64_t n, float p, ml_rng rng) {
  run(dropout_range, &(map_args){.out = y, .x = x, .a = p, .rng = rng}, n, GRAIN);
}

static void noise_range(void *ctx, int64_t begin, int64_t end) {
  const map_args *g = ctx;
  ml_rng rng = g->rng;
  rng.block += (uint32_t)(begin / ML_PHILOX_WORDS);
  g->table->gaussian_noise(g->out + begin, g->x + begin, end - begin, g->a, rng);
}

void ml_gaussian_noise(float *y, const float *x, int64_t n, float std, ml_rng rng) {
  run(noise_range, &(map_args){.out = y, .x = x, .a = std, .rng = rng}, n, GRAIN / 4);
}

/* ---- broadcasting ---- */

/* The dimensions that are left when those of size 1 are dropped and neighbours merged: the last is the loop, the others
 * are counted through. */
typedef struct broadcast {
  map_args args;
  int ndim;
  int64_t size[MAX_DIMS], xs[MAX_DIMS], ys[MAX_DIMS];
} broadcast;

/* Dimension d joins the one before it if stepping through both is one walk with d's stride. */
static void add_dim(broadcast *b, int64_t size, int64_t xs, int64_t ys) {
  if (size == 1) return;
  const int last = b->ndim - 1;
  if (last >= 0 && b->xs[last] == size * xs && b->ys[last] == size * ys) {
    b->size[last] *= size;
    b->xs[last] = xs;
    b->ys[last] = ys;
    return;
  }
  b->size[b->ndim] = size;
  b->xs[b->ndim] = xs;
  b->ys[b->ndim] = ys;
  b->ndim++;
}

/* Rows begin..end-1, a row being a walk along the last dimension. */
static void broadcast_range(void *ctx, int64_t begin, int64_t end) {
  const broadcast *b = ctx;
  const int last = b->ndim - 1;
  const int64_t n = b->size[last];
  for (int64_t row = begin; row < end; row++) {
    const float *x = b->args.x, *y = b->args.y;
    int64_t rest = row;
    for (int d = last - 1; d >= 0; d--) {
      const int64_t i = rest % b->size[d];
      rest /= b->size[d];
      x += i * b->xs[d];
      y += i * b->ys[d];
    }
    b->args.table->binary[b->args.kind](b->args.out + row * n, x, y, n, b->xs[last], b->ys[last]);
  }
}

/* One long row, in pieces. */
static void broadcast_row_range(void *ctx, int64_t begin, int64_t end) {
  const broadcast *b = ctx;
  const int64_t xs = b->xs[0], ys = b->ys[0];
  b->args.table->binary[b->args.kind](b->args.out + begin, b->args.x + begin * xs, b->args.y + begin * ys, end - begin,
                                      xs, ys);
}

void ml_map_binary_broadcast(float *z, const float *x, const float *y, const int64_t *shape, const int64_t *xs,
                             const int64_t *ys, int ndim, ml_binary op) {
  broadcast b = {.args = {.table = table_in_use(), .out = z, .x = x, .y = y, .kind = (int)op}};
  int64_t total = 1;
  for (int d = 0; d < ndim; d++) {
    total *= shape[d];
    add_dim(&b, shape[d], xs[d], ys[d]);
  }
  if (total == 0) return;
  if (b.ndim == 0) { /* a single element */
    b.ndim = 1;
    b.size[0] = 1;
  }
  const int64_t n = b.size[b.ndim - 1], rows = total / n;
  if (b.ndim == 1) {
    ml_pool_for(broadcast_row_range, &b, n, GRAIN);
  } else {
    ml_pool_for(broadcast_range, &b, rows, n >= GRAIN ? 1 : GRAIN / n);
  }
}
