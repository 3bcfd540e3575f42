/* The slow, obvious normalisations and per-channel kernels: see naive.h. */
#include <math.h>

#include "kernels/naive.h"

typedef struct moments {
  double mean, var;
} moments;

/* Of the elements e with owner(e) == k, in two passes. */
static moments moments_of(const float *x, const ml_norm *g, int64_t k, bool batch) {
  const int64_t per = g->c / (batch ? 1 : g->groups) * g->inner, total = g->n * g->c * g->inner;
  double sum = 0.0, squares = 0.0, count = 0.0;
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < total; i++) {
      if ((batch ? i / g->inner % g->c : i / per) != k) continue;
      if (pass == 0) {
        sum += (double)x[i];
        count += 1.0;
      } else {
        squares += ((double)x[i] - sum / count) * ((double)x[i] - sum / count);
      }
    }
  }
  return (moments){.mean = sum / count, .var = squares / count};
}

static int64_t channel_of(const ml_norm *g, int64_t i) { return i / g->inner % g->c; }

/* Whose moments element i is normalised with: its channel's, or its group's. */
static int64_t owner_of(const ml_norm *g, int64_t i, bool batch) {
  return batch ? channel_of(g, i) : i / (g->c / g->groups * g->inner);
}

static double weight_of(const ml_norm *g, int64_t c) { return g->weight ? (double)g->weight[c] : 1.0; }
static double bias_of(const ml_norm *g, int64_t c) { return g->bias ? (double)g->bias[c] : 0.0; }

static void apply(float *y, const float *x, const float *mean, const float *rstd, const ml_norm *g, bool batch) {
  for (int64_t i = 0; i < g->n * g->c * g->inner; i++) {
    const int64_t k = owner_of(g, i, batch), c = channel_of(g, i);
    const double v = ((double)x[i] - (double)mean[k]) * (double)rstd[k] * weight_of(g, c) + bias_of(g, c);
    y[i] = g->relu && v < 0.0 ? 0.0f : (float)v;
  }
}

void ml_naive_batch_norm_apply(float *y, const float *x, const float *mean, const float *rstd, const ml_norm *g) {
  apply(y, x, mean, rstd, g, true);
}

void ml_naive_batch_norm_forward(float *y, float *mean, float *rstd, float *var, const float *x, const ml_norm *g,
                                 double eps) {
  for (int64_t c = 0; c < g->c; c++) {
    const moments m = moments_of(x, g, c, true);
    mean[c] = (float)m.mean;
    var[c] = (float)m.var;
    rstd[c] = (float)(1.0 / sqrt(m.var + eps));
  }
  apply(y, x, mean, rstd, g, true);
}

void ml_naive_group_norm_forward(float *y, float *mean, float *rstd, const float *x, const ml_norm *g, double eps) {
  for (int64_t k = 0; k < g->n * g->groups; k++) {
    const moments m = moments_of(x, g, k, false);
    mean[k] = (float)m.mean;
    rstd[k] = (float)(1.0 / sqrt(m.var + eps));
  }
  apply(y, x, mean, rstd, g, false);
}

/* dy, or 0 where relu made y 0. */
static double slope_in(const float *dy, const float *y, const ml_norm *g, int64_t i) {
  return g->relu && y[i] <= 0.0f ? 0.0 : (double)dy[i];
}

/* dx = rstd (h - mean of h - xhat mean of h xhat), h = g weight, the means over all that share mean and rstd. */
static double dx_of(const float *dy, const float *x, const float *y, const float *mean, const float *rstd,
                    const ml_norm *g, int64_t i, bool batch, bool constant) {
  const int64_t k = owner_of(g, i, batch);
  const double m = (double)mean[k], r = (double)rstd[k];
  double sum = 0.0, product = 0.0, count = 0.0;
  for (int64_t j = 0; j < g->n * g->c * g->inner && !constant; j++) {
    if (owner_of(g, j, batch) != k) continue;
    const double h = slope_in(dy, y, g, j) * weight_of(g, channel_of(g, j));
    sum += h;
    product += h * ((double)x[j] - m) * r;
    count += 1.0;
  }
  const double h = slope_in(dy, y, g, i) * weight_of(g, channel_of(g, i));
  return constant ? r * h : r * (h - sum / count - ((double)x[i] - m) * r * product / count);
}

void ml_naive_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *y,
                            const float *mean, const float *rstd, const ml_norm *g, bool batch, bool constant) {
  for (int64_t c = 0; c < g->c; c++) {
    double product = 0.0, sum = 0.0;
    for (int64_t i = 0; i < g->n * g->c * g->inner; i++) {
      if (channel_of(g, i) != c) continue;
      const int64_t k = owner_of(g, i, batch);
      sum += slope_in(dy, y, g, i);
      product += slope_in(dy, y, g, i) * ((double)x[i] - (double)mean[k]) * (double)rstd[k];
    }
    dw[c] = (float)product;
    db[c] = (float)sum;
  }
  for (int64_t i = 0; i < g->n * g->c * g->inner; i++)
    dx[i] = (float)dx_of(dy, x, y, mean, rstd, g, i, batch, constant);
}

/* ---- PReLU, noise ---- */

void ml_naive_prelu(float *y, const float *x, const float *w, int64_t n, int64_t c, int64_t inner) {
  for (int64_t i = 0; i < n * c * inner; i++) y[i] = x[i] > 0.0f ? x[i] : w[i / inner % c] * x[i];
}

void ml_naive_prelu_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, int64_t n,
                             int64_t c, int64_t inner) {
  for (int64_t k = 0; k < c; k++) {
    double sum = 0.0;
    for (int64_t i = 0; i < n * c * inner; i++) {
      if (i / inner % c != k) continue;
      dx[i] = x[i] > 0.0f ? dy[i] : w[k] * dy[i];
      if (!(x[i] > 0.0f)) sum += (double)dy[i] * (double)x[i];
    }
    dw[k] = (float)sum;
  }
}

void ml_naive_gaussian_noise(float *y, const float *x, int64_t n, float std, ml_rng rng) {
  for (int64_t i = 0; i < n; i += 4) {
    float z[4];
    ml_rng_normal(z, 4, &rng, 0.0f, std);
    for (int64_t j = 0; j < 4 && i + j < n; j++) y[i + j] = x[i + j] + z[j];
  }
}
