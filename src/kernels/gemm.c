/* The matrix product: how it is cut up for caches and threads. Called by the operations; allocates nothing. In the
 * precisions other than f32 it hands over to gemm_bf16.c.
 *
 * K is cut into blocks (ml_k_block) whose products are added up in ascending order. Stages of
 * M_STAGE x N_STAGE x (BLOCKS_PER_STAGE blocks) at most are packed into the workspace by all threads (one parallel
 * region), as far as operands do not lie in memory in rows anyway, and multiplied by all threads (a second one), tile
 * by tile of C. An element of C belongs to one tile and is always the same chain of operations, so neither the tiles'
 * size nor the number of threads shows in the result. Where an operand has many zeros, products that consist of
 * nothing else are left out (gemm_zeros.h). */
#include <stdbool.h>
#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_micro.h"
#include "kernels/gemm_zeros.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/vec4.h"

enum {
  BLOCKS_PER_STAGE = 4,
  M_STAGE = 768,  /* a multiple of ML_MICRO_MAX_ROWS */
  N_STAGE = 1024, /* a multiple of ML_MICRO_MAX_COLS */
  TILE_ROWS = 132,
  TILE_COLS = 64,
  TILES_WANTED = 32,       /* smaller products are cut until there are this many tiles ... */
  TILE_MIN_WORK = 1 << 18, /* ... or they are smaller than twice this many multiply-adds */
  SWAP_LIMIT = 5 << 17,    /* floats of a result that may be computed transposed and turned tile by tile */
  SWAP_DEPTH = 128,        /* products from which such a result is worth turning for narrower panels of zeros */
  PACK_CHUNK = 1 << 14,    /* floats that a thread packs at a time */
  ZEROS_FROM = 1 << 22     /* multiply-adds from which zeros are looked for */
};

/* Where a result that is computed as its transpose belongs. */
typedef struct turn {
  float *c;
  int64_t ldc;
  ml_epilogue epilogue;
} turn;

typedef struct gemm {
  const ml_micro *micro;
  float *c;
  int64_t ldc;
  ml_matrix a, b;
  ml_epilogue epilogue;
  int64_t m, n, k;
  int64_t k_block;
  float *packed_a, *packed_b;
  enum { NEITHER, SPARSE_A, SPARSE_B } sparse; /* the operand in which zeros are left out */
  ml_zero_lists zeros;              /* of this operand in this stage */
  bool direct_a;                    /* A's rows are contiguous: only a last panel of fewer than mr rows is packed */
  bool direct_b;                    /* B's rows are: only a last panel of fewer than nr columns is packed */
  /* the stage: rows i0.., columns j0.., products p0.. */
  int64_t i0, j0, p0, rows, cols, depth;
  int64_t a_panels, b_panels;       /* in this stage */
  int64_t direct_a_panels;          /* panels of A, from the first, that are read where they lie */
  int64_t direct_b_panels;          /* panels of B, likewise */
  int64_t pack_b_panels;            /* panels of B after these that are to be packed */
  int64_t pack_group, pack_groups;  /* panels per packing chunk; chunks per block of products */
  int64_t tiles_down, tiles_across; /* this stage's tiles */
  const turn *turn;                 /* NULL: c is where it belongs */
} gemm;

static const ml_micro *micro_in_use(void) { return ML_FOR_ISA(ml_micro); }

/* Floats of packed B in a stage, the larger share of a workspace; a multiple of 16 so that A begins aligned too. */
static int64_t packed_b_floats(int64_t n, int64_t depth) {
  return ml_round_up(ml_min64(ml_round_up(n, ML_MICRO_MAX_COLS), N_STAGE) * depth, 16);
}

static int64_t stage_depth(int64_t k) { return ml_min64(k, BLOCKS_PER_STAGE * ml_k_block(k)); }

/* Floats that hold a stage's lists, whichever operand they are of; 0 if there will be none. */
static int64_t list_floats(int64_t m, int64_t n, int64_t k) {
  if (m * n < ZEROS_FROM / k) return 0;
  const int64_t panels = ml_ceil_div(ml_max64(ml_min64(m, M_STAGE), ml_min64(n, N_STAGE)), ML_MICRO_MIN_WIDTH);
  return ml_round_up(ml_ceil_div(ml_zero_lists_room(panels, stage_depth(k), ml_k_block(k)), 2), 16);
}

