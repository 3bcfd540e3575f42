/* Clipping by value, max-norm and running averages: see weights.h. */
#include "optim/weights.h"

#include <math.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/update.h"

enum { CHUNK = 16384 }; /* floats; see list.c */

typedef struct weights_call {
  float *to;
  const float *from;
  int64_t cols;
  float value;
  double limit;
} weights_call;

static void clamp_range(void *ctx, int64_t begin, int64_t end) {
  const weights_call *c = ctx;
  ml_update_clamp(c->to + begin, end - begin, c->value);
}

void ml_clamp(float *g, int64_t n, float limit) {
  weights_call call = {.to = g, .value = limit};
  ml_pool_for(clamp_range, &call, n, CHUNK);
}

static void limit_range(void *ctx, int64_t begin, int64_t end) {
  const weights_call *c = ctx;
  for (int64_t i = begin; i < end; i++) {
    float *row = c->to + i * c->cols;
    const double norm = sqrt(ml_sum_squares(row, c->cols));
    if (norm > c->limit) ml_scale(row, row, c->cols, (float)(c->limit / norm));
  }
}

void ml_limit_rows(float *w, int64_t rows, int64_t cols, double limit) {
  weights_call call = {.to = w, .cols = cols, .limit = limit};
  if (cols > 0) ml_pool_for(limit_range, &call, rows, ml_ceil_div(CHUNK, cols));
}

static void average_range(void *ctx, int64_t begin, int64_t end) {
  const weights_call *c = ctx;
  ml_update_average(c->to + begin, c->from + begin, end - begin, c->value);
}

void ml_average(float *s, const float *w, int64_t n, float share) {
  weights_call call = {.to = s, .from = w, .value = share};
  ml_pool_for(average_range, &call, n, CHUNK);
}
