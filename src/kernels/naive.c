/* The slow, obvious kernels: see naive.h. Called by tests, never by the program. */
#include "kernels/naive.h"

#include <math.h>

static const double SQRT_HALF = 0.70710678118654752440, SQRT_TWO_PI = 2.50662827463100050242;

void ml_naive_gemm(float *c, int64_t ldc, ml_matrix a, ml_matrix b, const float *bias, int64_t m, int64_t n,
                   int64_t k) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      double s = bias ? (double)bias[j] : 0.0;
      for (int64_t p = 0; p < k; p++) {
        s += (double)a.data[i * a.row + p * a.col] * (double)b.data[p * b.row + j * b.col];
      }
      c[i * ldc + j] = (float)s;
    }
  }
}

/* ---- element-wise ---- */

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double normal_cdf(double x) { return 0.5 * erfc(-x * SQRT_HALF); }
static double normal_pdf(double x) { return exp(-0.5 * x * x) / SQRT_TWO_PI; }

double ml_naive_unary(double x, ml_unary f, double a) {
  switch (f) {
  case ML_NEG: return -x;
  case ML_EXP: return exp(x);
  case ML_LOG: return log(x);
  case ML_SQRT: return sqrt(x);
  case ML_ABS: return fabs(x);
  case ML_RELU: return x < 0.0 ? 0.0 : x;
  case ML_LEAKY_RELU: return x < 0.0 ? a * x : x;
  case ML_ELU: return x > 0.0 ? x : a * expm1(x);
  case ML_GELU: return x * normal_cdf(x);
  case ML_SILU: return x * sigmoid(x);
  case ML_SIGMOID: return sigmoid(x);
  case ML_TANH: return tanh(x);
  case ML_UNARY_COUNT: break;
  }
  return (double)NAN;
}

double ml_naive_unary_slope(double x, ml_unary f, double a) {
  switch (f) {
  case ML_NEG: return -1.0;
  case ML_EXP: return exp(x);
  case ML_LOG: return 1.0 / x;
  case ML_SQRT: return 0.5 / sqrt(x);
  case ML_ABS: return x < 0.0 ? -1.0 : (x == 0.0 ? 0.0 : 1.0);
  case ML_RELU: return x <= 0.0 ? 0.0 : 1.0;
  case ML_LEAKY_RELU: return x <= 0.0 ? a : 1.0;
  case ML_ELU: return x > 0.0 ? 1.0 : a * exp(x);
  case ML_GELU: return normal_cdf(x) + x * normal_pdf(x);
  case ML_SILU: return sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
  case ML_SIGMOID: return sigmoid(x) * sigmoid(-x);
  case ML_TANH: return 1.0 / (cosh(x) * cosh(x));
  case ML_UNARY_COUNT: break;
  }
  return (double)NAN;
}

double ml_naive_binary(double x, double y, ml_binary op) {
  switch (op) {
  case ML_ADD: return x + y;
  case ML_SUB: return x - y;
  case ML_MUL: return x * y;
  case ML_DIV: return x / y;
  case ML_POW: return pow(x, y);
  case ML_MAXIMUM: return isnan(x) || x > y ? x : y;
  case ML_MINIMUM: return isnan(x) || x < y ? x : y;
  case ML_EQUAL: return x == y ? 1.0 : 0.0;
  case ML_BINARY_COUNT: break;
  }
  return (double)NAN;
}

void ml_naive_map_unary(float *y, const float *x, int64_t n, ml_unary f, float a) {
  for (int64_t i = 0; i < n; i++) y[i] = (float)ml_naive_unary((double)x[i], f, (double)a);
}

void ml_naive_map_unary_backward(float *dx, const float *dy, const float *x, int64_t n, ml_unary f, float a) {
  for (int64_t i = 0; i < n; i++) dx[i] = (float)((double)dy[i] * ml_naive_unary_slope((double)x[i], f, (double)a));
}

void ml_naive_map_binary(float *z, const float *x, const float *y, int64_t n, ml_binary op) {
  for (int64_t i = 0; i < n; i++) z[i] = (float)ml_naive_binary((double)x[i], (double)y[i], op);
}

void ml_naive_map_binary_broadcast(float *z, const float *x, const float *y, const int64_t *shape, const int64_t *xs,
                                   const int64_t *ys, int ndim, ml_binary op) {
  int64_t total = 1;
  for (int d = 0; d < ndim; d++) total *= shape[d];
  for (int64_t i = 0; i < total; i++) {
    int64_t rest = i, x_at = 0, y_at = 0;
    for (int d = ndim - 1; d >= 0; d--) {
      x_at += rest % shape[d] * xs[d];
      y_at += rest % shape[d] * ys[d];
      rest /= shape[d];
    }
    z[i] = (float)ml_naive_binary((double)x[x_at], (double)y[y_at], op);
  }
}

