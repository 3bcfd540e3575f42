/* Sums, extremes, counts and softmax against the naive ones: odd shapes, ties, NaN and infinity, poisoned outputs
 * between guards; the same bits on any number of threads and instruction set. The naive losses, which the tests of the
 * operations rely on, are checked here by hand and by differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

typedef struct reduction {
  int64_t outer, n, inner;
  double scale;
  bool least;
  float *x, *dy, *want;
  double relative, absolute;
  const char *name;
} reduction;

static const int64_t shapes[][3] = {
    {1, 1, 1},     {1, 2, 1},     {1, 3, 5},    {2, 5, 3},    {7, 7, 1},     {3, 15, 17},   {1, 17, 31},
    {31, 33, 1},   {2, 33, 63},   {1, 63, 65},  {65, 100, 1}, {1, 130, 257}, {128, 10, 1},  {1, 128, 512},
    {5, 1, 130},   {1, 4096, 1},  {1, 4097, 1}, {1, 40001, 1}, {3, 20000, 1}, {1, 9000, 10}, {2000, 17, 1},
    {2, 100, 300},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static reduction make(const int64_t shape[3]) {
  reduction r = {.outer = shape[0], .n = shape[1], .inner = shape[2], .scale = 1.0};
  const int64_t total = r.outer * r.n * r.inner;
  r.x = kernels_random(total, 1);
  r.dy = kernels_random(total, 2);
  r.want = kernels_random(2 * total, 3);
  return r;
}

static void destroy(reduction *r) {
  ml_free(r->x);
  ml_free(r->dy);
  ml_free(r->want);
}

static int64_t outputs(const reduction *r) { return r->outer * r->inner; }

static void run_sum(float *out, void *ctx) {
  const reduction *r = ctx;
  ml_reduce_sum(out, r->x, r->outer, r->n, r->inner, r->scale);
}

static void check_outputs(const float *got, void *ctx) {
  const reduction *r = ctx;
  kernels_check_close(got, r->want, outputs(r), r->relative, r->absolute, r->name);
}

/* Sums in double, in whatever order, agree to a rounding of the result; the absolute part is for sums near 0. */
static void test_sum(void **state) {
  (void)state;
  for (int s = 0; s < SHAPES; s++) {
    reduction r = make(shapes[s]);
    r.name = "sum";
    r.relative = 6.1e-8;
    r.absolute = 1e-12;
    for (int mean = 0; mean < 2; mean++) {
      r.scale = mean ? 1.0 / (double)r.n : 1.0;
      ml_naive_reduce_sum(r.want, r.x, r.outer, r.n, r.inner, r.scale);
      kernels_run_everywhere(run_sum, check_outputs, &r, outputs(&r), true);
    }
    destroy(&r);
  }
}

typedef struct relu_case {
  int64_t rows, cols;
  float *dy, *out;
} relu_case;

/* dz, then db. */
static void run_relu_bias(float *y, void *ctx) {
  const relu_case *r = ctx;
  ml_relu_bias_backward(y, y + r->rows * r->cols, r->dy, r->out, r->rows, r->cols);
}

static void check_relu_bias(const float *y, void *ctx) {
  const relu_case *r = ctx;
  const int64_t n = r->rows * r->cols;
  float *want = kernels_random(n + r->cols, 9);
  ml_map_unary_backward(want, r->dy, r->out, r->out, n, ML_RELU, 0);
  ml_reduce_sum(want + n, want, 1, r->rows, r->cols, 1.0);
  kernels_check_equal(y, want, n + r->cols, "relu and bias backward");
  ml_free(want);
}

static void test_relu_bias_backward(void **state) {
  (void)state;
  static const int64_t sizes[][2] = {{1, 1}, {7, 1}, {1, 70}, {5, 64}, {130, 200}, {33, 1000}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    relu_case r = {.rows = sizes[i][0], .cols = sizes[i][1]};
    r.dy = kernels_random(r.rows * r.cols, 1);
    r.out = kernels_random(r.rows * r.cols, 2);
    r.out[0] = NAN;
    kernels_run_everywhere(run_relu_bias, check_relu_bias, &r, (r.rows + 1) * r.cols, true);
    ml_free(r.dy);
    ml_free(r.out);
  }
}

static void test_sum_of_none(void **state) {
  (void)state;
  float y[3] = {NAN, NAN, NAN};
  ml_reduce_sum(y, NULL, 3, 0, 1, 1.0);
  assert_true(y[0] == 0.0f && y[1] == 0.0f && y[2] == 0.0f);
  ml_reduce_sum(y, NULL, 1, 0, 3, 0.5);
  assert_true(y[0] == 0.0f && y[1] == 0.0f && y[2] == 0.0f);
  ml_reduce_sum(y, NULL, 0, 5, 3, 1.0);
  assert_true(ml_sum_squares(NULL, 0) == 0.0);
  assert_int_equal(ml_count_nonfinite(NULL, 0), 0);
}

