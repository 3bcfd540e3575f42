/* The slow, obvious convolutions: see naive.h. Called by tests, never by the program. */
#include "kernels/naive.h"

/* The four indices of a product: output channel o, image n, output pixel (i, j), input channel c of the group and
 * kernel place (a, b) meet at the input's (y, x); x_at is -1 in the padding. */
typedef void (*visit_fn)(void *ctx, int64_t y_at, int64_t x_at, int64_t w_at);

static void visit_products(const ml_conv2d *g, visit_fn visit, void *ctx) {
  const int64_t oh = ml_conv2d_out_h(g), ow = ml_conv2d_out_w(g);
  const int64_t ins = g->in_c / g->groups, outs = g->out_c / g->groups;
  for (int64_t at = 0; at < g->n * g->out_c * oh * ow; at++) {
    const int64_t j = at % ow, i = at / ow % oh, o = at / ow / oh % g->out_c, n = at / ow / oh / g->out_c;
    for (int64_t p = 0; p < ins * g->kh * g->kw; p++) {
      const int64_t b = p % g->kw, a = p / g->kw % g->kh, c = p / g->kw / g->kh;
      const int64_t y = i * g->stride_h + a - g->pad_top, x = j * g->stride_w + b - g->pad_left;
      const bool padding = y < 0 || y >= g->h || x < 0 || x >= g->w;
      const int64_t x_at = ((n * g->in_c + o / outs * ins + c) * g->h + y) * g->w + x;
      visit(ctx, at, padding ? -1 : x_at, o * ins * g->kh * g->kw + p);
    }
  }
}

typedef struct sums {
  const float *x, *w, *dy;
  double *sum;
} sums;

static void add_y(void *ctx, int64_t y_at, int64_t x_at, int64_t w_at) {
  sums *s = ctx;
  s->sum[y_at] += (x_at < 0 ? 0.0 : (double)s->x[x_at]) * (double)s->w[w_at];
}

static void add_dx(void *ctx, int64_t y_at, int64_t x_at, int64_t w_at) {
  sums *s = ctx;
  if (x_at >= 0) s->sum[x_at] += (double)s->dy[y_at] * (double)s->w[w_at];
}

static void add_dw(void *ctx, int64_t y_at, int64_t x_at, int64_t w_at) {
  sums *s = ctx;
  s->sum[w_at] += (double)s->dy[y_at] * (x_at < 0 ? 0.0 : (double)s->x[x_at]);
}

void ml_naive_conv2d_forward(double *y, const float *x, const float *w, const float *bias, bool relu,
                             const ml_conv2d *g) {
  const int64_t plane = ml_conv2d_out_h(g) * ml_conv2d_out_w(g), count = g->n * g->out_c * plane;
  for (int64_t i = 0; i < count; i++) y[i] = bias ? (double)bias[i / plane % g->out_c] : 0.0;
  visit_products(g, add_y, &(sums){.x = x, .w = w, .sum = y});
  for (int64_t i = 0; relu && i < count; i++) y[i] = y[i] < 0.0 ? 0.0 : y[i];
}

void ml_naive_conv2d_dx(double *dx, const float *dy, const float *w, const ml_conv2d *g) {
  for (int64_t i = 0; i < g->n * g->in_c * g->h * g->w; i++) dx[i] = 0.0;
  visit_products(g, add_dx, &(sums){.dy = dy, .w = w, .sum = dx});
}

void ml_naive_conv2d_dw(double *dw, const float *dy, const float *x, const ml_conv2d *g) {
  for (int64_t i = 0; i < g->out_c * (g->in_c / g->groups) * g->kh * g->kw; i++) dw[i] = 0.0;
  visit_products(g, add_dw, &(sums){.dy = dy, .x = x, .sum = dw});
}

void ml_naive_conv2d_db(double *db, const float *dy, const ml_conv2d *g) {
  const int64_t plane = ml_conv2d_out_h(g) * ml_conv2d_out_w(g);
  for (int64_t o = 0; o < g->out_c; o++) db[o] = 0.0;
  for (int64_t i = 0; i < g->n * g->out_c * plane; i++) db[i / plane % g->out_c] += (double)dy[i];
}