static int64_t packing_floats(int64_t m, int64_t n, int64_t k) {
  const int64_t depth = stage_depth(k), rows = ml_min64(m, M_STAGE);
  const int64_t packed_a = ml_round_up(ml_round_up(rows, ML_MICRO_MAX_ROWS) * depth, 16);
  return packed_b_floats(n, depth) + packed_a + list_floats(m, n, k);
}

/* Floats from row to row of the transpose of a result of m rows: an odd number of cache lines, so that those of a
 * column do not all fall into the same few places of a cache. */
static int64_t turn_stride(int64_t m) { return (ml_ceil_div(m, 16) | 1) * 16; }

/* Whether c is computed as the transpose of b^T a^T where that saves packing: a layer's product x W^T reads W, the
 * larger operand, along its rows, so W can be the one that is not packed. Or where that makes panels of zeros narrower,
 * of which more hold nothing else: A's are of mr rows, B's of nr columns. Elements are the same chains of operations
 * either way. */
static bool may_swap(int64_t m, int64_t n) { return n > m && n * turn_stride(m) <= SWAP_LIMIT; }

static int64_t workspace_f32(int64_t m, int64_t n, int64_t k) {
  const int64_t plain = packing_floats(m, n, k);
  return may_swap(m, n) ? ml_max64(packing_floats(n, m, k) + n * turn_stride(m), plain) : plain;
}

size_t ml_gemm_workspace(int64_t m, int64_t n, int64_t k) {
  if (m <= 0 || n <= 0 || k <= 0) return 0;
  return (size_t)ml_max64(workspace_f32(m, n, k), (int64_t)ml_gemm_bf16_workspace(m, n, k));
}

/* ---- packing ---- */

/* Products of the block that begins at p of the stage. */
static int64_t block_depth(const gemm *g, int64_t p) { return ml_min64(g->k_block, g->depth - p); }

/* The first row, among those of all packed panels of an operand, of one of its `panels` in the block of products at p.
 * Panels lie block by block, because those of a block are packed together and read together. */
static int64_t panel_row(const gemm *g, int64_t panels, int64_t panel, int64_t p) {
  return p * panels + panel * block_depth(g, p);
}

/* Panels first..last-1, the block of products at p. */
static void pack_a(const gemm *g, int64_t first, int64_t last, int64_t p) {
  const int mr = g->micro->mr;
  const int64_t i = g->i0 + first * mr, rows = ml_min64((last - first) * mr, g->m - i);
  const float *x = g->a.data + i * g->a.row + (g->p0 + p) * g->a.col;
  float *panels = g->packed_a + panel_row(g, g->a_panels, first, p) * mr;
  ml_pack_panels(panels, mr, rows, x, g->a.row, g->a.col, block_depth(g, p));
}

static void pack_b(const gemm *g, int64_t first, int64_t last, int64_t p) {
  const int nr = g->micro->nr;
  const int64_t j = g->j0 + first * nr, cols = ml_min64((last - first) * nr, g->n - j);
  const float *x = g->b.data + j * g->b.col + (g->p0 + p) * g->b.row;
  float *panels = g->packed_b + panel_row(g, g->b_panels, first, p) * nr;
  ml_pack_panels(panels, nr, cols, x, g->b.col, g->b.row, block_depth(g, p));
}

/* Packs a group of panels of one block: B's come first, then A's. */
static void pack_chunk(void *ctx, uint32_t chunk) {
  const gemm *g = ctx;
  const int64_t begin = chunk % g->pack_groups * g->pack_group, end = begin + g->pack_group;
  const int64_t p = chunk / g->pack_groups * g->k_block;
  const int64_t a_begin = ml_max64(begin - g->pack_b_panels, 0) + g->direct_a_panels;
  const int64_t a_end = ml_min64(end - g->pack_b_panels + g->direct_a_panels, g->a_panels);
  if (begin < g->pack_b_panels) {
    pack_b(g, g->direct_b_panels + begin, g->direct_b_panels + ml_min64(end, g->pack_b_panels), p);
  }
  if (a_begin < a_end) pack_a(g, a_begin, a_end, p);
}