/* 1e8 and a million small values: a float sum would lose them. */
static void test_sum_is_in_double(void **state) {
  (void)state;
  enum { N = 1000001 };
  float *x = kernels_random(N, 1), y;
  for (int i = 0; i < N; i++) x[i] = 0.25f;
  x[0] = 1e8f;
  ml_reduce_sum(&y, x, 1, N, 1, 1.0);
  assert_true(y == 1e8f + 250000.0f);
  ml_free(x);
}

/* ---- extremes: the values, then the places as floats ---- */

static void run_max(float *out, void *ctx) {
  const reduction *r = ctx;
  const int64_t count = outputs(r);
  int32_t *index = ml_alloc((size_t)count * sizeof *index);
  assert_non_null(index);
  ml_reduce_max(out, NULL, r->x, r->outer, r->n, r->inner, r->least);
  ml_reduce_max(out + count, index, r->x, r->outer, r->n, r->inner, r->least);
  kernels_check_equal(out, out + count, count, "maximum with and without places");
  for (int64_t i = 0; i < count; i++) out[i] = (float)index[i];
  ml_free(index);
}

static void find_max(reduction *r) {
  const int64_t count = outputs(r);
  int32_t *index = ml_alloc((size_t)count * sizeof *index);
  assert_non_null(index);
  ml_naive_reduce_max(r->want + count, index, r->x, r->outer, r->n, r->inner, r->least);
  for (int64_t i = 0; i < count; i++) r->want[i] = (float)index[i];
  ml_free(index);
}

static void check_max(const float *got, void *ctx) {
  const reduction *r = ctx;
  kernels_check_equal(got, r->want, 2 * outputs(r), "place, value of the maximum");
}

/* Values as drawn; a few values only, so that most are ties; with NaN and infinities strewn in. */
static void spoil(reduction *r, int how) {
  const int64_t total = r->outer * r->n * r->inner;
  for (int64_t i = 0; i < total; i++) {
    if (how == 1) r->x[i] = (float)(int)(3.0f * r->x[i]);
    if (how == 2 && i % 7 == 3) r->x[i] = NAN;
    if (how == 2 && i % 11 == 4) r->x[i] = i % 2 ? INFINITY : -INFINITY;
    if (how == 3) r->x[i] = -INFINITY;
  }
}

static void test_max(void **state) {
  (void)state;
  for (int s = 0; s < SHAPES; s++) {
    for (int how = 0; how < 4; how++) {
      for (int least = 0; least < 2; least++) {
        reduction r = make(shapes[s]);
        r.least = least;
        spoil(&r, how);
        find_max(&r);
        kernels_run_everywhere(run_max, check_max, &r, 2 * outputs(&r), true);
        destroy(&r);
      }
    }
  }
}

/* ---- whole arrays ---- */

/* The double as two floats, so that its bits are compared nearly whole. */
static void run_squares(float *out, void *ctx) {
  const reduction *r = ctx;
  const double s = ml_sum_squares(r->x, r->n);
  out[0] = (float)s;
  out[1] = (float)(s - (double)out[0]);
}

static void check_squares(const float *got, void *ctx) {
  const reduction *r = ctx;
  const double want = ml_naive_sum_squares(r->x, r->n), s = (double)got[0] + (double)got[1];
  if (!(fabs(s - want) <= (double)r->n * 0x1p-53 * want))
    fail_msg("sum of %lld squares is %.17g, expected %.17g", (long long)r->n, s, want);
}

static void run_nonfinite(float *out, void *ctx) {
  const reduction *r = ctx;
  *out = (float)ml_count_nonfinite(r->x, r->n);
}

static void check_nonfinite(const float *got, void *ctx) {
  const reduction *r = ctx;
  assert_int_equal((int64_t)*got, ml_naive_count_nonfinite(r->x, r->n));
}

static void test_whole_arrays(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 3, 15, 17, 65, 257, 4095, 4096, 4097, 16385, 100003, 4200001};
  for (int s = 0; s < 13; s++) {
    reduction r = make((int64_t[]){1, sizes[s], 1});
    kernels_run_everywhere(run_squares, check_squares, &r, 2, true);
    kernels_run_everywhere(run_nonfinite, check_nonfinite, &r, 1, true);
    spoil(&r, 2);
    kernels_run_everywhere(run_nonfinite, check_nonfinite, &r, 1, true);
    destroy(&r);
  }
}

