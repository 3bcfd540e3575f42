/* The poolings against the naive ones and against PyTorch: odd sizes, windows, strides and paddings, ties, NaN and
 * infinity, windows of nothing but padding; the same bits on any number of threads and instruction set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/naive.h"
#include "kernels/pooling.h"
#include "kernels_aid.h"

typedef struct problem {
  ml_pooling2d g;
  int64_t oh, ow;
  bool adaptive, count_padding;
  const float *x, *dy;
  const int32_t *index;
} problem;

static int64_t x_count(const problem *p) { return p->g.planes * p->g.h * p->g.w; }
static int64_t y_count(const problem *p) { return p->g.planes * p->oh * p->ow; }

static problem make(ml_pooling2d g) {
  problem p = {.g = g, .oh = ml_pooling2d_out_h(&g), .ow = ml_pooling2d_out_w(&g)};
  p.x = kernels_random(x_count(&p) + 1, 1);
  p.dy = kernels_random(y_count(&p) + 1, 2);
  return p;
}

static void destroy(problem *p) {
  ml_free((void *)p->x);
  ml_free((void *)p->dy);
}

static void *must_alloc(int64_t n, size_t size) {
  void *p = ml_alloc((size_t)(n + 1) * size);
  assert_non_null(p);
  return p;
}

/* ---- the greatest ---- */

/* out[2 n]: y, then the index as floats. */
static void run_max(float *out, void *ctx) {
  const problem *p = ctx;
  const int64_t n = y_count(p);
  int32_t *index = must_alloc(n, sizeof *index);
  index[n] = 2385;
  ml_maxpool2d_forward(out, index, p->x, &p->g);
  assert_int_equal(index[n], 2385);
  for (int64_t i = 0; i < n; i++) out[n + i] = (float)index[i];
  ml_free(index);
}

static void check_max(const float *out, void *ctx) {
  const problem *p = ctx;
  const int64_t n = y_count(p);
  float *want = must_alloc(n, sizeof *want);
  int32_t *index = must_alloc(n, sizeof *index);
  ml_naive_maxpool2d_forward(want, index, p->x, &p->g);
  kernels_check_equal(out, want, n, "max pooling");
  for (int64_t i = 0; i < n; i++) want[i] = (float)index[i];
  kernels_check_equal(out + n, want, n, "index of max pooling");
  ml_maxpool2d_forward(want, NULL, p->x, &p->g);
  kernels_check_equal(out, want, n, "max pooling without an index");
  ml_free(want);
  ml_free(index);
}

static void run_max_dx(float *dx, void *ctx) {
  const problem *p = ctx;
  ml_maxpool2d_dx(dx, p->dy, p->index, &p->g);
}

static void check_max_dx(const float *dx, void *ctx) {
  const problem *p = ctx;
  double *want = must_alloc(x_count(p), sizeof *want);
  ml_naive_maxpool2d_dx(want, p->dy, p->index, &p->g);
  for (int64_t i = 0; i < x_count(p); i++) {
    if (!(fabs((double)dx[i] - want[i]) <= 1e-5)) {
      fail_msg("dx[%lld] is %g, expected %g", (long long)i, (double)dx[i], want[i]);
    }
  }
  ml_free(want);
}

static void try_max(problem *p) {
  float *y = must_alloc(y_count(p), sizeof *y);
  int32_t *index = must_alloc(y_count(p), sizeof *index);
  kernels_run_everywhere(run_max, check_max, p, 2 * y_count(p), true);
  ml_naive_maxpool2d_forward(y, index, p->x, &p->g);
  p->index = index;
  kernels_run_everywhere(run_max_dx, check_max_dx, p, x_count(p), true);
  ml_free(y);
  ml_free(index);
}

/* ---- the mean ---- */

static double weight_of(const problem *p, int64_t i, int64_t j, int64_t r, int64_t c) {
  if (p->adaptive) return ml_naive_adaptive_avgpool2d_weight(p->g.h, p->g.w, p->oh, p->ow, i, j, r, c);
  return ml_naive_avgpool2d_weight(&p->g, p->count_padding, i, j, r, c);
}

