/* The weight gradient as matrix products: dw^T[p, o] = sum over pixels of staged[pixel + offset of p] dy[o, pixel].
 * Called by conv.c; allocates nothing.
 *
 * The pixels of a stage are cut into blocks, and dy is packed, block by block, by all threads. A chunk of work is then
 * some rows p in a slice of the blocks: a thread copies what a few rows read in a block to its stack, as rows of
 * pixels, and multiplies them by the block's dy. Every slice has its own sum, which goes on from stage to stage; in
 * the end the slices are added in ascending order. Blocks and slices follow from the sizes alone. */
#include "kernels/conv_dw.h"

#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/conv_kernel.h"

enum {
  STAGE_FLOATS = 1 << 17, /* staged planes and packed dy, or those of one image */
  SUMS_FLOATS = 1 << 20,  /* of all slices, or those of one */
  CHUNKS_WANTED = 16,
  CHUNK_MIN_WORK = 1 << 18, /* multiply-adds of a chunk, unless there are fewer */
  ADD_GRAIN = 1 << 12
};

typedef struct weight_gradient {
  const ml_conv_pass *pass;
  ml_conv_kernel kernel;
  float *dw;
  const float *dy;
  int64_t block; /* pixels */
  /* sums[slice][group][sum_rows][sum_cols]: dw^T with whole tiles */
  float *sums;
  int64_t sum_rows, sum_cols, slices, row_chunks;
  float *staged;
  char *packed; /* [block][group][panel of nr outputs]; all but the last block have packed_block bytes per group */
  int64_t a_panels, b_panels;
  /* the stage */
  int64_t first, images, pixels, blocks;
} weight_gradient;

/* ---- sizes; the same for every kernel ---- */

/* Rows and columns of a group's sums, in whole tiles of any kernel. */
static int64_t sum_rows_of(const ml_conv_pass *p) { return p->k + ML_CONV_MAX_ROWS - 1; }
static int64_t sum_cols_of(const ml_conv_pass *p) { return ml_ceil_div(p->rows, ML_CONV_MAX_COLS) * ML_CONV_MAX_COLS; }

static int64_t image_staged_floats(const ml_conv_pass *p) { return p->planes.channels * p->planes.plane; }
static int64_t image_packed_floats(const ml_conv_pass *p) {
  return p->h * p->w * p->groups * sum_cols_of(p) * ML_CONV_SPREAD;
}

static int64_t stage_images(const ml_conv_pass *p, int64_t n) {
  return ml_max64(ml_min64(STAGE_FLOATS / (image_staged_floats(p) + p->h * p->w * p->groups * sum_cols_of(p)), n), 1);
}

static int64_t staged_floats(const ml_conv_pass *p, int64_t n) {
  return ml_ceil_div(stage_images(p, n) * image_staged_floats(p) + ML_CONV_MAX_WIDTH, 16) * 16;
}

/* Every block may end in a step that is not whole. */
static int64_t packed_floats(const ml_conv_pass *p, int64_t n) {
  return stage_images(p, n) * image_packed_floats(p) + ML_BF16_STEP * p->groups * sum_cols_of(p) * ML_CONV_SPREAD;
}

static int64_t slice_floats(const ml_conv_pass *p) { return p->groups * sum_rows_of(p) * sum_cols_of(p); }

static int64_t wanted_chunks(const ml_conv_pass *p, int64_t n) {
  const int64_t work = stage_images(p, n) * p->h * p->w * p->groups * p->k * p->rows;
  return ml_max64(ml_min64(work / CHUNK_MIN_WORK, CHUNKS_WANTED), 1);
}

static int64_t most_slices(const ml_conv_pass *p, int64_t n) {
  return ml_max64(ml_min64(wanted_chunks(p, n), SUMS_FLOATS / slice_floats(p)), 1);
}

int64_t ml_conv_dw_floats(const ml_conv2d *g) {
  const ml_conv_pass p = ml_conv_forward_pass(g, NULL, NULL, NULL, NULL);
  return most_slices(&p, g->n) * slice_floats(&p) + staged_floats(&p, g->n) + packed_floats(&p, g->n);
}

/* ---- dy ---- */

