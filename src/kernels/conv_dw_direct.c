/* The weight gradient of a depthwise convolution, directly: dw[o, tap] is a sum over the pixels of two planes. The
 * same bits in every precision and on every instruction set. Called by conv.c; allocates nothing. */
#include "base/integer.h"
#include "base/pool.h"
#include "kernels/conv_dw.h"
#include "kernels/vec4.h"

enum {
  STAGE_FLOATS = 1 << 18, /* or one image */
  GRAIN_WORK = 1 << 15
};

typedef struct direct {
  const ml_conv_pass *pass;
  float *dw;
  const float *dy;
  double *sums; /* [group][row][tap] */
  float *staged;
  int64_t first, images;
} direct;

static int64_t stage_images(const ml_conv_pass *p, int64_t n) {
  return ml_max64(ml_min64(STAGE_FLOATS / (p->planes.channels * p->planes.plane), n), 1);
}

static int64_t sums_floats(const ml_conv_pass *p) {
  return (p->groups * p->rows * p->k * (int64_t)(sizeof(double) / sizeof(float)) + 15) / 16 * 16;
}

int64_t ml_conv_dw_direct_floats(const ml_conv2d *g) {
  const ml_conv_pass p = ml_conv_forward_pass(g, NULL, NULL, NULL, NULL);
  return sums_floats(&p) + stage_images(&p, g->n) * p.planes.channels * p.planes.plane;
}

/* sum over i < h, j < w of dy[i * w + j] x[i * row + j], in eight partial sums and one of the rows' ends */
static double sum_products(const float *dy, const float *x, int64_t h, int64_t w, int64_t row) {
  ml_vec4 s0 = {0}, s1 = {0};
  float rest = 0.0f;
  for (int64_t i = 0; i < h; i++, dy += w, x += row) {
    int64_t j = 0;
    for (; j + 8 <= w; j += 8) {
      s0 += ml_vec4_load(dy + j) * ml_vec4_load(x + j);
      s1 += ml_vec4_load(dy + j + 4) * ml_vec4_load(x + j + 4);
    }
    for (; j + 4 <= w; j += 4) s0 += ml_vec4_load(dy + j) * ml_vec4_load(x + j);
    for (; j < w; j++) rest += dy[j] * x[j];
  }
  s0 += s1;
  return (double)((s0[0] + s0[1]) + (s0[2] + s0[3]) + rest);
}

/* Outputs begin..end-1 of all groups, over the images of the stage in ascending order. */
static void run_outputs(void *ctx, int64_t begin, int64_t end) {
  const direct *g = ctx;
  const ml_conv_pass *p = g->pass;
  const int64_t plane = p->h * p->w, outputs = p->groups * p->rows;
  for (int64_t o = begin; o < end; o++) {
    double *sums = g->sums + o * p->k;
    for (int64_t t = 0; t < p->k && g->first == 0; t++) sums[t] = 0.0;
    for (int64_t n = 0; n < g->images; n++) {
      const float *dy = g->dy + ((g->first + n) * outputs + o) * plane;
      const float *x = g->staged + (n * p->planes.channels + o / p->rows) * p->planes.plane + p->base;
      for (int64_t t = 0; t < p->k; t++) sums[t] += sum_products(dy, x + p->taps.tap[t], p->h, p->w, p->row);
    }
  }
}

void ml_conv_dw_direct(float *dw, const float *dy, const ml_conv_pass *pass, int64_t n, float *work) {
  direct g = {.pass = pass, .dw = dw, .dy = dy, .sums = (double *)work, .staged = work + sums_floats(pass)};
  const int64_t step = stage_images(pass, n), outputs = pass->groups * pass->rows;
  for (g.first = 0; g.first < n; g.first += step) {
    g.images = ml_min64(step, n - g.first);
    ml_conv_stage(g.staged, &pass->planes, g.first, g.images);
    ml_pool_for(run_outputs, &g, outputs, ml_max64(GRAIN_WORK / (g.images * pass->k * pass->h * pass->w), 1));
  }
  for (int64_t i = 0; i < outputs * pass->k; i++) dw[i] = (float)g.sums[i];
}