/* The matrix of weights applied to x, or its transpose to dy. */
static void apply_weights(double *out, const problem *p, bool transposed) {
  const int64_t plane = p->g.h * p->g.w, windows = p->oh * p->ow;
  for (int64_t n = 0; n < p->g.planes * (transposed ? plane : windows); n++) out[n] = 0.0;
  for (int64_t o = 0; o < windows; o++) {
    for (int64_t e = 0; e < plane; e++) {
      const double weight = weight_of(p, o / p->ow, o % p->ow, e / p->g.w, e % p->g.w);
      for (int64_t n = 0; n < p->g.planes && weight > 0.0; n++) {
        const int64_t y_at = n * windows + o, x_at = n * plane + e;
        if (transposed) {
          out[x_at] += weight * (double)p->dy[y_at];
        } else {
          out[y_at] += weight * (double)p->x[x_at];
        }
      }
    }
  }
}

static void check_mean(const float *out, void *ctx, bool transposed) {
  const problem *p = ctx;
  const int64_t n = transposed ? x_count(p) : y_count(p);
  double *want = must_alloc(n, sizeof *want);
  apply_weights(want, p, transposed);
  for (int64_t i = 0; i < n; i++) {
    if (!(fabs((double)out[i] - want[i]) <= 2e-6)) {
      fail_msg("%s of %lldx%lld to %lldx%lld: element %lld is %.9g, expected %.9g", transposed ? "dx" : "mean",
               (long long)p->g.h, (long long)p->g.w, (long long)p->oh, (long long)p->ow, (long long)i, (double)out[i],
               want[i]);
    }
  }
  ml_free(want);
}

static void check_mean_y(const float *y, void *ctx) { check_mean(y, ctx, false); }
static void check_mean_dx(const float *dx, void *ctx) { check_mean(dx, ctx, true); }

static void run_mean(float *y, void *ctx) {
  const problem *p = ctx;
  if (p->adaptive) {
    ml_adaptive_avgpool2d_forward(y, p->x, p->g.planes, p->g.h, p->g.w, p->oh, p->ow);
  } else {
    ml_avgpool2d_forward(y, p->x, &p->g, p->count_padding);
  }
}

static void run_mean_dx(float *dx, void *ctx) {
  const problem *p = ctx;
  if (p->adaptive) {
    ml_adaptive_avgpool2d_dx(dx, p->dy, p->g.planes, p->g.h, p->g.w, p->oh, p->ow);
  } else {
    ml_avgpool2d_dx(dx, p->dy, &p->g, p->count_padding);
  }
}

static void try_mean(problem *p) {
  kernels_run_everywhere(run_mean, check_mean_y, p, y_count(p), true);
  kernels_run_everywhere(run_mean_dx, check_mean_dx, p, x_count(p), true);
}

/* ---- geometries ---- */

static int64_t draw(ml_rng *rng, int64_t low, int64_t high) {
  uint32_t word[4];
  ml_rng_next(word, rng);
  return low + (int64_t)(word[0] % (uint32_t)(high - low + 1));
}

static ml_pooling2d draw_geometry(ml_rng *rng) {
  ml_pooling2d g = {.planes = draw(rng, 1, 9), .h = draw(rng, 1, 12), .w = draw(rng, 1, 20), .kh = draw(rng, 1, 4),
                    .kw = draw(rng, 1, 4), .stride_h = draw(rng, 1, 3), .stride_w = draw(rng, 1, 3)};
  const int64_t most = draw(rng, 0, 5);
  g.pad_top = draw(rng, 0, most);
  g.pad_left = draw(rng, 0, most);
  g.pad_bottom = draw(rng, 0, most);
  g.pad_right = draw(rng, 0, most);
  return g;
}

static void test_odd_geometries(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(22, ML_STREAM_NOISE);
  for (int i = 0; i < 120; i++) {
    problem p = make(draw_geometry(&rng));
    try_max(&p);
    p.count_padding = i % 2;
    try_mean(&p);
    destroy(&p);
  }
}

