/* A pass as a matrix product. The weights are packed once; a thread then takes some panels of pixels, copies what their
 * products read from the staged planes into a panel on its stack, a block of products at a time, and multiplies it by
 * all rows of the weights. Called by conv.c; allocates nothing.
 *
 * An output element is one chain of operations wherever its pixel falls in a panel: the blocks in ascending order. In
 * f32 the bias is one more product, bias times 1, at the end, which rounds like an addition; in bf16, where it would be
 * rounded to 8 bits, the chain begins with it. Tiles that reach past the rows, or across the end of an image, are
 * computed in a buffer. */
#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/conv_product.h"

enum {
  CHUNKS_WANTED = 16,
  CHUNK_MIN_WORK = 1 << 18 /* multiply-adds that a thread takes at a time, unless there are fewer */
};

typedef struct product {
  const ml_conv_pass *pass;
  ml_conv_kernel kernel;
  char *packed;
  bool bias_product; /* k + 1 products, the last one the bias */
  int64_t block, a_panels;
  size_t a_panel_bytes;
  const float *staged;
  int64_t first, pixels; /* the stage: its first image, the pixels of its images */
  int64_t panels, chunk_panels, chunks;
} product;

/* Pixels of a panel that lie beside each other, out_col apart, in out: columns col.. of the panel. */
typedef struct run {
  float *out;
  int64_t col, count;
} run;

/* ---- weights ---- */

int64_t ml_conv_packed_floats(int64_t groups, int64_t rows, int64_t k) {
  const int64_t rows_at_most = rows + ML_CONV_MAX_ROWS - 1;
  return groups * rows_at_most * ml_round_up(k, ML_BF16_STEP) * ML_CONV_SPREAD; /* room for the bias, too */
}

static void pack_panel(void *ctx, uint32_t chunk) {
  const product *g = ctx;
  const ml_conv_pass *pass = g->pass;
  _Alignas(64) float rows[ML_CONV_MAX_ROWS * (ML_CONV_MAX_BLOCK + 1)];
  const int64_t group = chunk / g->a_panels, row = chunk % g->a_panels * g->kernel.mr;
  const int64_t count = ml_min64(g->kernel.mr, pass->rows - row);
  char *panel = g->packed + chunk * g->a_panel_bytes;
  for (int64_t p = 0; p < pass->k; p += g->block) {
    const int64_t products = ml_min64(g->block, pass->k - p);
    const bool with_bias = g->bias_product && p + products == pass->k;
    const int64_t depth = products + with_bias;
    for (int64_t i = 0; i < count; i++) {
      ml_conv_weights(rows + i * depth, pass, group, row + i, p, products);
      if (with_bias) rows[i * depth + products] = pass->bias[group * pass->rows + row + i];
    }
    ml_conv_pack_a(&g->kernel, panel + ml_conv_panel_bytes(&g->kernel, g->kernel.mr, p), rows, depth, count, depth);
  }
}

static product product_of(const ml_conv_pass *pass, float *packed) {
  product g = {.pass = pass, .kernel = ml_conv_kernel_in_use(), .packed = (char *)packed};
  g.block = ml_conv_block(&g.kernel, pass->k);
  g.a_panels = ml_ceil_div(pass->rows, g.kernel.mr);
  g.bias_product = pass->bias && !g.kernel.bf16;
  g.a_panel_bytes = ml_conv_panel_bytes(&g.kernel, g.kernel.mr, pass->k + g.bias_product);
  return g;
}

void ml_conv_product_pack(const ml_conv_pass *pass, float *packed) {
  product g = product_of(pass, packed);
  ml_pool_run(pack_panel, &g, (uint32_t)(pass->groups * g.a_panels));
}

/* ---- tiles ---- */

