/* Pooling of planes: see pooling.h. A thread takes whole planes, so that overlapping windows add to a gradient in a
 * fixed order. Called by the pooling operations; allocates nothing.
 *
 * Max pooling by 2x2 windows has loops of its own (pooling_halve.h). Elsewhere, where neighbouring windows lie one or
 * two columns apart and inside the plane, four are computed side by side; all others one by one, by the same
 * operations. */
#include "kernels/pooling.h"

#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/pooling_halve.h"
#include "kernels/vec4.h"

enum { GRAIN = 1 << 14 /* elements of windows that a thread takes at a time */ };

typedef double double4 __attribute__((vector_size(32)));

/* A pass over all planes. Adaptive windows have no kernel: window i of n covers i size / n to (i + 1) size / n. */
typedef struct pooling {
  ml_pooling2d g;
  int64_t oh, ow;
  bool adaptive, count_padding;
  float *to;
  const float *from;
  int32_t *index;
} pooling;

/* What a window covers of an axis. */
typedef struct span {
  int64_t begin, end;
} span;

static int64_t out_size(int64_t size, int64_t padding, int64_t kernel, int64_t stride) {
  const int64_t room = size + padding - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

int64_t ml_pooling2d_out_h(const ml_pooling2d *g) {
  return out_size(g->h, g->pad_top + g->pad_bottom, g->kh, g->stride_h);
}

int64_t ml_pooling2d_out_w(const ml_pooling2d *g) {
  return out_size(g->w, g->pad_left + g->pad_right, g->kw, g->stride_w);
}

static span clip(int64_t begin, int64_t length, int64_t size) {
  const int64_t from = ml_min64(ml_max64(begin, 0), size);
  return (span){from, ml_max64(ml_min64(begin + length, size), from)};
}

static span rows_of(const pooling *p, int64_t i) {
  if (p->adaptive) return (span){i * p->g.h / p->oh, ml_ceil_div((i + 1) * p->g.h, p->oh)};
  return clip(i * p->g.stride_h - p->g.pad_top, p->g.kh, p->g.h);
}

static span cols_of(const pooling *p, int64_t j) {
  if (p->adaptive) return (span){j * p->g.w / p->ow, ml_ceil_div((j + 1) * p->g.w, p->ow)};
  return clip(j * p->g.stride_w - p->g.pad_left, p->g.kw, p->g.w);
}

/* What a window's sum is divided by. */
static double count_of(const pooling *p, span rows, span cols) {
  if (p->count_padding) return (double)(p->g.kh * p->g.kw);
  return (double)ml_max64((rows.end - rows.begin) * (cols.end - cols.begin), 1);
}

/* The windows of a row that a four may begin with, where all of it lies inside the plane. None if the strides do not
 * allow it. */
static span fours_of(const pooling *p) {
  const ml_pooling2d *g = &p->g;
  if (p->adaptive || g->stride_w > 2) return (span){0, 0};
  const int64_t begin = ml_ceil_div(g->pad_left, g->stride_w);
  const int64_t room = g->w + g->pad_left - g->kw - 3 * g->stride_w; /* the columns that are read */
  return (span){begin, room < 0 ? begin : ml_min64(room / g->stride_w, p->ow - 4) + 1};
}

/* Whether window j is computed in a four, and where that one then begins: a row's last four may overlap the one before,
 * and computes the same again. */
static inline bool in_four(int64_t *first, span fours, int64_t j) {
  *first = ml_min64(j, fours.end - 1);
  return *first >= fours.begin && *first + 4 > j;
}

/* x[0], x[step], x[2 step], x[3 step] for a step of 1 or 2. */
static inline ml_vec4 load_steps(const float *x, int64_t step) {
  const ml_vec4 low = ml_vec4_load(x);
  if (step == 1) return low;
  const ml_vec4 high = ml_vec4_load(x + 3);
  return __builtin_shufflevector(low, high, 0, 2, 5, 7);
}

/* ---- the greatest ---- */

static void max_window(float *y, int32_t *index, const float *x, int64_t w, span rows, span cols) {
  float best = -INFINITY;
  int64_t at = rows.begin < rows.end && cols.begin < cols.end ? rows.begin * w + cols.begin : -1;
  for (int64_t r = rows.begin; r < rows.end; r++) {
    for (int64_t c = cols.begin; c < cols.end; c++) {
      const float v = x[r * w + c];
      if (v > best || (v != v && best == best)) {
        best = v;
        at = r * w + c;
      }
    }
  }
  *y = best;
  if (index) *index = (int32_t)at;
}

/* The best so far of four windows, and how far behind its window's first element it lies. */
typedef struct best_four {
  ml_vec4 value;
  ml_int4 offset;
} best_four;

/* v, at `offset`, takes the place of what is not as great, unless that is a NaN. */
static inline best_four better(best_four b, ml_vec4 v, int32_t offset) {
  const ml_int4 take = ~(ml_int4)(v <= b.value) & (ml_int4)(b.value == b.value);
  return (best_four){(ml_vec4)((take & (ml_int4)v) | (~take & (ml_int4)b.value)),
                     (take & ((ml_int4){0} + offset)) | (~take & b.offset)};
}

/* Four windows of kh x kw whose first begins at x, element `first` of a plane of rows of w. kh, kw and step are
 * constants where that is worth it. */
static inline __attribute__((always_inline)) void max_four(float *y, int32_t *index, const float *x, int64_t w,
                                                           int32_t first, int64_t kh, int64_t kw, int64_t step) {
  best_four best = {load_steps(x, step), {0}};
  for (int64_t r = 0; r < kh; r++) {
    for (int64_t b = r == 0; b < kw; b++) best = better(best, load_steps(x + r * w + b, step), (int32_t)(r * w + b));
  }
  ml_vec4_store(y, best.value);
  if (!index) return;
  const int32_t s = (int32_t)step;
  best.offset += (ml_int4){0, s, 2 * s, 3 * s} + first;
  memcpy(index, &best.offset, sizeof best.offset);
}

static inline __attribute__((always_inline)) void max_fours(const pooling *p, float *y, int32_t *index, const float *x,
                                                            span rows, int64_t c, int64_t kw, int64_t step) {
  const int64_t w = p->g.w, first = rows.begin * w + c, kh = rows.end - rows.begin;
  if (kh == kw) {
    max_four(y, index, x + first, w, (int32_t)first, kw, kw, step);
  } else {
    max_four(y, index, x + first, w, (int32_t)first, kh, kw, step);
  }
}

/* Four windows whose first begins in column c. */
static void max_any_four(const pooling *p, float *y, int32_t *index, const float *x, span rows, int64_t c) {
  const int64_t kw = p->g.kw;
  if (p->g.stride_w == 1) {
    max_fours(p, y, index, x, rows, c, kw, 1);
  } else if (kw == 2) {
    max_fours(p, y, index, x, rows, c, 2, 2);
  } else if (kw == 3) {
    max_fours(p, y, index, x, rows, c, 3, 2);
  } else {
    max_fours(p, y, index, x, rows, c, kw, 2);
  }
}

static void max_row(const pooling *p, float *y, int32_t *index, const float *x, span rows, span fours) {
  const ml_pooling2d *g = &p->g;
  for (int64_t j = 0; j < p->ow;) {
    int64_t first;
    if (!in_four(&first, fours, j) || rows.begin == rows.end) {
      max_window(y + j, index ? index + j : NULL, x, g->w, rows, cols_of(p, j));
      j++;
      continue;
    }
    const int64_t c = first * g->stride_w - g->pad_left;
    max_any_four(p, y + first, index ? index + first : NULL, x, rows, c);
    j = first + 4;
  }
}

static void max_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const span fours = fours_of(p);
  for (int64_t n = begin; n < end; n++) {
    for (int64_t i = 0; i < p->oh; i++) {
      const int64_t at = (n * p->oh + i) * p->ow;
      max_row(p, p->to + at, p->index ? p->index + at : NULL, p->from + n * p->g.h * p->g.w, rows_of(p, i), fours);
    }
  }
}

