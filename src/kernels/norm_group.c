/* Group norm, and layer norm as its case of one group: samples are shared out among the threads in chunks whose size
 * follows from the problem. Backward, each chunk sums its own part of the parameters' gradients, in double, and the
 * parts are added in ascending order. */
#include <math.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/norm.h"
#include "kernels/norm_table.h"

enum {
  GRAIN = 32768,     /* elements in a chunk, if that does not make more than MAX_CHUNKS */
  MAX_CHUNKS = 64
};

typedef struct group_args {
  const ml_norm *g;
  const ml_norm_table *table;
  float *y, *mean, *rstd;              /* forward */
  float *dx, *dw, *db;                 /* backward */
  const float *x, *dy, *given_mean, *given_rstd;
  double eps;
  int64_t per;                         /* samples in a chunk */
  double *parts;                       /* [chunks, 2, c]: of dw, then of db */
} group_args;

static int64_t samples_per_chunk(const ml_norm *g) {
  const int64_t sample = g->c * g->inner, least = ml_ceil_div(g->n, MAX_CHUNKS);
  const int64_t fitting = sample >= GRAIN ? 1 : GRAIN / (sample > 0 ? sample : 1);
  return ml_max64(fitting, least);
}

size_t ml_group_norm_workspace(const ml_norm *g) {
  const int64_t chunks = g->n > 0 ? ml_ceil_div(g->n, samples_per_chunk(g)) : 0;
  return (size_t)(chunks * 2 * g->c) * (sizeof(double) / sizeof(float));
}

/* ---- forward ---- */

/* Mean and rstd of one group; `at` counts groups over all samples. */
static void group_moments(const group_args *a, int64_t at, int64_t size) {
  const float *x = a->x + at * size;
  ml_norm_sums sum = {.p = {0}};
  a->table->moments(&sum, x, size, x[0]);
  const double off = ml_norm_total(sum.p) / (double)size;
  double var = ml_norm_total(sum.q) / (double)size - off * off;
  if (var < 0.0) var = 0.0;
  a->mean[at] = (float)((double)x[0] + off);
  a->rstd[at] = (float)(1.0 / sqrt(var + a->eps));
}

static const float *from(const float *v, int64_t at) { return v ? v + at : NULL; }

static void forward_range(void *ctx, int64_t begin, int64_t end) {
  const group_args *a = ctx;
  const ml_norm *g = a->g;
  const int64_t channels = g->c / g->groups, size = channels * g->inner;
  for (int64_t at = begin * g->groups; at < end * g->groups; at++) {
    const int64_t first = at % g->groups * channels;
    group_moments(a, at, size);
    const float *x = a->x + at * size, mean = a->mean[at], rstd = a->rstd[at];
    float *y = a->y + at * size;
    if (g->inner == 1) {
      a->table->row_apply(y, x, size, mean, rstd, from(g->weight, first), from(g->bias, first));
      continue;
    }
    for (int64_t c = 0; c < channels; c++) {
      const ml_norm_affine f = {.mean = mean, .scale = g->weight ? g->weight[first + c] * rstd : rstd,
                                .bias = g->bias ? g->bias[first + c] : 0.0f};
      a->table->apply(y + c * g->inner, x + c * g->inner, g->inner, &f);
    }
  }
}

void ml_group_norm_forward(float *y, float *mean, float *rstd, const float *x, const ml_norm *g, double eps) {
  group_args a = {.g = g, .table = ml_norm_table_in_use(), .y = y, .mean = mean, .rstd = rstd, .x = x, .eps = eps};
  if (g->c * g->inner > 0) ml_pool_for(forward_range, &a, g->n, samples_per_chunk(g));
}

/* ---- backward ---- */

/* dx = a g + b (x - mean) + c with g = dy weight, from the sums of g and g (x - mean) over a group. */
static ml_norm_slope slope_of(double sum, double product, float rstd, int64_t size) {
  const double r = (double)rstd, count = (double)size;
  return (ml_norm_slope){.a = rstd, .b = (float)(-r * r * r * product / count), .c = (float)(-r * sum / count)};
}