/* The pixels q0..q0+count-1 of the stage as runs of out's first row in this group. */
static int64_t find_runs(run *runs, const product *g, int64_t group, int64_t q0, int64_t count) {
  const ml_conv_pass *p = g->pass;
  const bool whole_planes = p->out_row == p->w && p->out_col == 1;
  const int64_t w = whole_planes ? p->w * p->h : p->w, h = whole_planes ? 1 : p->h;
  float *out = p->out + g->first * p->out_image + group * p->rows * p->out_plane + p->out_base;
  int64_t j = q0 % w, i = q0 / w % h, image = q0 / w / h, n = 0;
  for (int64_t col = 0; col < count; j = 0) {
    const int64_t length = ml_min64(w - j, count - col);
    runs[n++] = (run){out + image * p->out_image + i * p->out_row + j * p->out_col, col, length};
    col += length;
    if (++i == h) {
      i = 0;
      image++;
    }
  }
  return n;
}

/* Copies rows between the tile and out, into out where `to_out` says so. */
static void move_tile(float *tile, int nr, const ml_conv_pass *p, const run *runs, int64_t count, int64_t rows,
                      int64_t row, bool to_out) {
  const int64_t step = p->out_col;
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t r = 0; r < count; r++) {
      float *out = runs[r].out + (row + i) * p->out_plane, *t = tile + i * nr + runs[r].col;
      if (to_out && step == 1) {
        memcpy(out, t, (size_t)runs[r].count * sizeof *t);
      } else if (to_out) {
        for (int64_t j = 0; j < runs[r].count; j++) out[j * step] = t[j];
      } else {
        for (int64_t j = 0; j < runs[r].count; j++) t[j] = out[j * step];
      }
    }
  }
}

static void fill_bias(float *c, int64_t ldc, const float *bias, int64_t rows, int nr) {
  for (int64_t i = 0; i < rows; i++) {
    for (int j = 0; j < nr; j++) c[i * ldc + j] = bias[i];
  }
}

/* A block of products: where they begin in the weights' first panel of the group, and the pixels' panel. */
typedef struct block {
  const char *a;
  const void *b;
  int64_t depth; /* products, with that of the bias */
  bool first, last;
} block;

/* The first `rows`, straight into out: the pixels are one run. */
static void run_in_place(const product *g, int64_t group, int64_t rows, const block *v, float *out) {
  const ml_conv_pass *pass = g->pass;
  const bool from_bias = v->first && pass->bias && !g->bias_product;
  if (from_bias) {
    fill_bias(out, pass->out_plane, pass->bias + group * pass->rows, rows, g->kernel.nr);
  }
  ml_conv_run(&g->kernel, out, pass->out_plane, v->a, g->a_panel_bytes, rows, v->b, v->depth,
              (ml_finish){.add = !v->first || from_bias, .relu = v->last && pass->relu});
}

/* One panel of rows by way of a tile of its own. */
static void run_aside(const product *g, int64_t group, int64_t a_panel, const block *v, const run *runs,
                      int64_t count) {
  const ml_conv_pass *pass = g->pass;
  const int nr = g->kernel.nr;
  const int64_t row = a_panel * g->kernel.mr, rows = ml_min64(g->kernel.mr, pass->rows - row);
  const bool from_bias = v->first && pass->bias && !g->bias_product;
  _Alignas(64) float tile[ML_CONV_MAX_ROWS * ML_CONV_MAX_COLS];
  if (from_bias) {
    fill_bias(tile, nr, pass->bias + group * pass->rows + row, rows, nr);
  } else if (!v->first) {
    move_tile(tile, nr, pass, runs, count, rows, row, false);
  }
  ml_conv_run(&g->kernel, tile, nr, v->a + a_panel * g->a_panel_bytes, 0, rows, v->b, v->depth,
              (ml_finish){.add = !v->first || from_bias, .relu = v->last && pass->relu});
  move_tile(tile, nr, pass, runs, count, rows, row, true);
}