/* ---- leaving out zeros ---- */

/* Looks at values, which decide what is read but not what comes out. */
static void choose_sparse(gemm *g) {
  const ml_operand a = {g->a.data, g->m, g->a.row, g->k, g->a.col}, b = {g->b.data, g->n, g->b.col, g->k, g->b.row};
  g->sparse = NEITHER;
  if (list_floats(g->m, g->n, g->k) == 0) return;
  if (ml_zeros_many(&a, g->micro->mr)) {
    if (ml_operand_finite(&b)) g->sparse = SPARSE_A;
  } else if (ml_zeros_many(&b, g->micro->nr)) {
    if (ml_operand_finite(&a)) g->sparse = SPARSE_B;
  }
}

static void list_stage(gemm *g) {
  ml_operand o = {g->a.data + g->i0 * g->a.row + g->p0 * g->a.col, g->rows, g->a.row, g->depth, g->a.col};
  if (g->sparse == SPARSE_B) {
    o = (ml_operand){g->b.data + g->j0 * g->b.col + g->p0 * g->b.row, g->cols, g->b.col, g->depth, g->b.row};
  }
  g->zeros.operand = o;
  g->zeros.width = g->sparse == SPARSE_A ? g->micro->mr : g->micro->nr;
  g->zeros.block = g->k_block;
  ml_zero_lists_fill(&g->zeros);
}

static float finish(float v, ml_epilogue e, int64_t j) {
  if (e.bias) v += e.bias[j];
  return e.relu && v < 0.0f ? 0.0f : v;
}

/* ---- turning ---- */

/* c[i, j] = epilogue(t[j * ldt + i]) for rows i0..i1-1, columns j0..j1-1 of c. */
static void turn_block(const turn *to, const float *t, int64_t ldt, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  float *c = to->c;
  const int64_t ldc = to->ldc, whole_i = i0 + (i1 - i0) / 4 * 4, whole_j = j0 + (j1 - j0) / 4 * 4;
  for (int64_t i = i0; i < whole_i; i += 4) {
    for (int64_t j = j0; j < whole_j; j += 4) ml_vec4_transpose(c + i * ldc + j, ldc, t + j * ldt + i, ldt);
  }
  for (int64_t i = i0; i < i1; i++) {
    for (int64_t j = i < whole_i ? whole_j : j0; j < j1; j++) c[i * ldc + j] = t[j * ldt + i];
    for (int64_t j = j0; j < j1; j++) c[i * ldc + j] = finish(c[i * ldc + j], to->epilogue, j);
  }
}

/* ---- multiplying ---- */

/* The panels as they lie in memory, or their packed copies; p counts in the stage. */
static void run_micro(const gemm *g, float *c, int64_t ldc, int64_t a_panel, int64_t b_panel, int64_t p,
                      int64_t depth, int64_t rows_here, const ml_finish *f) {
  const ml_micro *micro = g->micro;
  const bool b_in_place = b_panel < g->direct_b_panels;
  const int64_t ldb = b_in_place ? g->b.row : micro->nr;
  const float *b = b_in_place ? g->b.data + (g->p0 + p) * ldb + g->j0 + b_panel * micro->nr
                              : g->packed_b + panel_row(g, g->b_panels, b_panel, p) * micro->nr;
  const bool a_in_place = a_panel < g->direct_a_panels;
  const float *a = a_in_place ? g->a.data + (g->i0 + a_panel * micro->mr) * g->a.row + g->p0 + p
                              : g->packed_a + panel_row(g, g->a_panels, a_panel, p) * micro->mr;
  if (g->sparse != NEITHER) {
    const uint16_t *at = ml_zero_list(&g->zeros, g->sparse == SPARSE_A ? a_panel : b_panel, p);
    const int64_t row = a_in_place ? g->a.row : 1, step = a_in_place ? 1 : micro->mr;
    micro->run_some(c, ldc, a, row, step, b, ldb, at, at[-1], rows_here, f);
  } else if (a_in_place) {
    micro->run_rows(c, ldc, a, g->a.row, b, ldb, depth, rows_here, f);
  } else {
    micro->run_packed(c, ldc, a, b, ldb, depth, rows_here, f);
  }
}