/* Several chunks of work; the common 2x2. */
static void test_networks(void **state) {
  (void)state;
  static const ml_pooling2d cases[] = {{97, 28, 28, 2, 2, 2, 2, 0, 0, 0, 0}, {300, 14, 14, 3, 3, 2, 2, 1, 1, 1, 1},
                                       {500, 7, 7, 7, 7, 1, 1, 0, 0, 0, 0}, {64, 10, 10, 2, 2, 2, 2, 0, 0, 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    problem p = make(cases[i]);
    try_max(&p);
    try_mean(&p);
    destroy(&p);
  }
}

static void test_adaptive(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(23, ML_STREAM_NOISE);
  for (int i = 0; i < 60; i++) {
    const int64_t planes = draw(&rng, 1, 7), h = draw(&rng, 1, 12), w = draw(&rng, 1, 12);
    const ml_pooling2d g = {planes, h, w, 1, 1, 1, 1, 4, 4, 4, 4};
    problem p = make(g); /* the padding makes room in dy for more windows than elements */
    p.adaptive = true;
    p.oh = i % 5 == 0 ? 1 : draw(&rng, 1, g.h + 4);
    p.ow = i % 5 == 0 ? 1 : draw(&rng, 1, g.w + 4);
    try_mean(&p);
    destroy(&p);
  }
}

/* ---- values ---- */

/* Windows of 2x2, which have loops of their own: rows shorter than a vector, odd sizes, few planes. */
static void test_halving(void **state) {
  (void)state;
  static const int64_t heights[] = {2, 3, 8};
  for (int64_t w = 2; w < 20; w++) {
    for (int64_t i = 0; i < 6; i++) {
      problem p = make((ml_pooling2d){i < 3 ? 1 : 5, heights[i % 3], w, 2, 2, 2, 2, 0, 0, 0, 0});
      try_max(&p);
      destroy(&p);
    }
  }
}

static void test_ties_and_special_values(void **state) {
  (void)state;
  static const float values[] = {NAN, INFINITY, -INFINITY, 0.0f, 1.0f};
  static const ml_pooling2d cases[] = {{6, 9, 17, 3, 3, 1, 1, 1, 1, 1, 1}, {6, 10, 18, 2, 2, 2, 2, 0, 0, 0, 0},
                                       {6, 7, 7, 2, 2, 2, 2, 0, 0, 0, 0},
                                       {4, 6, 7, 3, 2, 3, 3, 2, 1, 2, 1}, {2, 3, 4, 1, 1, 1, 1, 2, 2, 2, 2}};
  ml_rng rng = ml_rng_make(24, ML_STREAM_NOISE);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int kinds = 1; kinds <= 5; kinds++) {
      problem p = make(cases[i]);
      for (int64_t e = 0; e < x_count(&p); e++) ((float *)p.x)[e] = values[draw(&rng, 5 - kinds, 4)];
      kernels_run_everywhere(run_max, check_max, &p, 2 * y_count(&p), true);
      destroy(&p);
    }
  }
}

static void test_all_minus_infinity(void **state) {
  (void)state;
  problem p = make((ml_pooling2d){1, 4, 8, 2, 2, 2, 2, 0, 0, 0, 0});
  for (int64_t e = 0; e < x_count(&p); e++) ((float *)p.x)[e] = -INFINITY;
  float out[16];
  run_max(out, &p);
  for (int i = 0; i < 8; i++) assert_true(out[i] == -INFINITY && out[8 + i] == (float)(i / 4 * 16 + i % 4 * 2));
  destroy(&p);
}

/* Windows of nothing but padding: -inf from nowhere, and a mean of 0. */
static void test_only_padding(void **state) {
  (void)state;
  problem p = make((ml_pooling2d){1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3});
  float out[18];
  run_max(out, &p);
  assert_true(out[0] == -INFINITY && out[9] == -1.0f && out[4] == p.x[0] && out[13] == 0.0f);
  ml_avgpool2d_forward(out, p.x, &p.g, false);
  assert_true(out[0] == 0.0f && out[4] == p.x[0]);
  ml_avgpool2d_forward(out, p.x, &p.g, true);
  assert_true(out[0] == 0.0f && out[4] == p.x[0] / 4);
  destroy(&p);
}

/* scale got, to the nearest integer */
static void check_golden(const float *got, const int *want, int64_t n, float scale) {
  for (int64_t i = 0; i < n; i++) {
    if (fabsf(got[i] * scale - (float)want[i]) > 1e-4f) {
      fail_msg("element %lld is %g, expected %g", (long long)i, (double)got[i], (double)((float)want[i] / scale));
    }
  }
}

