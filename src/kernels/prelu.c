/* PReLU. Its loops are bound by memory, so they are compiled once, for any processor. Samples are shared out among the
 * threads in chunks whose size follows from the problem; the slopes' gradients are summed per chunk in double, and the
 * chunks' sums are added in ascending order. */
#include "kernels/prelu.h"

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/loop.h"
#include "kernels/vec4.h"

enum {
  GRAIN = 16384,     /* elements in a chunk, if that does not make more than MAX_CHUNKS */
  MAX_CHUNKS = 64
};

typedef struct prelu_args {
  float *y, *dx;
  const float *x, *w, *dy;
  int64_t c, inner, per;               /* samples in a chunk */
  double *parts;                       /* [chunks, c], or NULL */
} prelu_args;

static int64_t samples_per_chunk(int64_t n, int64_t c, int64_t inner) {
  const int64_t sample = c * inner, least = ml_ceil_div(n, MAX_CHUNKS);
  const int64_t fitting = sample >= GRAIN ? 1 : GRAIN / (sample > 0 ? sample : 1);
  return ml_max64(fitting, least);
}

size_t ml_prelu_workspace(int64_t n, int64_t c, int64_t inner) {
  const int64_t chunks = n > 0 ? ml_ceil_div(n, samples_per_chunk(n, c, inner)) : 0;
  return (size_t)(chunks * c) * (sizeof(double) / sizeof(float));
}

/* out = v where x > 0, else w v: forward with v = x, backward with v = dy. */
static void bend(float *out, const float *v, const float *x, const float *w, int64_t c, int64_t inner) {
  if (inner == 1) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) {
      const float bent = w[j] * v[j];
      out[j] = x[j] > 0.0f ? v[j] : bent;
    }
    return;
  }
  for (int64_t k = 0; k < c; k++, out += inner, v += inner, x += inner) {
    const float slope = w[k];
    ML_INDEPENDENT
    for (int64_t i = 0; i < inner; i++) out[i] = x[i] > 0.0f ? v[i] : slope * v[i];
  }
}

typedef double double4 __attribute__((vector_size(32)));

/* dy x where x is not > 0, else 0. */
static inline double negative_product(float dy, float x) {
  const float low = x > 0.0f ? 0.0f : x;
  return (double)dy * (double)low;
}

/* Their sum: in four sums, added pairwise, then what is left. */
static double negative_dot(const float *dy, const float *x, int64_t n) {
  double4 s = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const ml_vec4 v = ml_vec4_load(x + i), low = (ml_vec4)((ml_int4)v & ~(v > 0.0f));
    s += __builtin_convertvector(ml_vec4_load(dy + i), double4) * __builtin_convertvector(low, double4);
  }
  double total = (s[0] + s[1]) + (s[2] + s[3]);
  for (; i < n; i++) total += negative_product(dy[i], x[i]);
  return total;
}

static void add_slopes(double *dw, const float *dy, const float *x, int64_t c, int64_t inner) {
  if (inner == 1) {
    ML_INDEPENDENT
    for (int64_t j = 0; j < c; j++) dw[j] += negative_product(dy[j], x[j]);
    return;
  }
  for (int64_t k = 0; k < c; k++) dw[k] += negative_dot(dy + k * inner, x + k * inner, inner);
}

static void forward_range(void *ctx, int64_t begin, int64_t end) {
  const prelu_args *a = ctx;
  const int64_t sample = a->c * a->inner;
  for (int64_t i = begin * sample; i < end * sample; i += sample)
    bend(a->y + i, a->x + i, a->x + i, a->w, a->c, a->inner);
}

static void backward_range(void *ctx, int64_t begin, int64_t end) {
  const prelu_args *a = ctx;
  const int64_t sample = a->c * a->inner;
  double *dw = a->parts ? a->parts + begin / a->per * a->c : NULL;
  for (int64_t k = 0; dw && k < a->c; k++) dw[k] = 0.0;
  for (int64_t i = begin * sample; i < end * sample; i += sample) {
    if (a->dx) bend(a->dx + i, a->dy + i, a->x + i, a->w, a->c, a->inner);
    if (dw) add_slopes(dw, a->dy + i, a->x + i, a->c, a->inner);
  }
}

void ml_prelu(float *y, const float *x, const float *w, int64_t n, int64_t c, int64_t inner) {
  prelu_args a = {.y = y, .x = x, .w = w, .c = c, .inner = inner, .per = samples_per_chunk(n, c, inner)};
  if (c * inner > 0) ml_pool_for(forward_range, &a, n, a.per);
}

void ml_prelu_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, int64_t n, int64_t c,
                       int64_t inner, float *work) {
  prelu_args a = {.dx = dx, .dy = dy, .x = x, .w = w, .c = c, .inner = inner, .per = samples_per_chunk(n, c, inner),
                  .parts = dw ? (double *)work : NULL};
  const int64_t chunks = c * inner > 0 ? ml_ceil_div(n, a.per) : 0;
  if (chunks > 0) ml_pool_for(backward_range, &a, n, a.per);
  for (int64_t k = 0; dw && k < c; k++) {
    double sum = 0.0;
    for (int64_t i = 0; i < chunks; i++) sum += a.parts[i * c + k];
    dw[k] = (float)sum;
  }
}