/* An edge tile of rows x cols: whole columns into a buffer, then the part that exists into c, by the same formula as
 * in the register kernel. */
static void run_edge(const gemm *g, float *c, int64_t a_panel, int64_t b_panel, int64_t p, int64_t depth,
                     ml_finish f, int64_t rows, int64_t cols) {
  _Alignas(64) float tile[ML_MICRO_MAX_ROWS * ML_MICRO_MAX_COLS];
  run_micro(g, tile, g->micro->nr, a_panel, b_panel, p, depth, rows, &(ml_finish){.add = false});
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) {
      float v = tile[i * g->micro->nr + j];
      if (f.add) v = c[i * g->ldc + j] + v;
      if (f.bias) v += f.bias[j];
      c[i * g->ldc + j] = f.relu && v < 0.0f ? 0.0f : v;
    }
  }
}

/* One panel of A by one of B, products p..p+depth-1 of this stage. */
static void run_panels(const gemm *g, int64_t a_panel, int64_t b_panel, int64_t p, int64_t depth) {
  const ml_micro *micro = g->micro;
  const int64_t i = g->i0 + a_panel * micro->mr, j = g->j0 + b_panel * micro->nr;
  const bool last = g->p0 + p + depth == g->k;
  const ml_finish f = {.add = g->p0 + p > 0,
                       .relu = last && g->epilogue.relu,
                       .bias = last && g->epilogue.bias ? g->epilogue.bias + j : NULL};
  float *c = g->c + i * g->ldc + j;
  const int64_t rows = ml_min64(micro->mr, g->m - i), cols = ml_min64(micro->nr, g->n - j);
  if (rows % micro->step == 0 && cols == micro->nr) {
    run_micro(g, c, g->ldc, a_panel, b_panel, p, depth, rows, &f);
  } else {
    run_edge(g, c, a_panel, b_panel, p, depth, f, rows, cols);
  }
}

static void multiply_tile(void *ctx, uint32_t tile) {
  const gemm *g = ctx;
  const int64_t down = tile / g->tiles_across, across = tile % g->tiles_across; /* a thread keeps to its rows */
  const int64_t a_begin = down * g->a_panels / g->tiles_down, a_end = (down + 1) * g->a_panels / g->tiles_down;
  const int64_t b_begin = across * g->b_panels / g->tiles_across;
  const int64_t b_end = (across + 1) * g->b_panels / g->tiles_across;
  for (int64_t p = 0; p < g->depth; p += g->k_block) {
    const int64_t depth = block_depth(g, p);
    for (int64_t b = b_begin; b < b_end; b++) {
      for (int64_t a = a_begin; a < a_end; a++) run_panels(g, a, b, p, depth);
    }
  }
  if (!g->turn || g->p0 + g->depth < g->k) return;
  const int mr = g->micro->mr, nr = g->micro->nr;
  turn_block(g->turn, g->c, g->ldc, g->j0 + b_begin * nr, ml_min64(g->j0 + b_end * nr, g->n), g->i0 + a_begin * mr,
             ml_min64(g->i0 + a_end * mr, g->m));
}

/* ---- stages ---- */

/* A tile reads all of its rows and columns. Where more tiles are wanted the longer side of the result is cut, because
 * the shorter operand, read by every tile, then stays in a cache. */