/* ---- softmax: rows are outer, classes are n ---- */

static void run_softmax(float *out, void *ctx) {
  const reduction *r = ctx;
  ml_softmax(out, r->x, r->outer, r->n);
}

static void run_log_softmax(float *out, void *ctx) {
  const reduction *r = ctx;
  memcpy(out, r->x, (size_t)(r->outer * r->n) * sizeof *out);
  ml_log_softmax(out, out, r->outer, r->n); /* in place */
}

static void run_softmax_backward(float *out, void *ctx) {
  const reduction *r = ctx;
  ml_softmax_backward(out, r->dy, r->x, r->outer, r->n);
}

static void run_log_softmax_backward(float *out, void *ctx) {
  const reduction *r = ctx;
  memcpy(out, r->dy, (size_t)(r->outer * r->n) * sizeof *out);
  ml_log_softmax_backward(out, out, r->x, r->outer, r->n); /* in place */
}

static void check_rows(const float *got, void *ctx) {
  const reduction *r = ctx;
  kernels_check_close(got, r->want, r->outer * r->n, r->relative, r->absolute, r->name);
}

static void try_softmax(int64_t rows, int64_t c, float scale) {
  reduction r = make((int64_t[]){rows, c, 1});
  for (int64_t i = 0; i < rows * c; i++) r.x[i] *= scale;
  r.name = "softmax";
  r.relative = 5e-6; /* x - max is off by up to 2^-19 where it is 60 */
  r.absolute = 1e-30;
  ml_naive_softmax(r.want, r.x, rows, c);
  kernels_run_everywhere(run_softmax, check_rows, &r, rows * c, true);
  r.name = "log softmax";
  r.absolute = 1e-6;
  ml_naive_log_softmax(r.want, r.x, rows, c);
  kernels_run_everywhere(run_log_softmax, check_rows, &r, rows * c, true);

  ml_naive_softmax(r.x, r.x, rows, c);
  r.name = "softmax backward";
  r.absolute = 1e-7;
  ml_naive_softmax_backward(r.want, r.dy, r.x, rows, c);
  kernels_run_everywhere(run_softmax_backward, check_rows, &r, rows * c, true);
  for (int64_t i = 0; i < rows * c; i++) r.x[i] = logf(r.x[i]);
  r.name = "log softmax backward";
  r.absolute = 1e-6;
  ml_naive_log_softmax_backward(r.want, r.dy, r.x, rows, c);
  kernels_run_everywhere(run_log_softmax_backward, check_rows, &r, rows * c, true);
  destroy(&r);
}

static void test_softmax(void **state) {
  (void)state;
  static const int64_t classes[] = {1, 2, 3, 7, 10, 15, 17, 33, 63, 65, 130, 257};
  for (int i = 0; i < 12; i++) {
    try_softmax(1, classes[i], 3.0f);
    try_softmax(17, classes[i], 30.0f);
  }
  try_softmax(3001, 10, 8.0f);
}

static void check_softmax_pair(const float a, const float b, const float want_a, const float want_log_b) {
  for (int copies = 1; copies < 12; copies += 5) { /* b many times over, past the width of a vector */
    float x[24], y[24];
    const int c = 2 * copies;
    for (int j = 0; j < c; j++) x[j] = j == 0 ? a : b;
    ml_softmax(y, x, 1, c);
    for (int j = 0; j < c; j++) assert_true(y[j] == (j == 0 ? want_a : 1.0f - want_a));
    ml_log_softmax(y, x, 1, c);
    for (int j = 0; j < c; j++) assert_true(y[j] == (j == 0 ? 0.0f : want_log_b));
  }
}

static void test_softmax_of_huge_values(void **state) {
  (void)state;
  check_softmax_pair(1e38f, -1e38f, 1.0f, -2e38f);
  check_softmax_pair(3e38f, -3e38f, 1.0f, -INFINITY);
  check_softmax_pair(0.0f, -INFINITY, 1.0f, -INFINITY);
  float x[] = {1e38f, 1e38f}, y[2];
  ml_softmax(y, x, 1, 2);
  assert_true(y[0] == 0.5f && y[1] == 0.5f);
}

/* A NaN, or nothing but -inf, makes its own row NaN and no other. */
static void test_softmax_of_nan(void **state) {
  (void)state;
  float x[] = {1, 2, 3, NAN, 0, 1, -INFINITY, -INFINITY, -INFINITY, 3, 2, 1}, y[12];
  for (int log = 0; log < 2; log++) {
    (log ? ml_log_softmax : ml_softmax)(y, x, 4, 3);
    for (int i = 0; i < 12; i++) assert_true((isnan(y[i]) != 0) == (i >= 3 && i < 9));
  }
}