/* Whether the windows are those of pooling_halve.h. */
static bool halves(const ml_pooling2d *g) {
  return g->kh == 2 && g->kw == 2 && g->stride_h == 2 && g->stride_w == 2 && g->pad_top == 0 && g->pad_left == 0 &&
         g->pad_bottom == 0 && g->pad_right == 0;
}

static void halve_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const int64_t at = begin * p->oh * p->ow, h = p->g.h, w = p->g.w;
  ml_halve(p->to + at, p->index ? p->index + at : NULL, p->from + begin * h * w, end - begin, h, w);
}

static void halve_dx_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const int64_t at = begin * p->oh * p->ow, h = p->g.h, w = p->g.w;
  ml_halve_dx(p->to + begin * h * w, p->from + at, p->index + at, end - begin, h, w);
}

static void max_dx_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const int64_t plane = p->g.h * p->g.w, windows = p->oh * p->ow;
  for (int64_t n = begin; n < end; n++) {
    float *dx = p->to + n * plane;
    const float *dy = p->from + n * windows;
    const int32_t *index = p->index + n * windows;
    memset(dx, 0, (size_t)plane * sizeof *dx);
    for (int64_t i = 0; i < windows; i++) {
      if (index[i] >= 0) dx[index[i]] += dy[i];
    }
  }
}