static void plan_tiles(gemm *g) {
  const int64_t max_down = ml_min64(g->a_panels, ml_ceil_div(g->rows, 2 * g->micro->mr));
  g->tiles_down = ml_ceil_div(g->rows, TILE_ROWS);
  g->tiles_across = ml_ceil_div(g->cols, TILE_COLS);
  for (;;) {
    const int64_t tiles = g->tiles_down * g->tiles_across;
    if (tiles >= TILES_WANTED || g->rows * g->cols * g->depth / tiles < 2 * TILE_MIN_WORK) break;
    const bool may_across = g->tiles_across < g->b_panels, may_down = g->tiles_down < max_down;
    if (may_down && (!may_across || g->rows > g->cols)) {
      g->tiles_down = ml_min64(2 * g->tiles_down, max_down);
    } else if (may_across) {
      g->tiles_across = ml_min64(2 * g->tiles_across, g->b_panels);
    } else {
      break;
    }
  }
  g->tiles_down = ml_min64(g->tiles_down, g->a_panels);
  g->tiles_across = ml_min64(g->tiles_across, g->b_panels);
}

static void run_stage(gemm *g, bool fresh_b) {
  g->a_panels = ml_ceil_div(g->rows, g->micro->mr);
  g->b_panels = ml_ceil_div(g->cols, g->micro->nr);
  g->direct_a_panels = g->direct_a ? g->rows / g->micro->mr : 0;
  g->direct_b_panels = g->direct_b ? g->cols / g->micro->nr : 0;
  g->pack_b_panels = fresh_b ? g->b_panels - g->direct_b_panels : 0;
  const int64_t packed_a = g->a_panels - g->direct_a_panels, panels = g->pack_b_panels + packed_a;
  const int64_t floats = (packed_a * g->micro->mr + g->pack_b_panels * g->micro->nr) * g->k_block;
  if (panels > 0) {
    g->pack_group = ml_ceil_div(panels, ml_ceil_div(floats, PACK_CHUNK));
    g->pack_groups = ml_ceil_div(panels, g->pack_group);
    ml_pool_run(pack_chunk, g, (uint32_t)(g->pack_groups * ml_ceil_div(g->depth, g->k_block)));
  }
  if (g->sparse == SPARSE_A || (g->sparse == SPARSE_B && fresh_b)) list_stage(g);
  plan_tiles(g);
  ml_pool_run(multiply_tile, g, (uint32_t)(g->tiles_down * g->tiles_across));
}

static void run_without_products(float *c, int64_t ldc, ml_epilogue e, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) c[i * ldc + j] = finish(0.0f, e, j);
  }
}

static void run_stages(gemm *g, float *work) {
  g->direct_a = g->a.col == 1;
  g->direct_b = g->b.col == 1;
  g->k_block = ml_k_block(g->k);
  const int64_t depth = stage_depth(g->k);
  g->packed_b = work;
  g->packed_a = work + packed_b_floats(g->n, depth);
  g->zeros.room = (uint16_t *)(void *)(work + packing_floats(g->m, g->n, g->k) - list_floats(g->m, g->n, g->k));
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

/* The transpose of the result will be computed, into the workspace. */
static void swap_operands(gemm *g, const turn *t, float *work) {
  const ml_matrix a = {g->b.data, g->b.col, g->b.row}, b = {g->a.data, g->a.col, g->a.row};
  const int64_t m = g->n, n = g->m;
  g->a = a;
  g->b = b;
  g->m = m;
  g->n = n;
  g->c = work + packing_floats(m, n, g->k);
  g->ldc = turn_stride(n);
  g->epilogue = ML_NO_EPILOGUE;
  g->turn = t;
}

void ml_gemm(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_epilogue e, int64_t m, int64_t n, int64_t k,
             float *work) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    run_without_products(c, ldc, e, m, n);
    return;
  }
  if (ml_precision_in_use() != ML_PRECISION_F32) {
    ml_gemm_bf16(c, ldc, a, b, ML_NOTHING_KEPT, e, m, n, k, work, ml_precision_in_use());
    return;
  }
  gemm g = {.micro = micro_in_use(), .c = c, .ldc = ldc, .a = a, .b = b, .epilogue = e, .m = m, .n = n, .k = k};
  const turn t = {c, ldc, e};
  const bool can_swap = may_swap(m, n);
  if (can_swap && b.row == 1) swap_operands(&g, &t, work);
  choose_sparse(&g);
  if (can_swap && !g.turn && g.sparse == SPARSE_B && k >= SWAP_DEPTH) {
    swap_operands(&g, &t, work);
    g.sparse = SPARSE_A;
  }
  run_stages(&g, work);
}