static void run_block(const product *g, int64_t group, const block *v, const run *runs, int64_t count) {
  const bool one_run = runs[0].count == g->kernel.nr && g->pass->out_col == 1;
  const int64_t rows = g->pass->rows, mr = g->kernel.mr;
  const int64_t in_place = !one_run ? 0 : rows % mr % g->kernel.step == 0 ? rows : rows / mr * mr;
  if (in_place > 0) run_in_place(g, group, in_place, v, runs[0].out);
  for (int64_t a = ml_ceil_div(in_place, mr); a < g->a_panels; a++) run_aside(g, group, a, v, runs, count);
}

/* ---- panels ---- */

typedef struct buffers {
  _Alignas(64) float patches[(ML_CONV_MAX_BLOCK + 1) * ML_CONV_MAX_COLS + ML_CONV_MAX_WIDTH]; /* [depth][nr] */
  _Alignas(64) char packed[ML_CONV_PANEL_BYTES];
} buffers;

/* The panel as the kernel reads it: in f32 the patches as they are. */
static const void *fill_panel(const product *g, buffers *v, const ml_conv_piece *pieces, int64_t count, int64_t cols,
                              int64_t p, int64_t products) {
  const int nr = g->kernel.nr;
  if (cols < nr) memset(v->patches, 0, (size_t)(products * nr) * sizeof *v->patches);
  g->kernel.unit->gather(v->patches, nr, g->staged, pieces, count, g->pass->taps, p, products);
  for (int j = 0; j < nr && g->bias_product; j++) v->patches[products * nr + j] = 1.0f;
  if (!g->kernel.bf16) return v->patches;
  g->kernel.bf16->pack_b(v->packed, v->patches, 1, nr, cols, products, g->kernel.precision);
  return v->packed;
}

static void multiply_panel(const product *g, int64_t group, int64_t panel) {
  const ml_conv_pass *pass = g->pass;
  const int64_t q0 = panel * g->kernel.nr, cols = ml_min64(g->kernel.nr, g->pixels - q0);
  run runs[ML_CONV_MAX_COLS];
  ml_conv_piece pieces[ML_CONV_MAX_COLS];
  buffers v;
  const int64_t run_count = find_runs(runs, g, group, q0, cols);
  const int64_t count = ml_conv_cut(pieces, pass, g->kernel.unit->width, q0, cols);
  for (int64_t i = 0; i < count; i++) pieces[i].src += group * pass->channels * pass->planes.plane;
  for (int64_t p = 0; p < pass->k; p += g->block) {
    const int64_t products = ml_min64(g->block, pass->k - p);
    block b = {.first = p == 0, .last = p + products == pass->k};
    b.a = g->packed + group * g->a_panels * g->a_panel_bytes + ml_conv_panel_bytes(&g->kernel, g->kernel.mr, p);
    b.b = fill_panel(g, &v, pieces, count, cols, p, products);
    b.depth = products + (b.last && g->bias_product);
    run_block(g, group, &b, runs, run_count);
  }
}

static void multiply_chunk(void *ctx, uint32_t chunk) {
  const product *g = ctx;
  const int64_t group = chunk / g->chunks, begin = chunk % g->chunks * g->chunk_panels;
  const int64_t end = ml_min64(begin + g->chunk_panels, g->panels);
  for (int64_t panel = begin; panel < end; panel++) multiply_panel(g, group, panel);
}

void ml_conv_product(const ml_conv_pass *pass, const float *packed, const float *staged, int64_t first,
                     int64_t images) {
  product g = product_of(pass, (float *)packed);
  g.staged = staged;
  g.first = first;
  g.pixels = images * pass->h * pass->w;
  g.panels = ml_ceil_div(g.pixels, g.kernel.nr);
  const int64_t panel_work = ml_max64(pass->rows * pass->k * g.kernel.nr, 1);
  const int64_t by_work = ml_ceil_div(CHUNK_MIN_WORK, panel_work), by_count = g.panels * pass->groups / CHUNKS_WANTED;
  g.chunk_panels = ml_max64(ml_min64(by_work, by_count), 1);
  g.chunks = ml_ceil_div(g.panels, g.chunk_panels);
  ml_pool_run(multiply_chunk, &g, (uint32_t)(g.chunks * pass->groups));
}
