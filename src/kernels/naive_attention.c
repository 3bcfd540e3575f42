/* The slow, obvious attention: see naive.h. */
#include <math.h>

#include "kernels/naive.h"

/* Where feature `f` of head `h` of token `i` is, of n x tokens rows, `row` floats apart. */
static int64_t place(const ml_attention *g, int64_t n, int64_t tokens, int64_t row, int64_t i, int64_t h, int64_t f) {
  return (n * tokens + i) * row + h * g->width + f;
}

static int64_t in_q(const ml_attention *g, int64_t n, int64_t h, int64_t i, int64_t f) {
  return place(g, n, g->t, g->row, i, h, f);
}

static int64_t in_k(const ml_attention *g, int64_t n, int64_t h, int64_t j, int64_t f) {
  return place(g, n, g->s, g->row, j, h, f);
}

static int64_t in_y(const ml_attention *g, int64_t n, int64_t h, int64_t i, int64_t f) {
  return place(g, n, g->t, g->heads * g->width, i, h, f);
}

static int64_t in_p(const ml_attention *g, int64_t n, int64_t h, int64_t i, int64_t j) {
  return ((n * g->heads + h) * g->t + i) * g->s + j;
}

static bool sees(const ml_attention *g, int64_t i, int64_t j) { return !g->causal || j <= i; }

static double score(const float *q, const float *k, const ml_attention *g, int64_t n, int64_t h, int64_t i, int64_t j) {
  double sum = 0.0;
  for (int64_t f = 0; f < g->width; f++) sum += (double)q[in_q(g, n, h, i, f)] * (double)k[in_k(g, n, h, j, f)];
  return sum / sqrt((double)g->width);
}

static void softmax_row(float *p, const float *q, const float *k, const ml_attention *g, int64_t n, int64_t h,
                        int64_t i) {
  double top = -INFINITY, total = 0.0;
  for (int64_t j = 0; j < g->s; j++)
    if (sees(g, i, j)) top = fmax(top, score(q, k, g, n, h, i, j));
  for (int64_t j = 0; j < g->s; j++)
    if (sees(g, i, j)) total += exp(score(q, k, g, n, h, i, j) - top);
  for (int64_t j = 0; j < g->s; j++)
    p[in_p(g, n, h, i, j)] = sees(g, i, j) ? (float)(exp(score(q, k, g, n, h, i, j) - top) / total) : 0.0f;
}

/* 0 or 1 / (1 - dropout): what the mask makes of a 1 at this place of p. */
static double factor(const ml_attention *g, int64_t n, int64_t h, int64_t i, int64_t j) {
  uint32_t words[4];
  ml_rng rng = g->rng;
  const int64_t at = i * g->s + j, blocks = (g->t * g->s + 3) / 4;
  if (g->dropout == 0.0f) return 1.0;
  rng.block += (uint32_t)((n * g->heads + h) * blocks + at / 4);
  ml_rng_next(words, &rng);
  return ml_rng_unit(words[at % 4]) < g->dropout ? 0.0 : 1.0 / (1.0 - (double)g->dropout);
}

static void forward_token(float *y, float *p, const float *q, const float *k, const float *v, const ml_attention *g,
                          int64_t n, int64_t h, int64_t i) {
  softmax_row(p, q, k, g, n, h, i);
  for (int64_t f = 0; f < g->width; f++) {
    double sum = 0.0;
    for (int64_t j = 0; j < g->s; j++)
      sum += (double)p[in_p(g, n, h, i, j)] * factor(g, n, h, i, j) * (double)v[in_k(g, n, h, j, f)];
    y[in_y(g, n, h, i, f)] = (float)sum;
  }
}

void ml_naive_attention_forward(float *y, float *p, const float *q, const float *k, const float *v,
                                const ml_attention *g) {
  for (int64_t n = 0; n < g->n; n++) {
    for (int64_t h = 0; h < g->heads; h++) {
      for (int64_t i = 0; i < g->t; i++) forward_token(y, p, q, k, v, g, n, h, i);
    }
  }
}

/* The gradient of p[i, j] after the softmax, before the mask. */
static double dp_at(const float *dy, const float *v, const ml_attention *g, int64_t n, int64_t h, int64_t i,
                    int64_t j) {
  double sum = 0.0;
  for (int64_t f = 0; f < g->width; f++) sum += (double)dy[in_y(g, n, h, i, f)] * (double)v[in_k(g, n, h, j, f)];
  return sum * factor(g, n, h, i, j);
}

/* The gradient of q k^T at [i, j]. */
static double score_gradient(const float *dy, const float *v, const float *p, const ml_attention *g, int64_t n,
                             int64_t h, int64_t i, int64_t j) {
  double mean = 0.0;
  for (int64_t l = 0; l < g->s; l++) mean += (double)p[in_p(g, n, h, i, l)] * dp_at(dy, v, g, n, h, i, l);
  return (double)p[in_p(g, n, h, i, j)] * (dp_at(dy, v, g, n, h, i, j) - mean) / sqrt((double)g->width);
}

void ml_naive_attention_backward(double *dq, double *dk, double *dv, const float *dy, const float *q, const float *k,
                                 const float *v, const float *p, const ml_attention *g) {
  for (int64_t n = 0; n < g->n; n++) {
    for (int64_t h = 0; h < g->heads; h++) {
      for (int64_t i = 0; i < g->t; i++) {
        for (int64_t j = 0; j < g->s; j++) {
          const double d = score_gradient(dy, v, p, g, n, h, i, j);
          const double kept = (double)p[in_p(g, n, h, i, j)] * factor(g, n, h, i, j);
          for (int64_t f = 0; f < g->width; f++) {
            dq[in_q(g, n, h, i, f)] += d * (double)k[in_k(g, n, h, j, f)];
            dk[in_k(g, n, h, j, f)] += d * (double)q[in_q(g, n, h, i, f)];
            dv[in_k(g, n, h, j, f)] += kept * (double)dy[in_y(g, n, h, i, f)];
          }
        }
      }
    }
  }
}
