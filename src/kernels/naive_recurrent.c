/* The slow, obvious recurrent layers: see naive.h. One sample, one step, one unit after the other, in double between a
 * step's inputs and its outputs. */
#include <math.h>
#include <stddef.h>

#include "kernels/naive.h"

static double sigmoid(double v) { return 1.0 / (1.0 + exp(-v)); }

/* The row (sample, step) that is the k-th to be computed, and the one before it, negative if there is none. */
static int64_t row_of(const ml_recurrent *g, int64_t sample, int64_t k) {
  if (k < 0) return -1;
  return sample * g->steps + (g->reverse ? g->steps - 1 - k : k);
}

static double at(const float *x, const ml_recurrent *g, int64_t row, int64_t j) {
  return row < 0 ? 0.0 : (double)x[row * g->hidden + j];
}

/* u of one gate and unit. */
static double product(const float *w_hh, const float *h, const ml_recurrent *g, int64_t gate, int64_t j,
                      int64_t before) {
  double sum = 0.0;
  for (int64_t k = 0; k < g->hidden; k++)
    sum += at(h, g, before, k) * (double)w_hh[(gate * g->hidden + j) * g->hidden + k];
  return sum;
}

static void forward_unit(float *h, float *gates, float *cells, const float *w_hh, const float *b_hn,
                         const ml_recurrent *g, int64_t row, int64_t before, int64_t j) {
  const int64_t n = g->hidden, count = ml_recurrent_gates(g->cell);
  float *a = gates + row * ml_recurrent_blocks(g->cell) * n + j;
  double u[4], v[4];
  for (int64_t i = 0; i < count; i++) {
    u[i] = product(w_hh, h, g, i, j, before);
    v[i] = (double)a[i * n] + u[i];
  }
  if (g->cell == ML_CELL_TANH) v[0] = tanh(v[0]);
  if (g->cell == ML_CELL_RELU) v[0] = v[0] < 0.0 ? 0.0 : v[0];
  double state = v[0];
  if (g->cell == ML_CELL_LSTM) {
    for (int i = 0; i < 4; i++) v[i] = i == 2 ? tanh(v[i]) : sigmoid(v[i]);
    const double c = v[1] * at(cells, g, before, j) + v[0] * v[2];
    cells[row * n + j] = (float)c;
    state = v[3] * tanh(c);
  } else if (g->cell == ML_CELL_GRU) {
    const double kept = u[2] + (b_hn ? (double)b_hn[j] : 0.0);
    v[0] = sigmoid(v[0]);
    v[1] = sigmoid(v[1]);
    v[2] = tanh((double)a[2 * n] + v[0] * kept);
    a[3 * n] = (float)kept;
    state = (1.0 - v[1]) * v[2] + v[1] * at(h, g, before, j);
  }
  for (int64_t i = 0; i < count; i++) a[i * n] = (float)v[i];
  h[row * n + j] = (float)state;
}

void ml_naive_recurrent_forward(float *h, float *gates, float *cells, const float *w_hh, const float *b_hn,
                                const ml_recurrent *g) {
  for (int64_t sample = 0; sample < g->n; sample++) {
    for (int64_t k = 0; k < g->steps; k++) {
      for (int64_t j = 0; j < g->hidden; j++)
        forward_unit(h, gates, cells, w_hh, b_hn, g, row_of(g, sample, k), row_of(g, sample, k - 1), j);
    }
  }
}

/* d is the gradient of h; *dc goes from the new cell to the one before; returns the share of d that bypasses the
 * gates. */
static double backward_unit(float *a, double d, double *dc, double h_before, double c, double c_before,
                            const ml_recurrent *g) {
  const int64_t n = g->hidden;
  const double p = (double)a[0];
  if (g->cell == ML_CELL_TANH) {
    a[0] = (float)(d * (1.0 - p * p));
  } else if (g->cell == ML_CELL_RELU) {
    a[0] = (float)(p > 0.0 ? d : 0.0);
  } else if (g->cell == ML_CELL_LSTM) {
    const double f = (double)a[n], w = (double)a[2 * n], o = (double)a[3 * n], t = tanh(c);
    const double cell = *dc + d * o * (1.0 - t * t);
    a[0] = (float)(cell * w * p * (1.0 - p));
    a[n] = (float)(cell * c_before * f * (1.0 - f));
    a[2 * n] = (float)(cell * p * (1.0 - w * w));
    a[3 * n] = (float)(d * t * o * (1.0 - o));
    *dc = cell * f;
  } else {
    const double z = (double)a[n], m = (double)a[2 * n], kept = (double)a[3 * n];
    const double dn = d * (1.0 - z) * (1.0 - m * m);
    a[0] = (float)(dn * kept * p * (1.0 - p));
    a[n] = (float)(d * (h_before - m) * z * (1.0 - z));
    a[2 * n] = (float)dn;
    a[3 * n] = (float)(dn * p);
    return d * z;
  }
  return 0.0;
}

/* The gradient of the h before: what the gates' gradients give through w_hh; a GRU's third is that of u_n. */
static double through_weights(const float *a, const float *w_hh, const ml_recurrent *g, int64_t j) {
  const int64_t n = g->hidden;
  double sum = 0.0;
  for (int64_t i = 0; i < ml_recurrent_gates(g->cell); i++) {
    const float *da = a + (g->cell == ML_CELL_GRU && i == 2 ? 3 : i) * n;
    for (int64_t k = 0; k < n; k++) sum += (double)da[k] * (double)w_hh[(i * n + k) * n + j];
  }
  return sum;
}

void ml_naive_recurrent_backward(float *gates, const float *h, const float *cells, const float *dh, bool last,
                                 const float *w_hh, const ml_recurrent *g, double *state) {
  const int64_t n = g->hidden;
  double *d = state, *dc = state + n;
  for (int64_t sample = 0; sample < g->n; sample++) {
    for (int64_t j = 0; j < 2 * n; j++) state[j] = 0.0;
    for (int64_t k = g->steps - 1; k >= 0; k--) {
      const int64_t row = row_of(g, sample, k), before = row_of(g, sample, k - 1);
      float *a = gates + row * ml_recurrent_blocks(g->cell) * n;
      for (int64_t j = 0; j < n; j++) {
        if (!last || k == g->steps - 1) d[j] += (double)dh[(last ? sample : row) * n + j];
        const double c = cells ? at(cells, g, row, j) : 0.0, c_before = cells ? at(cells, g, before, j) : 0.0;
        d[j] = backward_unit(a + j, d[j], &dc[j], at(h, g, before, j), c, c_before, g);
      }
      for (int64_t j = 0; j < n; j++) d[j] += through_weights(a, w_hh, g, j);
    }
  }
}
