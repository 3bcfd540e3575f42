/* Convolutions: the forward and the input gradient as passes (conv_pass.h) over stages of some images, and the sizes of
 * their workspace. Called by the convolution operation; allocates nothing.
 *
 * The workspace holds, in this order, the tables of a pass, the packed weights of all passes, and a stage. */
#include "kernels/conv.h"

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/conv_dw.h"
#include "kernels/conv_product.h"
#include "kernels/kernels.h"

enum {
  STAGE_FLOATS = 1 << 17, /* or one image, if that is larger */
  DB_FLOATS = 1 << 16,    /* sums of single planes, or those of one image */
  DIRECT_ROWS = 3         /* a pass of at most so many rows per group is computed directly */
};

static bool dw_is_direct(const ml_conv2d *g) { return g->in_c == g->groups && g->out_c / g->groups <= DIRECT_ROWS; }

static bool is_empty(const ml_conv2d *g) { return g->n == 0 || ml_conv2d_out_h(g) == 0 || ml_conv2d_out_w(g) == 0; }

/* ---- workspace ---- */

static int64_t table_floats(const ml_conv2d *g) {
  return ml_round_up(ml_conv_table_words(g) * (int64_t)(sizeof(int64_t) / sizeof(float)), 16);
}

/* How many images of so many floats make a stage. */
static int64_t stage_images(int64_t image_floats, int64_t n) {
  return ml_max64(ml_min64(STAGE_FLOATS / ml_max64(image_floats, 1), n), 1);
}

static int64_t stage_floats(const ml_conv_pass *p, int64_t n) {
  const int64_t image = p->planes.channels * p->planes.plane;
  return ml_round_up(stage_images(image, n) * image + ML_CONV_MAX_WIDTH, 16);
}

static int64_t forward_packed_floats(const ml_conv2d *g) {
  return ml_conv_packed_floats(g->groups, g->out_c / g->groups, g->in_c / g->groups * g->kh * g->kw);
}

/* Packed weights of the input gradient's passes: every tap belongs to one of them. */
static int64_t dx_packed_floats(const ml_conv2d *g) {
  const int64_t channels = g->out_c / g->groups, rows = g->in_c / g->groups;
  int64_t total = 0;
  for (int64_t r = 0; r < ml_min64(g->stride_h, g->kh); r++) {
    for (int64_t q = 0; q < ml_min64(g->stride_w, g->kw); q++) {
      const int64_t taps = ((g->kh - 1 - r) / g->stride_h + 1) * ((g->kw - 1 - q) / g->stride_w + 1);
      total += ml_conv_packed_floats(g->groups, rows, channels * taps);
    }
  }
  return total;
}

static int64_t db_images(const ml_conv2d *g) { return ml_max64(ml_min64(DB_FLOATS / g->out_c, g->n), 1); }

size_t ml_conv2d_workspace(const ml_conv2d *g) {
  if (is_empty(g)) return 0;
  const ml_conv_pass forward = ml_conv_forward_pass(g, NULL, NULL, NULL, NULL);
  const ml_conv_pass dx = ml_conv_dx_pass(g, NULL, NULL, NULL, 0, 0, NULL);
  int64_t floats = forward_packed_floats(g) + stage_floats(&forward, g->n);
  floats = ml_max64(floats, dx_packed_floats(g) + stage_floats(&dx, g->n));
  floats = ml_max64(floats, dw_is_direct(g) ? ml_conv_dw_direct_floats(g) : ml_conv_dw_floats(g));
  floats = ml_max64(floats, (db_images(g) + 1) * g->out_c);
  return (size_t)(table_floats(g) + floats);
}

/* ---- passes over stages ---- */

static void pack(const ml_conv_pass *p, float *packed) {
  if (p->rows <= DIRECT_ROWS) {
    ml_conv_direct_pack(p, packed);
  } else {
    ml_conv_product_pack(p, packed);
  }
}

static void compute(const ml_conv_pass *p, const float *packed, const float *staged, int64_t first, int64_t images) {
  if (p->rows <= DIRECT_ROWS) {
    ml_conv_direct(p, packed, staged, first, images);
  } else {
    ml_conv_product(p, packed, staged, first, images);
  }
}

