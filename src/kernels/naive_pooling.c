/* The slow, obvious poolings: see naive.h. Called by tests, never by the program. */
#include <math.h>

#include "kernels/naive.h"

void ml_naive_maxpool2d_forward(float *y, int32_t *index, const float *x, const ml_pooling2d *g) {
  const int64_t oh = ml_pooling2d_out_h(g), ow = ml_pooling2d_out_w(g);
  for (int64_t at = 0; at < g->planes * oh * ow; at++) {
    const int64_t i = at / ow % oh, j = at % ow, plane = at / ow / oh;
    float best = -INFINITY;
    int32_t best_at = -1;
    for (int64_t k = 0; k < g->kh * g->kw; k++) {
      const int64_t r = i * g->stride_h - g->pad_top + k / g->kw, c = j * g->stride_w - g->pad_left + k % g->kw;
      if (r < 0 || r >= g->h || c < 0 || c >= g->w) continue;
      const float v = x[(plane * g->h + r) * g->w + c];
      if (best_at >= 0 && !(v > best) && !(isnan(v) && !isnan(best))) continue;
      best = v;
      best_at = (int32_t)(r * g->w + c);
    }
    y[at] = best;
    index[at] = best_at;
  }
}

void ml_naive_maxpool2d_dx(double *dx, const float *dy, const int32_t *index, const ml_pooling2d *g) {
  const int64_t windows = ml_pooling2d_out_h(g) * ml_pooling2d_out_w(g);
  for (int64_t i = 0; i < g->planes * g->h * g->w; i++) dx[i] = 0.0;
  for (int64_t i = 0; i < g->planes * windows; i++) {
    if (index[i] >= 0) dx[i / windows * g->h * g->w + index[i]] += (double)dy[i];
  }
}

double ml_naive_avgpool2d_weight(const ml_pooling2d *g, bool count_padding, int64_t i, int64_t j, int64_t r,
                                 int64_t c) {
  int64_t inside = 0;
  bool found = false;
  for (int64_t k = 0; k < g->kh * g->kw; k++) {
    const int64_t row = i * g->stride_h - g->pad_top + k / g->kw, col = j * g->stride_w - g->pad_left + k % g->kw;
    inside += row >= 0 && row < g->h && col >= 0 && col < g->w;
    found |= row == r && col == c;
  }
  return found ? 1.0 / (double)(count_padding ? g->kh * g->kw : inside) : 0.0;
}

double ml_naive_adaptive_avgpool2d_weight(int64_t h, int64_t w, int64_t oh, int64_t ow, int64_t i, int64_t j,
                                          int64_t r, int64_t c) {
  const double top = floor((double)(i * h) / (double)oh), bottom = ceil((double)((i + 1) * h) / (double)oh);
  const double left = floor((double)(j * w) / (double)ow), right = ceil((double)((j + 1) * w) / (double)ow);
  const double row = (double)r, col = (double)c;
  return row >= top && row < bottom && col >= left && col < right ? 1.0 / ((bottom - top) * (right - left)) : 0.0;
}