/* ---- the mean ---- */

static float mean_window(const pooling *p, const float *x, span rows, span cols) {
  double s = 0.0;
  for (int64_t r = rows.begin; r < rows.end; r++) {
    for (int64_t c = cols.begin; c < cols.end; c++) s += (double)x[r * p->g.w + c];
  }
  return (float)(s / count_of(p, rows, cols));
}

static inline void mean_four(float *y, const float *x, const ml_pooling2d *g, span rows, int64_t c, int64_t step,
                             double count) {
  double4 s = {0};
  for (int64_t r = rows.begin; r < rows.end; r++) {
    for (int64_t b = 0; b < g->kw; b++) {
      s += __builtin_convertvector(load_steps(x + r * g->w + c + b, step), double4);
    }
  }
  ml_vec4_store(y, __builtin_convertvector(s / count, ml_vec4));
}

static void mean_row(const pooling *p, float *y, const float *x, span rows, span fours) {
  const ml_pooling2d *g = &p->g;
  for (int64_t j = 0; j < p->ow;) {
    int64_t first;
    if (!in_four(&first, fours, j)) {
      y[j] = mean_window(p, x, rows, cols_of(p, j));
      j++;
      continue;
    }
    const int64_t c = first * g->stride_w - g->pad_left;
    const double count = count_of(p, rows, (span){c, c + g->kw});
    if (g->stride_w == 1) {
      mean_four(y + first, x, g, rows, c, 1, count);
    } else {
      mean_four(y + first, x, g, rows, c, 2, count);
    }
    j = first + 4;
  }
}

static void mean_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const span fours = fours_of(p);
  for (int64_t n = begin; n < end; n++) {
    for (int64_t i = 0; i < p->oh; i++) {
      mean_row(p, p->to + (n * p->oh + i) * p->ow, p->from + n * p->g.h * p->g.w, rows_of(p, i), fours);
    }
  }
}

/* dx[r, c] += v over a window. */
static inline void add_window(float *dx, int64_t w, span rows, span cols, float v) {
  for (int64_t r = rows.begin; r < rows.end; r++) {
    for (int64_t c = cols.begin; c < cols.end; c++) dx[r * w + c] += v;
  }
}

/* Four windows two columns wide and apart, the first at dx. */
static inline void add_four(float *dx, int64_t w, int64_t rows, const float *dy, double whole) {
  const ml_vec4 v = __builtin_convertvector(__builtin_convertvector(ml_vec4_load(dy), double4) / whole, ml_vec4);
  const ml_vec4 low = __builtin_shufflevector(v, v, 0, 0, 1, 1), high = __builtin_shufflevector(v, v, 2, 2, 3, 3);
  for (int64_t r = 0; r < rows; r++, dx += w) {
    ml_vec4_store(dx, ml_vec4_load(dx) + low);
    ml_vec4_store(dx + 4, ml_vec4_load(dx + 4) + high);
  }
}