/* Rows of features: one sample's dx. */
static void row_dx(const group_args *a, int64_t at, int64_t size, const float *weight) {
  ml_norm_sums sum = {.p = {0}};
  const float *dy = a->dy + at * size, *x = a->x + at * size, mean = a->given_mean[at];
  a->table->row_slope_sums(&sum, dy, x, size, mean, weight);
  const ml_norm_slope s = slope_of(ml_norm_total(sum.p), ml_norm_total(sum.q), a->given_rstd[at], size);
  a->table->row_slope(a->dx + at * size, dy, x, size, mean, weight, &s);
}

/* Images: one group of one sample. */
static void planes_dx(const group_args *a, int64_t at, int64_t channels, double *dw, double *db) {
  const ml_norm *g = a->g;
  const int64_t first = at % g->groups * channels, start = at * channels * g->inner;
  const float mean = a->given_mean[at], rstd = a->given_rstd[at];
  const ml_norm_affine f = {.mean = mean};
  double sum = 0.0, product = 0.0;
  for (int64_t c = 0; c < channels; c++) {
    ml_norm_sums one = {.p = {0}};
    const double weight = g->weight ? (double)g->weight[first + c] : 1.0;
    a->table->slope_sums(&one, a->dy + start + c * g->inner, a->x + start + c * g->inner, g->inner, &f);
    const double p = ml_norm_total(one.p), q = ml_norm_total(one.q);
    dw[first + c] += q * (double)rstd;
    db[first + c] += p;
    sum += weight * p;
    product += weight * q;
  }
  if (!a->dx) return;
  ml_norm_slope s = slope_of(sum, product, rstd, channels * g->inner);
  for (int64_t c = 0; c < channels; c++) {
    const int64_t p = start + c * g->inner;
    s.a = g->weight ? rstd * g->weight[first + c] : rstd;
    a->table->slope(a->dx + p, a->dy + p, a->x + p, g->inner, &f, &s);
  }
}

static void backward_range(void *ctx, int64_t begin, int64_t end) {
  const group_args *a = ctx;
  const ml_norm *g = a->g;
  const int64_t channels = g->c / g->groups;
  double *dw = a->parts + begin / a->per * 2 * g->c, *db = dw + g->c;
  for (int64_t c = 0; c < 2 * g->c; c++) dw[c] = 0.0;
  if (g->inner > 1) {
    for (int64_t at = begin * g->groups; at < end * g->groups; at++) planes_dx(a, at, channels, dw, db);
    return;
  }
  for (int64_t at = begin * g->groups; a->dx && at < end * g->groups; at++)
    row_dx(a, at, channels, from(g->weight, at % g->groups * channels));
  for (int64_t k = 0; (a->dw || a->db) && k < g->groups; k++) {
    const int64_t first = k * channels, x = begin * g->c + first, at = begin * g->groups + k;
    a->table->row_parameters(dw + first, db + first, a->dy + x, a->x + x, end - begin, g->c, channels,
                             a->given_mean + at, a->given_rstd + at, g->groups);
  }
}

/* y[c] = the sum of part[c] over the chunks, which lie 2 c apart. */
static void add_parts(float *y, const double *part, int64_t chunks, int64_t c) {
  for (int64_t j = 0; y && j < c; j++) {
    double sum = 0.0;
    for (int64_t k = 0; k < chunks; k++) sum += part[k * 2 * c + j];
    y[j] = (float)sum;
  }
}

void ml_group_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean,
                            const float *rstd, const ml_norm *g, float *work) {
  group_args a = {.g = g, .table = ml_norm_table_in_use(), .dx = dx, .dw = dw, .db = db, .x = x, .dy = dy,
                  .given_mean = mean, .given_rstd = rstd, .per = samples_per_chunk(g), .parts = (double *)work};
  const int64_t chunks = g->inner > 0 ? ml_ceil_div(g->n, a.per) : 0;
  if (chunks > 0) ml_pool_for(backward_range, &a, g->n, a.per);
  add_parts(dw, a.parts, chunks, g->c);
  add_parts(db, a.parts + g->c, chunks, g->c);
}
