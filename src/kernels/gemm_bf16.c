/* The matrix product in bf16 and bf16x3: how it is cut up for caches and threads. Called by ml_gemm where that is the
 * precision in use; allocates nothing.
 *
 * Operands that are kept packed (packed.h) are read where they lie, and a result is packed for later products by the
 * thread that computed it, tile by tile.
 *
 * As in gemm.c, stages of M_STAGE x N_STAGE x (STAGE_ROW_BYTES of K) at most are packed into the workspace by all
 * threads and multiplied by all threads, tile by tile of C. An element's sums go on from what is stored in C, so no cut
 * shows in the result: not that of K, nor the size of tiles, nor the number of threads. */
#include "kernels/gemm_bf16.h"

#include "base/cpu.h"
#include "base/integer.h"
#include "base/pool.h"
#include "kernels/isa.h"

enum {
  ROWS_ALIGN = 96, /* a multiple of every kernel's mr */
  M_STAGE = 8 * ROWS_ALIGN,
  N_STAGE = 1024,         /* a multiple of every kernel's nr */
  STAGE_ROW_BYTES = 3840, /* of a packed row of A or column of B: 60 steps of 2 bytes an element or 30 of 4 */
  TILE_ROWS = 192,
  TILE_COLS = 64,
  TILES_WANTED = 16,       /* smaller products are cut until there are this many tiles ... */
  TILE_MIN_WORK = 1 << 19, /* ... or they are smaller than twice this many multiply-adds */
  PACK_CHUNK = 1 << 14     /* elements that a thread packs at a time */
};

typedef struct product {
  const ml_bf16_micro *micro;
  ml_precision precision;
  float *c;
  int64_t ldc;
  ml_matrix a, b;
  ml_epilogue epilogue;
  int64_t m, n, k;
  ml_kept kept;
  const char *packed_a, *packed_b;  /* this stage's */
  char *fresh_a, *fresh_b;          /* where they are packed, unless that was done before */
  /* the stage: rows i0.., columns j0.., products p0.. */
  int64_t i0, j0, p0, rows, cols, depth, steps;
  int64_t a_panels, b_panels;       /* in this stage ... */
  int64_t a_bytes, b_bytes;         /* ... and the size of one */
  int64_t pack_group;               /* panels per packing chunk */
  int64_t pack_a_panels;            /* a_panels, or 0 if A is packed already */
  int64_t pack_b_panels;            /* likewise */
  int64_t a_unit, b_unit;           /* panels that a tile has at least */
  int64_t tiles_down, tiles_across; /* this stage's tiles */
} product;

const ml_bf16_micro *ml_bf16_micro_in_use(void) {
#ifdef __x86_64__
  if (ml_cpu_isa() == ML_ISA_AMX) return &ml_bf16_amx;
#endif
  return ML_FOR_ISA(ml_bf16);
}

static int64_t steps_per_32(ml_precision precision) { return precision == ML_PRECISION_BF16X3 ? 3 : 1; }

int64_t ml_bf16_steps(int64_t k, ml_precision precision) {
  return ml_ceil_div(k, ML_BF16_STEP) * steps_per_32(precision);
}

/* Bytes of a packed row of A or column of B in a stage, for the larger of the precisions and elements. */
static int64_t row_bytes(int64_t k) {
  const int64_t whole = ml_bf16_steps(k, ML_PRECISION_BF16X3) * ML_BF16_STEP * (int64_t)sizeof(float);
  return ml_min64(whole, STAGE_ROW_BYTES);
}

/* B's share of the workspace; A's follows. */
static int64_t packed_b_bytes(int64_t n, int64_t k) {
  return ml_min64(ml_round_up(n, ML_BF16_MAX_COLS), N_STAGE) * row_bytes(k);
}

size_t ml_gemm_bf16_workspace(int64_t m, int64_t n, int64_t k) {
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  const int64_t packed_a_bytes = ml_min64(ml_round_up(m, ROWS_ALIGN), M_STAGE) * row_bytes(k);
  return (size_t)(packed_b_bytes(n, k) + packed_a_bytes) / sizeof(float);
}

/* ---- packing ---- */

static void pack_a(const product *g, int64_t panel) {
  const int mr = g->micro->mr;
  const int64_t i = g->i0 + panel * mr;
  g->micro->pack_a(g->fresh_a + panel * g->a_bytes, g->a.data + i * g->a.row + g->p0 * g->a.col, g->a.row, g->a.col,
                   ml_min64(mr, g->m - i), g->depth, g->precision);
}

static void pack_b(const product *g, int64_t panel) {
  const int nr = g->micro->nr;
  const int64_t j = g->j0 + panel * nr;
  g->micro->pack_b(g->fresh_b + panel * g->b_bytes, g->b.data + j * g->b.col + g->p0 * g->b.row, g->b.col, g->b.row,
                   ml_min64(nr, g->n - j), g->depth, g->precision);
}