void ml_naive_axpy(float *y, const float *x, int64_t n, float a) {
  for (int64_t i = 0; i < n; i++) y[i] = (float)((double)y[i] + (double)a * (double)x[i]);
}

void ml_naive_scale(float *y, const float *x, int64_t n, float a) {
  for (int64_t i = 0; i < n; i++) y[i] = a * x[i];
}

void ml_naive_fill(float *y, int64_t n, float value) {
  for (int64_t i = 0; i < n; i++) y[i] = value;
}

void ml_naive_copy(float *y, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i];
}

void ml_naive_dropout(float *y, const float *x, int64_t n, float p, ml_rng rng) {
  uint32_t words[4];
  for (int64_t i = 0; i < n; i++) {
    if (i % 4 == 0) ml_rng_next(words, &rng);
    y[i] = ml_rng_unit(words[i % 4]) >= p ? 1.0f / (1.0f - p) * x[i] : 0.0f;
  }
}

void ml_naive_transpose(float *y, const float *x, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) y[j * rows + i] = x[i * cols + j];
  }
}

/* ---- reductions ---- */

void ml_naive_reduce_sum(float *y, const float *x, int64_t outer, int64_t n, int64_t inner, double scale) {
  for (int64_t o = 0; o < outer; o++) {
    for (int64_t j = 0; j < inner; j++) {
      double s = 0.0;
      for (int64_t i = 0; i < n; i++) s += (double)x[(o * n + i) * inner + j];
      y[o * inner + j] = (float)(s * scale);
    }
  }
}

static bool beyond(float v, float best, bool least) {
  if (isnan(best)) return false;
  return isnan(v) || (least ? v < best : v > best);
}

void ml_naive_reduce_max(float *y, int32_t *index, const float *x, int64_t outer, int64_t n, int64_t inner,
                         bool least) {
  for (int64_t o = 0; o < outer; o++) {
    for (int64_t j = 0; j < inner; j++) {
      int64_t place = 0;
      for (int64_t i = 1; i < n; i++) {
        if (beyond(x[(o * n + i) * inner + j], x[(o * n + place) * inner + j], least)) place = i;
      }
      y[o * inner + j] = x[(o * n + place) * inner + j];
      if (index) index[o * inner + j] = (int32_t)place;
    }
  }
}

double ml_naive_sum_squares(const float *x, int64_t n) {
  double s = 0.0;
  for (int64_t i = 0; i < n; i++) s += (double)x[i] * (double)x[i];
  return s;
}

int64_t ml_naive_count_nonfinite(const float *x, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += !isfinite(x[i]);
  return count;
}

/* ---- softmax ---- */

/* ln of the sum of e^x over a row. */
static double log_sum_exp(const float *x, int64_t c) {
  double top = (double)x[0], s = 0.0;
  for (int64_t j = 1; j < c; j++) top = fmax(top, (double)x[j]);
  for (int64_t j = 0; j < c; j++) s += exp((double)x[j] - top);
  return top + log(s);
}

void ml_naive_softmax(float *y, const float *x, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++) {
    const double l = log_sum_exp(x + r * c, c);
    for (int64_t j = 0; j < c; j++) y[r * c + j] = (float)exp((double)x[r * c + j] - l);
  }
}

void ml_naive_log_softmax(float *y, const float *x, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++) {
    const double l = log_sum_exp(x + r * c, c);
    for (int64_t j = 0; j < c; j++) y[r * c + j] = (float)((double)x[r * c + j] - l);
  }
}

void ml_naive_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++) {
    double s = 0.0;
    for (int64_t j = r * c; j < (r + 1) * c; j++) s += (double)dy[j] * (double)y[j];
    for (int64_t j = r * c; j < (r + 1) * c; j++) dx[j] = (float)((double)y[j] * ((double)dy[j] - s));
  }
}

void ml_naive_log_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c) {
  for (int64_t r = 0; r < rows; r++) {
    double s = 0.0;
    for (int64_t j = r * c; j < (r + 1) * c; j++) s += (double)dy[j];
    for (int64_t j = r * c; j < (r + 1) * c; j++) dx[j] = (float)((double)dy[j] - exp((double)y[j]) * s);
  }
}

void ml_naive_gather_u8(float *y, const uint8_t *x, const int32_t *index, int64_t count, int64_t width,
                        const float table[256]) {
  for (int64_t i = 0; i < count; i++) {
    for (int64_t j = 0; j < width; j++) y[i * width + j] = table[x[index[i] * width + j]];
  }
}
