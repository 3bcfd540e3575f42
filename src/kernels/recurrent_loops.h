/* The element-wise part of the recurrent cells, written once as plain C that compilers vectorise. Included by
 * recurrent_portable.c, recurrent_avx2.c and recurrent_avx512.c, which define ML_RECURRENT_TABLE_NAME and are compiled
 * for their instruction set; by nothing else. The formulas are in recurrent.h.
 *
 * The derivatives of s and tanh are s (1 - s) and 1 - tanh^2, of the values that the forward pass kept. */
#include "base/fmath.h"
#include "kernels/loop.h"
#include "kernels/recurrent_table.h"

static void tanh_step(float *h, float *a, const float *u, int64_t n) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) h[j] = a[j] = ml_tanhf(a[j] + u[j]);
}

static void relu_step(float *h, float *a, const float *u, int64_t n) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const float v = a[j] + u[j];
    h[j] = a[j] = v < 0.0f ? 0.0f : v;
  }
}

static void lstm_step(float *h, float *c, float *a, const float *u, int64_t n) {
  float *a_i = a, *a_f = a + n, *a_g = a + 2 * n, *a_o = a + 3 * n;
  const float *u_i = u, *u_f = u + n, *u_g = u + 2 * n, *u_o = u + 3 * n;
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const float i = ml_sigmoidf(a_i[j] + u_i[j]), f = ml_sigmoidf(a_f[j] + u_f[j]);
    const float g = ml_tanhf(a_g[j] + u_g[j]), o = ml_sigmoidf(a_o[j] + u_o[j]);
    const float cell = f * c[j] + i * g;
    a_i[j] = i;
    a_f[j] = f;
    a_g[j] = g;
    a_o[j] = o;
    c[j] = cell;
    h[j] = o * ml_tanhf(cell);
  }
}

static void gru_step(float *h, float *a, const float *u, const float *b_hn, int64_t n) {
  float *a_r = a, *a_z = a + n, *a_n = a + 2 * n, *kept = a + 3 * n;
  const float *u_r = u, *u_z = u + n, *u_n = u + 2 * n;
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const float r = ml_sigmoidf(a_r[j] + u_r[j]), z = ml_sigmoidf(a_z[j] + u_z[j]);
    const float v = u_n[j] + b_hn[j], m = ml_tanhf(a_n[j] + r * v);
    a_r[j] = r;
    a_z[j] = z;
    a_n[j] = m;
    kept[j] = v;
    h[j] = (1.0f - z) * m + z * h[j];
  }
}

static void tanh_slope(float *a, const float *dh, int64_t n) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) a[j] = dh[j] * (1.0f - a[j] * a[j]);
}

static void relu_slope(float *a, const float *dh, int64_t n) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) a[j] = a[j] == 0.0f ? 0.0f : dh[j];
}

static void lstm_slope(float *a, float *dc, const float *dh, const float *c, const float *c_before, int64_t n) {
  float *a_i = a, *a_f = a + n, *a_g = a + 2 * n, *a_o = a + 3 * n;
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const float i = a_i[j], f = a_f[j], g = a_g[j], o = a_o[j], t = ml_tanhf(c[j]);
    const float d = dc[j] + dh[j] * o * (1.0f - t * t);
    a_i[j] = d * g * (i * (1.0f - i));
    a_f[j] = d * c_before[j] * (f * (1.0f - f));
    a_g[j] = d * i * (1.0f - g * g);
    a_o[j] = dh[j] * t * (o * (1.0f - o));
    dc[j] = d * f;
  }
}

static void gru_slope(float *a, float *dh, const float *h_before, int64_t n) {
  float *a_r = a, *a_z = a + n, *a_n = a + 2 * n, *kept = a + 3 * n;
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const float r = a_r[j], z = a_z[j], m = a_n[j], d = dh[j];
    const float dn = d * (1.0f - z) * (1.0f - m * m);
    a_r[j] = dn * kept[j] * (r * (1.0f - r));
    a_z[j] = d * (h_before[j] - m) * (z * (1.0f - z));
    a_n[j] = dn;
    kept[j] = dn * r;
    dh[j] = d * z;
  }
}

static void add(float *y, const float *x, int64_t n) {
  ML_INDEPENDENT
  for (int64_t j = 0; j < n; j++) y[j] += x[j];
}

const ml_recurrent_table ML_RECURRENT_TABLE_NAME = {
    .tanh = tanh_step,
    .relu = relu_step,
    .lstm = lstm_step,
    .gru = gru_step,
    .tanh_slope = tanh_slope,
    .relu_slope = relu_slope,
    .lstm_slope = lstm_slope,
    .gru_slope = gru_slope,
    .add = add,
};