/* Packs a group of panels: B's first, then A's. */
static void pack_chunk(void *ctx, uint32_t chunk) {
  const product *g = ctx;
  const int64_t begin = chunk * g->pack_group;
  const int64_t end = ml_min64(begin + g->pack_group, g->pack_b_panels + g->pack_a_panels);
  for (int64_t i = begin; i < end; i++) {
    if (i < g->pack_b_panels) {
      pack_b(g, i);
    } else {
      pack_a(g, i - g->pack_b_panels);
    }
  }
}

/* ---- multiplying ---- */

void ml_bf16_run_edge(const ml_bf16_micro *micro, float *c, int64_t ldc, const void *a, const void *b, int64_t steps,
                      ml_finish f, int64_t rows, int64_t cols) {
  _Alignas(64) float tile[ML_BF16_MAX_ROWS * ML_BF16_MAX_COLS];
  const int nr = micro->nr;
  if (f.add) {
    for (int64_t i = 0; i < micro->mr; i++) {
      for (int64_t j = 0; j < nr; j++) tile[i * nr + j] = i < rows && j < cols ? c[i * ldc + j] : 0.0f;
    }
  }
  micro->run(tile, nr, a, 0, 1, b, steps, (ml_finish){.add = f.add});
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) {
      float v = tile[i * nr + j];
      if (f.bias) v += f.bias[j];
      c[i * ldc + j] = f.relu && v < 0.0f ? 0.0f : v;
    }
  }
}

/* Panels a_begin..a_end-1 of A by one of B, `steps` of this stage's steps from `step` on. */
static void run_strip(const product *g, int64_t a_begin, int64_t a_end, int64_t b_panel, int64_t step, int64_t steps) {
  const ml_bf16_micro *micro = g->micro;
  const int64_t mr = micro->mr, nr = micro->nr, j = g->j0 + b_panel * nr, cols = ml_min64(nr, g->n - j);
  const int64_t element = ML_BF16_STEP * micro->element; /* bytes of a step of one row or column */
  const char *b = g->packed_b + b_panel * g->b_bytes + step * nr * element;
  const bool last = g->p0 + g->depth == g->k && step + steps == g->steps;
  const ml_finish f = {.add = g->p0 > 0 || step > 0,
                       .relu = last && g->epilogue.relu,
                       .bias = last && g->epilogue.bias ? g->epilogue.bias + j : NULL};
  const int64_t whole = cols == nr ? ml_min64(a_end, (g->m - g->i0) / mr) : a_begin;
  for (int64_t p = a_begin; p < a_end; p = p < whole ? whole : p + 1) {
    const int64_t i = g->i0 + p * mr;
    const char *a = g->packed_a + p * g->a_bytes + step * mr * element;
    float *c = g->c + i * g->ldc + j;
    if (p < whole) {
      micro->run(c, g->ldc, a, g->a_bytes, whole - p, b, steps, f);
    } else {
      ml_bf16_run_edge(micro, c, g->ldc, a, b, steps, f, ml_min64(mr, g->m - i), cols);
    }
  }
}

/* Packs panels of c that are finished, while they are in the cache. */
static void pack_result(const product *g, int64_t a_begin, int64_t a_end, int64_t b_begin, int64_t b_end) {
  const int64_t i0 = g->i0 + a_begin * g->micro->mr, i1 = ml_min64(g->i0 + a_end * g->micro->mr, g->m);
  const int64_t j0 = g->j0 + b_begin * g->micro->nr, j1 = ml_min64(g->j0 + b_end * g->micro->nr, g->n);
  const ml_matrix c = {g->c, g->ldc, 1};
  if (g->kept.c_left) ml_pack_part(g->kept.c_left, (ml_packing){ML_LEFT, g->m, g->n}, c, i0, i1, j0, j1);
  if (g->kept.c_right) ml_pack_part(g->kept.c_right, (ml_packing){ML_RIGHT, g->n, g->m}, c, i0, i1, j0, j1);
}

/* The first panel of part i of `parts`. */
static int64_t part_begin(int64_t i, int64_t parts, int64_t panels, int64_t unit) {
  return ml_min64(i * ml_ceil_div(panels, unit) / parts * unit, panels);
}

static void multiply_tile(void *ctx, uint32_t tile) {
  const product *g = ctx;
  const int64_t down = tile / g->tiles_across, across = tile % g->tiles_across; /* a thread keeps to its rows */
  const int64_t a_begin = part_begin(down, g->tiles_down, g->a_panels, g->a_unit);
  const int64_t a_end = part_begin(down + 1, g->tiles_down, g->a_panels, g->a_unit);
  const int64_t b_begin = part_begin(across, g->tiles_across, g->b_panels, g->b_unit);
  const int64_t b_end = part_begin(across + 1, g->tiles_across, g->b_panels, g->b_unit);
  for (int64_t b = b_begin; b < b_end; b++) {
    for (int64_t s = 0; s < g->steps; s += g->micro->block) {
      run_strip(g, a_begin, a_end, b, s, ml_min64(g->micro->block, g->steps - s));
    }
  }
  if (g->p0 + g->depth == g->k) pack_result(g, a_begin, a_end, b_begin, b_end);
}

