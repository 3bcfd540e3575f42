/* Geometry of convolutions: the passes that a forward or an input gradient is made of, the staging of their source,
 * and where pixels lie in it. Called by the other conv_*.c files; see conv_pass.h. */
#include "kernels/conv_pass.h"

#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/vec4.h"

enum { STAGE_GRAIN = 1 << 13 /* floats that a thread copies at a time */ };

static int64_t out_size(int64_t size, int64_t padding, int64_t kernel, int64_t stride) {
  const int64_t room = size + padding - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

int64_t ml_conv2d_out_h(const ml_conv2d *g) {
  return out_size(g->h, g->pad_top + g->pad_bottom, g->kh, g->stride_h);
}

int64_t ml_conv2d_out_w(const ml_conv2d *g) {
  return out_size(g->w, g->pad_left + g->pad_right, g->kw, g->stride_w);
}

/* ---- passes ---- */

int64_t ml_conv_table_words(const ml_conv2d *g) { return 2 * g->kh * g->kw; }

/* Output pixel (i, j) and tap (a, b) meet at padded row i stride_h + a and column j stride_w + b. The columns lie
 * sorted by their remainder, which b decides, so that j counts them one by one. */
ml_conv_pass ml_conv_forward_pass(const ml_conv2d *g, float *y, const float *x, const float *w, int64_t *words) {
  const int64_t oh = ml_conv2d_out_h(g), ow = ml_conv2d_out_w(g), size = g->kh * g->kw;
  ml_conv_planes s = {.source = x, .channels = g->in_c, .h = g->h, .w = g->w, .row0 = -g->pad_top,
                      .col0 = -g->pad_left, .step = g->stride_w, .phases = ml_min64(g->stride_w, g->kw)};
  s.rows = (oh - 1) * g->stride_h + g->kh;
  s.cols = ow + (g->kw - 1) / g->stride_w;
  s.plane = s.phases * s.rows * s.cols;
  for (int64_t a = 0, t = 0; words && a < g->kh; a++) {
    for (int64_t b = 0; b < g->kw; b++, t++) {
      words[t] = (b % g->stride_w * s.rows + a) * s.cols + b / g->stride_w;
      words[size + t] = t;
    }
  }
  const int64_t channels = g->in_c / g->groups, rows = g->out_c / g->groups;
  return (ml_conv_pass){
      .groups = g->groups, .rows = rows, .channels = channels, .k = channels * size, .planes = s,
      .taps = {words, size, s.plane},
      .weights = w, .weight_group = rows * channels * size, .weight_row = channels * size, .weight_channel = size,
      .weight_tap = words ? words + size : NULL,
      .h = oh, .w = ow, .base = 0, .row = g->stride_h * s.cols,
      .out = y, .out_image = g->out_c * oh * ow, .out_plane = oh * ow, .out_row = ow, .out_col = 1};
}

/* One axis of the input gradient. Place x of dx with x + pad = stride u + r gets tap r + stride a of dy's place u - a,
 * a < taps. These x have u from first to first + count - 1. */
typedef struct axis {
  int64_t taps, first, count;
} axis;

static axis axis_of(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t r) {
  axis v = {.taps = r < kernel ? (kernel - 1 - r) / stride + 1 : 0};
  v.first = pad > r ? ml_ceil_div(pad - r, stride) : 0;
  const int64_t last = size - 1 + pad - r;
  v.count = last < 0 ? 0 : ml_max64(last / stride + 1 - v.first, 0);
  return v;
}

/* The places *from .. *from + return value - 1 of dy that any x reads. */
static int64_t source_range(int64_t *from, int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  int64_t begin = INT64_MAX, end = INT64_MIN;
  for (int64_t r = 0; r < ml_min64(stride, kernel); r++) {
    const axis v = axis_of(size, kernel, stride, pad, r);
    if (v.count == 0) continue;
    begin = ml_min64(begin, v.first - (v.taps - 1));
    end = ml_max64(end, v.first + v.count);
  }
  *from = begin < end ? begin : 0;
  return begin < end ? end - begin : 0;
}

ml_conv_pass ml_conv_dx_pass(const ml_conv2d *g, float *dx, const float *dy, const float *w, int64_t r, int64_t q,
                             int64_t *words) {
  const axis down = axis_of(g->h, g->kh, g->stride_h, g->pad_top, r);
  const axis across = axis_of(g->w, g->kw, g->stride_w, g->pad_left, q);
  ml_conv_planes s = {.source = dy, .channels = g->out_c, .h = ml_conv2d_out_h(g), .w = ml_conv2d_out_w(g), .step = 1,
                      .phases = 1};
  s.rows = source_range(&s.row0, g->h, g->kh, g->stride_h, g->pad_top);
  s.cols = source_range(&s.col0, g->w, g->kw, g->stride_w, g->pad_left);
  s.plane = s.rows * s.cols;
  const int64_t size = down.taps * across.taps, kernel = g->kh * g->kw;
  for (int64_t a = 0, t = 0; words && a < down.taps; a++) {
    for (int64_t b = 0; b < across.taps; b++, t++) {
      words[t] = -a * s.cols - b;
      words[kernel + t] = (r + a * g->stride_h) * g->kw + q + b * g->stride_w;
    }
  }
  const int64_t channels = g->out_c / g->groups, rows = g->in_c / g->groups;
  return (ml_conv_pass){
      .groups = g->groups, .rows = rows, .channels = channels, .k = channels * size, .planes = s,
      .taps = {words, size, s.plane},
      .weights = w, .weight_group = rows * channels * kernel, .weight_row = kernel, .weight_channel = rows * kernel,
      .weight_tap = words ? words + kernel : NULL,
      .h = down.count, .w = across.count, .base = (down.first - s.row0) * s.cols + across.first - s.col0,
      .row = s.cols,
      .out = dx, .out_image = g->in_c * g->h * g->w, .out_plane = g->h * g->w,
      .out_base = (down.first * g->stride_h + r - g->pad_top) * g->w + across.first * g->stride_w + q - g->pad_left,
      .out_row = g->stride_h * g->w, .out_col = g->stride_w};
}

void ml_conv_weights(float *out, const ml_conv_pass *p, int64_t group, int64_t row, int64_t p0, int64_t count) {
  const float *w = p->weights + group * p->weight_group + row * p->weight_row;
  int64_t t = p0 % p->taps.taps;
  w += p0 / p->taps.taps * p->weight_channel;
  for (int64_t i = 0; i < count; i++) {
    out[i] = w[p->weight_tap[t]];
    if (++t == p->taps.taps) {
      t = 0;
      w += p->weight_channel;
    }
  }
}

/* ---- staging ---- */

typedef struct stage {
  float *to;
  const ml_conv_planes *p;
  int64_t first;
} stage;

/* Rows are short, so no calls: to[u] = x[u step], u < n. */
static inline void copy(float *restrict to, const float *restrict x, int64_t step, int64_t n) {
  int64_t u = 0;
  if (step == 1) {
    for (; u + 4 <= n; u += 4) ml_vec4_store(to + u, ml_vec4_load(x + u));
  }
  if (step == 2) {
    for (; u + 4 <= n - 1; u += 4) {
      const ml_vec4 low = ml_vec4_load(x + 2 * u), high = ml_vec4_load(x + 2 * u + 4);
      ml_vec4_store(to + u, __builtin_shufflevector(low, high, 0, 2, 4, 6));
    }
  }
  for (; u < n; u++) to[u] = x[u * step];
}

/* The values of u < limit with 0 <= at + u step < size: from *begin to *end - 1. */
static void inside(int64_t *begin, int64_t *end, int64_t at, int64_t step, int64_t size, int64_t limit) {
  *begin = at >= 0 ? 0 : ml_min64(ml_ceil_div(-at, step), limit);
  *end = at >= size ? *begin : ml_max64(ml_min64((size - 1 - at) / step + 1, limit), *begin);
}

static void stage_plane(float *to, const float *x, const ml_conv_planes *p) {
  int64_t top, bottom;
  inside(&top, &bottom, p->row0, 1, p->h, p->rows);
  memset(to, 0, (size_t)p->plane * sizeof *to);
  for (int64_t f = 0; f < p->phases; f++, to += p->rows * p->cols) {
    int64_t left, right;
    inside(&left, &right, p->col0 + f, p->step, p->w, p->cols);
    const int64_t from = p->col0 + f + left * p->step;
    for (int64_t r = top; r < bottom && left < right; r++) {
      copy(to + r * p->cols + left, x + (p->row0 + r) * p->w + from, p->step, right - left);
    }
  }
}

/* Planes begin..end-1, counted through images and channels. */
static void stage_planes(void *ctx, int64_t begin, int64_t end) {
  const stage *s = ctx;
  const ml_conv_planes *p = s->p;
  const bool as_it_is = p->step == 1 && p->cols == p->w && p->col0 == 0 && p->row0 == 0 && p->rows <= p->h;
  for (int64_t i = begin; i < end; i++) {
    const float *x = p->source + (s->first * p->channels + i) * p->h * p->w;
    float *to = s->to + i * p->plane;
    if (as_it_is) {
      memcpy(to, x, (size_t)p->plane * sizeof *to);
    } else {
      stage_plane(to, x, p);
    }
  }
}

void ml_conv_stage(float *to, const ml_conv_planes *p, int64_t first, int64_t images) {
  stage s = {to, p, first};
  const int64_t grain = p->plane > 0 ? STAGE_GRAIN / p->plane : 1;
  ml_pool_for(stage_planes, &s, images * p->channels, grain > 0 ? grain : 1);
}

int64_t ml_conv_cut(ml_conv_piece *pieces, const ml_conv_pass *p, int width, int64_t q0, int64_t count) {
  const int64_t image_floats = p->planes.channels * p->planes.plane;
  int64_t j = q0 % p->w, i = q0 / p->w % p->h, image = q0 / p->w / p->h, n = 0;
  for (int64_t col = 0; col < count;) {
    const int64_t run = ml_min64(p->w - j, count - col), src = image * image_floats + p->base + i * p->row + j;
    for (int64_t at = 0; at < run; at += width) pieces[n++] = (ml_conv_piece){src + at, col + at};
    col += run;
    j = 0;
    if (++i == p->h) {
      i = 0;
      image++;
    }
  }
  return n;
}