/* Where block b of a group is packed: all blocks before it are whole. */
static char *packed_block(const weight_gradient *g, int64_t group, int64_t b, int64_t depth) {
  const size_t whole = ml_conv_panel_bytes(&g->kernel, g->kernel.nr, g->block) * (size_t)g->b_panels;
  const size_t here = ml_conv_panel_bytes(&g->kernel, g->kernel.nr, depth) * (size_t)g->b_panels;
  return g->packed + (size_t)(b * g->pass->groups) * whole + (size_t)group * here;
}

/* A panel of outputs o.. by pixels q0.. of the stage. In f32 a panel's pixels lie one after the other, so each image's
 * are packed where they are. Else they are copied to rows[i * depth + q] first, of output o + i < o + count and pixel
 * q0 + q, for steps take pixels of several images. */
static void pack_dy(const weight_gradient *g, char *to, float *rows, int64_t o, int64_t count, int64_t q0,
                    int64_t depth) {
  const int64_t plane = g->pass->h * g->pass->w, outputs = g->pass->groups * g->pass->rows;
  for (int64_t q = 0; q < depth;) {
    const int64_t image = g->first + (q0 + q) / plane, pixel = (q0 + q) % plane;
    const int64_t run = ml_min64(plane - pixel, depth - q);
    const float *dy = g->dy + (image * outputs + o) * plane + pixel;
    if (!g->kernel.bf16) ml_conv_pack_b(&g->kernel, (float *)to + q * g->kernel.nr, dy, plane, count, run);
    for (int64_t i = 0; i < count && g->kernel.bf16; i++) {
      memcpy(rows + i * depth + q, dy + i * plane, (size_t)run * sizeof *dy);
    }
    q += run;
  }
  if (g->kernel.bf16) ml_conv_pack_b(&g->kernel, to, rows, depth, count, depth);
}

static void pack_block(void *ctx, uint32_t chunk) {
  const weight_gradient *g = ctx;
  const int nr = g->kernel.nr;
  const int64_t group = chunk % g->pass->groups, b = chunk / g->pass->groups, q0 = b * g->block;
  const int64_t depth = ml_min64(g->block, g->pixels - q0);
  _Alignas(64) float rows[ML_CONV_MAX_COLS * ML_CONV_MAX_BLOCK];
  char *to = packed_block(g, group, b, depth);
  for (int64_t panel = 0; panel < g->b_panels; panel++) {
    const int64_t o = panel * nr, count = ml_min64(nr, g->pass->rows - o);
    pack_dy(g, to, rows, group * g->pass->rows + o, count, q0, depth);
    to += ml_conv_panel_bytes(&g->kernel, nr, depth);
  }
}

/* ---- products ---- */

typedef struct buffers {
  _Alignas(64) float rows[ML_CONV_MAX_ROWS * ML_CONV_MAX_BLOCK + ML_CONV_MAX_WIDTH]; /* [mr][depth] */
  _Alignas(64) char packed[ML_CONV_PANEL_BYTES];
  ml_conv_piece pieces[ML_CONV_MAX_BLOCK];
} buffers;

/* mr rows of dw^T, from p on, by a block of pixels. */
static void run_rows(const weight_gradient *g, buffers *v, int64_t pieces, int64_t p, float *sums, const char *b,
                     int64_t depth, bool add) {
  const int mr = g->kernel.mr, nr = g->kernel.nr;
  const int64_t count = ml_min64(mr, g->pass->k - p);
  g->kernel.unit->gather(v->rows, depth, g->staged, v->pieces, pieces, g->pass->taps, p, count);
  if (g->kernel.bf16) {
    ml_conv_pack_a(&g->kernel, v->packed, v->rows, depth, count, depth);
  } else if (count % g->kernel.step != 0) {
    memset(v->rows + count * depth, 0, (size_t)((mr - count) * depth) * sizeof *v->rows);
  }
  for (int64_t panel = 0; panel < g->b_panels; panel++, b += ml_conv_panel_bytes(&g->kernel, nr, depth)) {
    float *c = sums + panel * nr;
    if (g->kernel.bf16) {
      ml_conv_run(&g->kernel, c, g->sum_cols, v->packed, 0, count, b, depth, (ml_finish){.add = add});
    } else {
      const ml_finish f = {.add = add};
      g->kernel.unit->micro->run_rows(c, g->sum_cols, v->rows, depth, (const float *)b, nr, depth, count, &f);
    }
  }
}