static void mean_dx_row(const pooling *p, float *dx, const float *dy, span rows, span fours) {
  const int64_t w = p->g.w, kw = p->g.kw, stride = p->g.stride_w, left = p->g.pad_left, n = p->ow;
  const double whole = count_of(p, rows, (span){0, kw});
  const bool beside = kw == 2 && stride == 2;
  for (int64_t j = 0; j < n; j++) {
    const int64_t c = j * stride - left;
    if (beside && j >= fours.begin && j < fours.end) {
      add_four(dx + rows.begin * w + c, w, rows.end - rows.begin, dy + j, whole);
      j += 3;
    } else if (!p->adaptive && c >= 0 && c + kw <= w) {
      const float v = (float)((double)dy[j] / whole);
      add_window(dx, w, rows, (span){c, c + kw}, v);
    } else {
      const span cols = cols_of(p, j);
      add_window(dx, w, rows, cols, (float)((double)dy[j] / count_of(p, rows, cols)));
    }
  }
}

static void mean_dx_planes(void *ctx, int64_t begin, int64_t end) {
  const pooling *p = ctx;
  const int64_t plane = p->g.h * p->g.w;
  const span fours = fours_of(p);
  for (int64_t n = begin; n < end; n++) {
    float *dx = p->to + n * plane;
    memset(dx, 0, (size_t)plane * sizeof *dx);
    for (int64_t i = 0; i < p->oh; i++) mean_dx_row(p, dx, p->from + (n * p->oh + i) * p->ow, rows_of(p, i), fours);
  }
}

/* ---- over planes ---- */

static void run_planes(ml_range_fn fn, pooling p) {
  const int64_t window = p.adaptive ? p.g.h * p.g.w / ml_max64(p.oh * p.ow, 1) + 1 : p.g.kh * p.g.kw;
  const int64_t work = p.oh * p.ow * window + p.g.h * p.g.w;
  ml_pool_for(fn, &p, p.g.planes, ml_max64(GRAIN / work, 1));
}

static pooling windows_of(const ml_pooling2d *g) {
  return (pooling){.g = *g, .oh = ml_pooling2d_out_h(g), .ow = ml_pooling2d_out_w(g)};
}

void ml_maxpool2d_forward(float *y, int32_t *index, const float *x, const ml_pooling2d *g) {
  pooling p = windows_of(g);
  p.to = y;
  p.from = x;
  p.index = index;
  run_planes(halves(g) ? halve_planes : max_planes, p);
}

void ml_maxpool2d_dx(float *dx, const float *dy, const int32_t *index, const ml_pooling2d *g) {
  pooling p = windows_of(g);
  p.to = dx;
  p.from = dy;
  p.index = (int32_t *)index;
  run_planes(halves(g) ? halve_dx_planes : max_dx_planes, p);
}

static void run_mean(ml_range_fn fn, float *to, const float *from, const ml_pooling2d *g, bool count_padding) {
  pooling p = windows_of(g);
  p.to = to;
  p.from = from;
  p.count_padding = count_padding;
  run_planes(fn, p);
}

void ml_avgpool2d_forward(float *y, const float *x, const ml_pooling2d *g, bool count_padding) {
  run_mean(mean_planes, y, x, g, count_padding);
}

void ml_avgpool2d_dx(float *dx, const float *dy, const ml_pooling2d *g, bool count_padding) {
  run_mean(mean_dx_planes, dx, dy, g, count_padding);
}

void ml_adaptive_avgpool2d_forward(float *y, const float *x, int64_t planes, int64_t h, int64_t w, int64_t oh,
                                   int64_t ow) {
  if (oh == 1 && ow == 1) {
    ml_reduce_sum(y, x, planes, h * w, 1, 1.0 / (double)(h * w));
    return;
  }
  run_planes(mean_planes, (pooling){.g = {.planes = planes, .h = h, .w = w}, .oh = oh, .ow = ow, .adaptive = true,
                                    .to = y, .from = x});
}

void ml_adaptive_avgpool2d_dx(float *dx, const float *dy, int64_t planes, int64_t h, int64_t w, int64_t oh,
                              int64_t ow) {
  run_planes(mean_dx_planes, (pooling){.g = {.planes = planes, .h = h, .w = w}, .oh = oh, .ow = ow, .adaptive = true,
                                       .to = dx, .from = dy});
}
