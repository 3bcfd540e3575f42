/* The slow, obvious losses: see naive.h. Called by tests, never by the program. */
#include <math.h>

#include "kernels/naive.h"

static double weight_of(const float *weight, int64_t j) { return weight ? (double)weight[j] : 1.0; }

/* ln of the sum of e^x over a row. */
static double log_sum_exp(const float *x, int64_t c) {
  double top = (double)x[0], s = 0.0;
  for (int64_t j = 1; j < c; j++) top = fmax(top, (double)x[j]);
  for (int64_t j = 0; j < c; j++) s += exp((double)x[j] - top);
  return top + log(s);
}

static double sum_of_label_weights(const int32_t *label, const float *weight, int64_t rows) {
  double s = 0.0;
  for (int64_t r = 0; r < rows; r++) s += weight_of(weight, label[r]);
  return s;
}

/* -sum of q[j] ln p[j] over classes and rows, over `divisor`; q = w (target (1 - s) + s / c), with target given as a
 * row of `soft`, or as 1 at the label. The gradient by x[j] is (p[j] sum of q - q[j]) / divisor. */
static double entropy(float *dx, const float *x, const int32_t *label, const float *soft, const float *weight,
                      double smoothing, int64_t rows, int64_t c, double divisor) {
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const double l = log_sum_exp(x + r * c, c);
    double q_sum = 0.0;
    for (int pass = 0; pass < 2; pass++) {
      for (int64_t j = 0; j < c; j++) {
        const double target = soft ? (double)soft[r * c + j] : (label[r] == j ? 1.0 : 0.0);
        const double q = weight_of(weight, j) * (target * (1.0 - smoothing) + smoothing / (double)c);
        const double log_p = (double)x[r * c + j] - l;
        if (pass == 0) {
          q_sum += q;
          loss -= q * log_p;
        } else if (dx) {
          dx[r * c + j] = (float)((exp(log_p) * q_sum - q) / divisor);
        }
      }
    }
  }
  return loss / divisor;
}

double ml_naive_cross_entropy(float *dx, const float *x, const int32_t *label, const float *weight, double smoothing,
                              int64_t rows, int64_t c) {
  return entropy(dx, x, label, NULL, weight, smoothing, rows, c, sum_of_label_weights(label, weight, rows));
}

double ml_naive_cross_entropy_soft(float *dx, const float *x, const float *target, const float *weight,
                                   double smoothing, int64_t rows, int64_t c) {
  return entropy(dx, x, NULL, target, weight, smoothing, rows, c, (double)rows);
}

double ml_naive_nll(float *dx, const float *x, const int32_t *label, const float *weight, int64_t rows, int64_t c) {
  const double divisor = sum_of_label_weights(label, weight, rows);
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    loss -= weight_of(weight, label[r]) * (double)x[r * c + label[r]];
    for (int64_t j = 0; dx && j < c; j++) {
      dx[r * c + j] = (float)(label[r] == j ? -weight_of(weight, j) / divisor : 0.0);
    }
  }
  return loss / divisor;
}

double ml_naive_mse(float *dx, const float *x, const float *target, int64_t n) {
  double loss = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)x[i] - (double)target[i];
    loss += d * d;
    if (dx) dx[i] = (float)(2.0 * d / (double)n);
  }
  return loss / (double)n;
}

double ml_naive_smooth_l1(float *dx, const float *x, const float *target, double beta, int64_t n) {
  double loss = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)x[i] - (double)target[i];
    const bool near = fabs(d) < beta;
    loss += near ? d * d / (2.0 * beta) : fabs(d) - beta / 2.0;
    if (dx) dx[i] = (float)((near ? d / beta : (d > 0) - (d < 0)) / (double)n);
  }
  return loss / (double)n;
}

double ml_naive_bce_with_logits(float *dx, const float *x, const float *target, const float *weight, int64_t places,
                                int64_t n) {
  double loss = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double y = (double)target[i], w = weight ? (double)weight[i % places] : 1.0;
    const double p = 1.0 / (1.0 + exp(-(double)x[i])), q = 1.0 / (1.0 + exp((double)x[i]));
    loss -= w * y * log(p) + (1.0 - y) * log(q);
    if (dx) dx[i] = (float)(((1.0 - y) * p - w * y * q) / (double)n);
  }
  return loss / (double)n;
}

double ml_naive_kl_div(float *dx, const float *x, const float *target, bool log_target, double divisor, int64_t n) {
  double loss = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double p = log_target ? exp((double)target[i]) : (double)target[i];
    if (p > 0.0) loss += p * (log(p) - (double)x[i]);
    if (dx) dx[i] = (float)(-p / divisor);
  }
  return loss / divisor;
}

double ml_naive_multi_margin(float *dx, const float *x, const int32_t *label, const float *weight, int power,
                             double margin, int64_t rows, int64_t c) {
  const double n = (double)rows * (double)c;
  double loss = 0.0;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t t = label[r];
    double pull = 0.0;
    for (int64_t j = 0; j < c; j++) {
      const double over = j == t ? 0.0 : fmax(0.0, margin - (double)x[r * c + t] + (double)x[r * c + j]);
      const double slope = over > 0.0 ? weight_of(weight, t) * power * pow(over, power - 1) : 0.0;
      loss += weight_of(weight, t) * pow(over, power);
      if (dx) dx[r * c + j] = (float)(slope / n);
      pull += slope;
    }
    if (dx) dx[r * c + t] = (float)(-pull / n);
  }
  return loss / n;
}