/* Panels of rows a_begin..a_end-1 by block b. */
static void run_block(const weight_gradient *g, buffers *v, int64_t group, int64_t b, int64_t a_begin, int64_t a_end,
                      float *sums, bool add) {
  const ml_conv_pass *pass = g->pass;
  const int64_t q0 = b * g->block, depth = ml_min64(g->block, g->pixels - q0);
  const int64_t pieces = ml_conv_cut(v->pieces, pass, g->kernel.unit->width, q0, depth);
  for (int64_t i = 0; i < pieces; i++) v->pieces[i].src += group * pass->channels * pass->planes.plane;
  const char *packed = packed_block(g, group, b, depth);
  for (int64_t a = a_begin; a < a_end; a++) {
    const int64_t p = a * g->kernel.mr;
    run_rows(g, v, pieces, p, sums + p * g->sum_cols, packed, depth, add);
  }
}

static void run_chunk(void *ctx, uint32_t chunk) {
  const weight_gradient *g = ctx;
  const int64_t rows = chunk % g->row_chunks, slice = chunk / g->row_chunks % g->slices;
  const int64_t group = chunk / g->row_chunks / g->slices;
  const int64_t a_begin = rows * g->a_panels / g->row_chunks, a_end = (rows + 1) * g->a_panels / g->row_chunks;
  const int64_t b_begin = slice * g->blocks / g->slices, b_end = (slice + 1) * g->blocks / g->slices;
  float *sums = g->sums + (slice * g->pass->groups + group) * g->sum_rows * g->sum_cols;
  buffers v;
  for (int64_t b = b_begin; b < b_end; b++) {
    run_block(g, &v, group, b, a_begin, a_end, sums, g->first > 0 || b > b_begin);
  }
}

/* ---- the whole ---- */

/* dw[o, p] = the slices' sums, for rows begin..end-1 of all groups' dw^T. */
static void add_slices(void *ctx, int64_t begin, int64_t end) {
  const weight_gradient *g = ctx;
  const int64_t k = g->pass->k, outputs = g->pass->rows, slice = g->pass->groups * g->sum_rows * g->sum_cols;
  for (int64_t i = begin; i < end; i++) {
    const int64_t group = i / k, p = i % k;
    const float *sums = g->sums + (group * g->sum_rows + p) * g->sum_cols;
    for (int64_t o = 0; o < outputs; o++) {
      float v = sums[o];
      for (int64_t s = 1; s < g->slices; s++) v += sums[s * slice + o];
      g->dw[(group * outputs + o) * k + p] = v;
    }
  }
}

static void run_stage(weight_gradient *g) {
  g->pixels = g->images * g->pass->h * g->pass->w;
  g->blocks = ml_ceil_div(g->pixels, g->block);
  ml_conv_stage(g->staged, &g->pass->planes, g->first, g->images);
  ml_pool_run(pack_block, g, (uint32_t)(g->blocks * g->pass->groups));
  ml_pool_run(run_chunk, g, (uint32_t)(g->row_chunks * g->slices * g->pass->groups));
}

void ml_conv_dw(float *dw, const float *dy, const ml_conv_pass *pass, int64_t n, float *work) {
  const int64_t step = stage_images(pass, n), wanted = wanted_chunks(pass, n);
  weight_gradient g = {.pass = pass, .kernel = ml_conv_kernel_in_use(), .dw = dw, .dy = dy, .sums = work};
  g.block = ml_conv_block(&g.kernel, step * pass->h * pass->w);
  g.sum_rows = sum_rows_of(pass);
  g.sum_cols = sum_cols_of(pass);
  g.a_panels = ml_ceil_div(pass->k, g.kernel.mr);
  g.b_panels = ml_ceil_div(pass->rows, g.kernel.nr);
  g.slices = ml_min64(most_slices(pass, n), ml_ceil_div(step * pass->h * pass->w, g.block));
  g.row_chunks = ml_min64(ml_ceil_div(wanted, g.slices * pass->groups), g.a_panels);
  g.staged = work + most_slices(pass, n) * slice_floats(pass);
  g.packed = (char *)(g.staged + staged_floats(pass, n));
  for (g.first = 0; g.first < n; g.first += step) {
    g.images = ml_min64(step, n - g.first);
    run_stage(&g);
  }
  ml_pool_for(add_slices, &g, pass->groups * pass->k, ml_max64(ADD_GRAIN / (pass->rows * g.slices), 1));
}