/* ---- the naive losses ---- */

/* Three rows of two classes whose logits are ln of (3, 1), (1, 1), (1, 4). */
static void test_naive_losses_by_hand(void **state) {
  (void)state;
  const float x[] = {logf(3.0f), 0.0f, 0.0f, 0.0f, 0.0f, logf(4.0f)}, weight[] = {2.0f, 0.5f};
  const int32_t label[] = {0, 1, 1};
  const float soft[] = {1, 0, 0, 1, 0, 1}, log_p[] = {-1, -2, -3, -4, -5, -6};
  const double l0 = log(4.0 / 3.0), l1 = log(2.0), l2 = log(5.0 / 4.0); /* -ln p[label] */
  const double o0 = log(4.0), o1 = log(2.0), o2 = log(5.0);             /* of the other class */
  assert_true(fabs(ml_naive_cross_entropy(NULL, x, label, NULL, 0, 3, 2) - (l0 + l1 + l2) / 3) < 1e-7);
  const double weighted = 2 * l0 + 0.5 * l1 + 0.5 * l2;
  assert_true(fabs(ml_naive_cross_entropy(NULL, x, label, weight, 0, 3, 2) - weighted / 3) < 1e-7);
  const double uniform = 2 * l0 + 0.5 * o0 + 0.5 * l1 + 2 * o1 + 0.5 * l2 + 2 * o2;
  const double smooth = 0.8 * weighted + 0.1 * uniform;
  assert_true(fabs(ml_naive_cross_entropy(NULL, x, label, weight, 0.2, 3, 2) - smooth / 3) < 1e-7);
  assert_true(fabs(ml_naive_cross_entropy_soft(NULL, x, soft, weight, 0.2, 3, 2) - smooth / 3) < 1e-7);
  assert_true(fabs(ml_naive_nll(NULL, log_p, label, weight, 3, 2) - (2 * 1 + 0.5 * 4 + 0.5 * 6) / 3) < 1e-7);
  assert_true(fabs(ml_naive_mse(NULL, soft, log_p, 2) - (4.0 + 4.0) / 2) < 1e-7);
}

enum { LOSS_ROWS = 5, LOSS_CLASSES = 7 };
static float *loss_target, *loss_weight;
static const int32_t loss_label[] = {3, 0, 6, 3, 1};

static double loss(int kind, float *dx, const float *x) {
  switch (kind) {
  case 0: return ml_naive_cross_entropy(dx, x, loss_label, loss_weight, 0.1, LOSS_ROWS, LOSS_CLASSES);
  case 1: return ml_naive_cross_entropy_soft(dx, x, loss_target, loss_weight, 0.1, LOSS_ROWS, LOSS_CLASSES);
  case 2: return ml_naive_nll(dx, x, loss_label, loss_weight, LOSS_ROWS, LOSS_CLASSES);
  default: return ml_naive_mse(dx, x, loss_target, LOSS_ROWS * LOSS_CLASSES);
  }
}

static void test_naive_loss_gradients(void **state) {
  (void)state;
  enum { N = LOSS_ROWS * LOSS_CLASSES };
  float *x = kernels_random(N, 1), dx[N];
  loss_target = kernels_random(N, 2);
  loss_weight = kernels_random(LOSS_CLASSES, 3);
  for (int j = 0; j < LOSS_CLASSES; j++) loss_weight[j] += 1.5f;
  for (int kind = 0; kind < 4; kind++) {
    loss(kind, dx, x);
    for (int i = 0; i < N; i++) {
      const float kept = x[i], above = kept + 0x1p-8f, below = kept - 0x1p-8f;
      x[i] = above;
      const double l_above = loss(kind, NULL, x);
      x[i] = below;
      const double slope = (l_above - loss(kind, NULL, x)) / ((double)above - (double)below);
      x[i] = kept;
      if (fabs(slope - (double)dx[i]) < 2e-6) continue;
      fail_msg("loss %d, dx[%d] is %.9g, differences say %.9g", kind, i, (double)dx[i], slope);
    }
  }
  ml_free(x);
  ml_free(loss_target);
  ml_free(loss_weight);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sum), cmocka_unit_test(test_relu_bias_backward), cmocka_unit_test(test_sum_of_none),
      cmocka_unit_test(test_sum_is_in_double), cmocka_unit_test(test_max), cmocka_unit_test(test_whole_arrays),
      cmocka_unit_test(test_softmax), cmocka_unit_test(test_softmax_of_huge_values),
      cmocka_unit_test(test_softmax_of_nan), cmocka_unit_test(test_naive_losses_by_hand),
      cmocka_unit_test(test_naive_loss_gradients),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
