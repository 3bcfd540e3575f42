/* A pass computed directly, a row of pixels at a time: for depthwise convolutions and others whose products would have
 * a row or two only.
 * The same bits in every precision and on every instruction set. Called by conv.c; allocates nothing. */
#include "base/integer.h"
#include "base/pool.h"
#include "kernels/conv_product.h"
#include "kernels/vec4.h"

enum { GRAIN_WORK = 1 << 15, STRIP = 256 /* pixels that are computed beside each other */ };

typedef struct direct {
  const ml_conv_pass *pass;
  const ml_conv_unit *unit;
  float *packed; /* [group][row][k] */
  const float *staged;
  int64_t first;
} direct;

void ml_conv_direct_pack(const ml_conv_pass *pass, float *packed) {
  for (int64_t i = 0; i < pass->groups * pass->rows; i++) {
    ml_conv_weights(packed + i * pass->k, pass, i / pass->rows, i % pass->rows, 0, pass->k);
  }
}

/* out[j * step] = row[j], or max(row[j], 0) */
static inline void put(float *restrict out, int64_t step, const float *restrict row, int64_t n, bool relu) {
  int64_t j = 0;
  for (; step == 1 && j + 4 <= n; j += 4) {
    const ml_vec4 v = ml_vec4_load(row + j);
    ml_vec4_store(out + j, relu ? ml_vec4_relu(v) : v);
  }
  for (; j < n; j++) out[j * step] = relu && row[j] < 0.0f ? 0.0f : row[j];
}

/* Row r of all groups' rows, in one image of the stage. */
static void run_plane(const direct *g, int64_t image, int64_t r) {
  const ml_conv_pass *p = g->pass;
  const float *a = g->packed + r * p->k, bias = p->bias ? p->bias[r] : 0.0f;
  const int64_t channel = image * p->planes.channels + r / p->rows * p->channels;
  const float *x = g->staged + channel * p->planes.plane + p->base;
  float *out = p->out + (g->first + image) * p->out_image + r * p->out_plane + p->out_base;
  const bool whole = p->row == p->w && p->out_row == p->w && p->out_col == 1; /* the plane is one row */
  const int64_t w = whole ? p->w * p->h : p->w, h = whole ? 1 : p->h;
  _Alignas(64) float strip[STRIP + ML_CONV_MAX_WIDTH];
  for (int64_t i = 0; i < h; i++, x += p->row, out += p->out_row) {
    for (int64_t j = 0; j < w; j += STRIP) {
      const int64_t n = ml_min64(STRIP, w - j);
      g->unit->direct(strip, x + j, a, bias, p->taps, p->k, n);
      put(out + j * p->out_col, p->out_col, strip, n, p->relu);
    }
  }
}

static void run_planes(void *ctx, int64_t begin, int64_t end) {
  const direct *g = ctx;
  const int64_t rows = g->pass->groups * g->pass->rows;
  for (int64_t i = begin; i < end; i++) run_plane(g, i / rows, i % rows);
}

void ml_conv_direct(const ml_conv_pass *pass, const float *packed, const float *staged, int64_t first,
                    int64_t images) {
  direct g = {.pass = pass, .unit = ml_conv_unit_in_use(), .packed = (float *)packed, .staged = staged,
              .first = first};
  const int64_t grain = GRAIN_WORK / (pass->k * pass->h * pass->w);
  ml_pool_for(run_planes, &g, images * pass->groups * pass->rows, grain > 0 ? grain : 1);
}