/* What PyTorch says of x[i] = (7 i mod 11 - 5) and dy[i] = (5 i mod 8 - 4) on a plane of 7 x 9. */
static void test_golden(void **state) {
  (void)state;
  static const int max[] = {3, 3, 2, 5, 5, 5, 5, 4, 4, 4, 3, 4, 4, 3, 3, 5, 5, 5, 5, 4, 5, 5, 5, 5, 4, 4, 4, 3,
      3, 3, 2, 2, 5, 5, 5, 5, 4, 4, 4, 3};
  static const int max_index[] = {9, 9, 1, 3, 3, 14, 14, 6, 17, 17, 9, 28, 28, 20, 31, 14, 14, 25, 25, 17, 36,
      36, 47, 47, 39, 50, 50, 42, 53, 53, 45, 45, 47, 47, 58, 58, 50, 61, 61, 53};
  static const int max_dx[] = {0, -2, 0, 3, 0, 0, -1, 0, 0, -5, 0, 0, 0, 0, -6, 0, 0, 0, 0, 0, -3, 0, 0, 0, 0,
      -1, 0, 0, 3, 0, 0, 2, 0, 0, 0, 0, -3, 0, 0, -4, 0, 0, 3, 0, 0, 1, 0, -2, 0, 0, -1, 0, 0, -4, 0, 0, 0, 0,
      1, 0, 0, -1, 0};
  static const int mean[] = {-9, 0, 3, 6, 0, -6, -9, -3, 3, 18, 21, 12, -15, -9, -24, -18, 0, 39, 12, 0};
  static const int mean_inside[] = {-36, 0, 6, 12, 0, -12, -9, -3, 3, 24, 42, 12, -15, -9, -32, -36, 0, 39, 12,
      0};
  static const int bins[] = {-9, -4, 1, 6, 3, -3, -9, -4, 4, 9, 3, -3};
  static const int bins_dx[] = {-4, -4, -3, 1, -1, -2, 1, 3, 3, -4, -4, -3, 1, -1, -2, 1, 3, 3, -4, -4, -6, -2,
      -2, 0, 2, 2, 2, 0, 0, -3, -3, -1, 2, 1, -1, -1, -4, -4, -6, -2, -2, 0, 2, 2, 2, -4, -4, -3, 1, -1, -2, 1,
      3, 3, -4, -4, -3, 1, -1, -2, 1, 3, 3};
  float x[63], y[40], dy[40], dx[63], index_as_float[80];
  for (int i = 0; i < 63; i++) x[i] = (float)(i * 7 % 11 - 5);
  for (int i = 0; i < 40; i++) dy[i] = (float)(i * 5 % 8 - 4);
  problem p = {.g = {1, 7, 9, 3, 2, 2, 1, 1, 1, 1, 1}, .oh = 4, .ow = 10, .x = x};
  run_max(index_as_float, &p);
  check_golden(index_as_float, max, 40, 1);
  check_golden(index_as_float + 40, max_index, 40, 1);
  ml_maxpool2d_dx(dx, dy, max_index, &p.g);
  check_golden(dx, max_dx, 63, 1);
  const ml_pooling2d wide = {1, 7, 9, 2, 4, 2, 2, 1, 2, 1, 2};
  ml_avgpool2d_forward(y, x, &wide, true);
  check_golden(y, mean, 20, 24);
  ml_avgpool2d_forward(y, x, &wide, false);
  check_golden(y, mean_inside, 20, 24);
  ml_adaptive_avgpool2d_forward(y, x, 1, 7, 9, 3, 4);
  check_golden(y, bins, 12, 9);
  ml_adaptive_avgpool2d_dx(dx, dy, 1, 7, 9, 3, 4);
  check_golden(dx, bins_dx, 63, 9);
}

static void test_sizes(void **state) {
  (void)state;
  const ml_pooling2d g = {1, 7, 8, 3, 9, 2, 3, 1, 0, 0, 0};
  assert_int_equal(ml_pooling2d_out_h(&g), 3);
  assert_int_equal(ml_pooling2d_out_w(&g), 0);
  problem p = make(g), none = make((ml_pooling2d){0, 7, 8, 3, 3, 2, 3, 1, 0, 0, 0});
  try_mean(&p); /* no windows: dx is 0 */
  try_max(&p);
  try_mean(&none);
  try_max(&none);
  destroy(&p);
  destroy(&none);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),       cmocka_unit_test(test_odd_geometries),
      cmocka_unit_test(test_networks),     cmocka_unit_test(test_adaptive),
      cmocka_unit_test(test_only_padding), cmocka_unit_test(test_ties_and_special_values),
      cmocka_unit_test(test_sizes),        cmocka_unit_test(test_all_minus_infinity),
      cmocka_unit_test(test_halving),
  };
  return cmocka_run_group_tests_name("kernels: pooling", tests, NULL, NULL);
}