/* ---- stages ---- */

/* Tiles of a result that is to be packed are whole parts of what it is packed to. */
static void plan_tiles(product *g) {
  const bool pack = g->kept.c_left || g->kept.c_right;
  g->a_unit = pack ? ml_packed_grain() / g->micro->mr : 1;
  g->b_unit = pack ? ml_packed_grain() / g->micro->nr : 1;
  const int64_t most_down = ml_ceil_div(g->a_panels, g->a_unit), most_across = ml_ceil_div(g->b_panels, g->b_unit);
  g->tiles_down = ml_min64(ml_ceil_div(g->rows, TILE_ROWS), most_down);
  g->tiles_across = ml_min64(ml_ceil_div(g->cols, TILE_COLS), most_across);
  for (;;) {
    const int64_t tiles = g->tiles_down * g->tiles_across;
    const int64_t work = g->rows * g->cols * g->steps * ML_BF16_STEP / tiles;
    if (tiles >= TILES_WANTED || work < 2 * TILE_MIN_WORK) break;
    if (g->tiles_across < most_across) {
      g->tiles_across = ml_min64(2 * g->tiles_across, most_across);
    } else if (g->tiles_down < most_down) {
      g->tiles_down = ml_min64(2 * g->tiles_down, most_down);
    } else {
      break;
    }
  }
}

/* This stage's panels of operands that are kept, which are a single stage along K. */
static void find_kept(product *g) {
  if (g->kept.a) g->packed_a = (const char *)g->kept.a + g->i0 / g->micro->mr * g->a_bytes;
  if (g->kept.b) g->packed_b = (const char *)g->kept.b + g->j0 / g->micro->nr * g->b_bytes;
}

static void pack_stage(product *g, bool fresh_b) {
  g->pack_a_panels = g->kept.a ? 0 : g->a_panels;
  g->pack_b_panels = g->kept.b || !fresh_b ? 0 : g->b_panels;
  const int64_t panels = g->pack_b_panels + g->pack_a_panels;
  if (panels == 0) return;
  const int64_t a_rows = g->pack_a_panels * g->micro->mr, b_cols = g->pack_b_panels > 0 ? g->cols : 0;
  g->pack_group = ml_ceil_div(panels, ml_ceil_div((a_rows + b_cols) * g->depth, PACK_CHUNK));
  ml_pool_run(pack_chunk, g, (uint32_t)ml_ceil_div(panels, g->pack_group));
}

static void run_stage(product *g, bool fresh_b) {
  const ml_bf16_micro *micro = g->micro;
  g->a_panels = ml_ceil_div(g->rows, micro->mr);
  g->b_panels = ml_ceil_div(g->cols, micro->nr);
  g->steps = ml_bf16_steps(g->depth, g->precision);
  g->a_bytes = g->steps * ML_BF16_STEP * micro->mr * micro->element;
  g->b_bytes = g->steps * ML_BF16_STEP * micro->nr * micro->element;
  find_kept(g);
  pack_stage(g, fresh_b);
  plan_tiles(g);
  ml_pool_run(multiply_tile, g, (uint32_t)(g->tiles_down * g->tiles_across));
}

int64_t ml_bf16_stage_depth(const ml_bf16_micro *micro, ml_precision precision) {
  return STAGE_ROW_BYTES / (ML_BF16_STEP * micro->element) / steps_per_32(precision) * ML_BF16_STEP;
}

static void run_stages(product *g, float *work) {
  const int64_t depth = ml_bf16_stage_depth(g->micro, g->precision);
  g->packed_b = g->fresh_b = (char *)work;
  g->packed_a = g->fresh_a = (char *)work + packed_b_bytes(g->n, g->k);
  for (g->j0 = 0; g->j0 < g->n; g->j0 += N_STAGE) {
    g->cols = ml_min64(N_STAGE, g->n - g->j0);
    for (g->p0 = 0; g->p0 < g->k; g->p0 += depth) {
      g->depth = ml_min64(depth, g->k - g->p0);
      for (g->i0 = 0; g->i0 < g->m; g->i0 += M_STAGE) {
        g->rows = ml_min64(M_STAGE, g->m - g->i0);
        run_stage(g, g->i0 == 0);
      }
    }
  }
}

void ml_gemm_bf16(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_kept kept, ml_epilogue e, int64_t m, int64_t n,
                  int64_t k, float *work, ml_precision precision) {
  product g = {.micro = ml_bf16_micro_in_use(), .precision = precision, .c = c, .ldc = ldc, .a = a, .b = b,
               .kept = kept, .epilogue = e, .m = m, .n = n, .k = k};
  run_stages(&g, work);
}