void ml_conv2d_forward(float *y, const float *x, const float *w, const float *bias, bool relu, const ml_conv2d *g,
                       float *work) {
  if (is_empty(g)) return;
  float *packed = work + table_floats(g), *staged = packed + forward_packed_floats(g);
  ml_conv_pass p = ml_conv_forward_pass(g, y, x, w, (int64_t *)work);
  p.bias = bias;
  p.relu = relu;
  pack(&p, packed);
  const int64_t step = stage_images(p.planes.channels * p.planes.plane, g->n);
  for (int64_t first = 0; first < g->n; first += step) {
    const int64_t images = ml_min64(step, g->n - first);
    ml_conv_stage(staged, &p.planes, first, images);
    compute(&p, packed, staged, first, images);
  }
}

/* Packs the weights of all passes of the input gradient or, with `staged`, computes them for images first... */
static void dx_passes(const ml_conv2d *g, float *dx, const float *dy, const float *w, float *work, float *staged,
                      int64_t first, int64_t images) {
  float *packed = work + table_floats(g);
  for (int64_t r = 0; r < ml_min64(g->stride_h, g->kh); r++) {
    for (int64_t q = 0; q < ml_min64(g->stride_w, g->kw); q++) {
      const ml_conv_pass p = ml_conv_dx_pass(g, dx, dy, w, r, q, (int64_t *)work);
      if (!staged) {
        pack(&p, packed);
      } else if (p.h * p.w > 0) {
        compute(&p, packed, staged, first, images);
      }
      packed += ml_conv_packed_floats(g->groups, p.rows, p.k);
    }
  }
}

void ml_conv2d_dx(float *dx, const float *dy, const float *w, const ml_conv2d *g, float *work) {
  const bool gaps = g->kh < g->stride_h || g->kw < g->stride_w; /* pixels that no tap meets */
  if (is_empty(g) || gaps) ml_fill(dx, g->n * g->in_c * g->h * g->w, 0.0f);
  if (is_empty(g)) return;
  float *staged = work + table_floats(g) + dx_packed_floats(g);
  const ml_conv_pass any = ml_conv_dx_pass(g, dx, dy, w, 0, 0, NULL);
  const int64_t step = stage_images(any.planes.channels * any.planes.plane, g->n);
  dx_passes(g, dx, dy, w, work, NULL, 0, 0);
  for (int64_t first = 0; first < g->n; first += step) {
    const int64_t images = ml_min64(step, g->n - first);
    ml_conv_stage(staged, &any.planes, first, images);
    dx_passes(g, dx, dy, w, work, staged, first, images);
  }
}

/* ---- weights and bias ---- */

void ml_conv2d_dw(float *dw, const float *dy, const float *x, const ml_conv2d *g, float *work) {
  if (is_empty(g)) {
    ml_fill(dw, g->out_c * (g->in_c / g->groups) * g->kh * g->kw, 0.0f);
    return;
  }
  const ml_conv_pass p = ml_conv_forward_pass(g, NULL, x, NULL, (int64_t *)work);
  if (dw_is_direct(g)) {
    ml_conv_dw_direct(dw, dy, &p, g->n, work + table_floats(g));
  } else {
    ml_conv_dw(dw, dy, &p, g->n, work + table_floats(g));
  }
}

/* Sums of planes, then of images: a stage's first row is the sum so far. */
void ml_conv2d_db(float *db, const float *dy, const ml_conv2d *g, float *work) {
  const int64_t plane = ml_conv2d_out_h(g) * ml_conv2d_out_w(g), step = db_images(g);
  ml_fill(db, g->out_c, 0.0f);
  if (is_empty(g)) return;
  for (int64_t first = 0; first < g->n; first += step) {
    const int64_t images = ml_min64(step, g->n - first);
    ml_copy(work, db, g->out_c);
    ml_reduce_sum(work + g->out_c, dy + first * g->out_c * plane, images * g->out_c, plane, 1, 1.0);
    ml_reduce_sum(db, work, 1, images + 1, g->out_c, 1.0);
  }
}
