/* The convolutions against the naive ones: odd sizes, kernels, strides and paddings, groups,
 * several blocks and stages, poisoned outputs and workspace between guards, NaN and infinity, all precisions; the same
 * bits on any number of threads and for an image alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/conv.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels/precision.h"
#include "kernels_aid.h"

typedef enum result { FORWARD, FORWARD_RELU, DX, DW, DB, RESULTS } result;

static const char *const result_names[] = {"forward", "forward with relu", "dx", "dw", "db"};

typedef struct problem {
  ml_conv2d g;
  result of;
  float *x, *w, *bias, *dy;
  bool with_bias;
  kernels_guarded work;
  double *want, *magnitude; /* of result `of`; magnitude: the same from absolute values */
  double tolerance;         /* of an element: times its magnitude */
} problem;

static int64_t x_count(const ml_conv2d *g) { return g->n * g->in_c * g->h * g->w; }
static int64_t w_count(const ml_conv2d *g) { return g->out_c * (g->in_c / g->groups) * g->kh * g->kw; }
static int64_t y_count(const ml_conv2d *g) { return g->n * g->out_c * ml_conv2d_out_h(g) * ml_conv2d_out_w(g); }

static int64_t result_count(const ml_conv2d *g, result of) {
  switch (of) {
  case DX: return x_count(g);
  case DW: return w_count(g);
  case DB: return g->out_c;
  default: return y_count(g);
  }
}

static void run_naive(double *out, const problem *p, const float *x, const float *w, const float *bias,
                      const float *dy) {
  switch (p->of) {
  case DX: ml_naive_conv2d_dx(out, dy, w, &p->g); break;
  case DW: ml_naive_conv2d_dw(out, dy, x, &p->g); break;
  case DB: ml_naive_conv2d_db(out, dy, &p->g); break;
  default: ml_naive_conv2d_forward(out, x, w, p->with_bias ? bias : NULL, p->of == FORWARD_RELU, &p->g); break;
  }
}

static void find_want(problem *p) {
  const ml_conv2d *g = &p->g;
  run_naive(p->want, p, p->x, p->w, p->bias, p->dy);
  float *x = kernels_absolute(p->x, x_count(g)), *w = kernels_absolute(p->w, w_count(g));
  float *bias = kernels_absolute(p->bias, g->out_c), *dy = kernels_absolute(p->dy, y_count(g));
  run_naive(p->magnitude, p, x, w, bias, dy);
  ml_free(x);
  ml_free(w);
  ml_free(bias);
  ml_free(dy);
}

static problem make(ml_conv2d g) {
  problem p = {.g = g, .with_bias = true, .tolerance = 16 * 0x1p-24};
  int64_t most = 1;
  for (int of = 0; of < RESULTS; of++) {
    if (result_count(&g, (result)of) > most) most = result_count(&g, (result)of);
  }
  p.x = kernels_random(x_count(&g) + 1, 1);
  p.w = kernels_random(w_count(&g), 2);
  p.bias = kernels_random(g.out_c, 3);
  p.dy = kernels_random(y_count(&g) + 1, 4);
  p.work = kernels_guard((int64_t)ml_conv2d_workspace(&g));
  p.want = ml_alloc((size_t)most * sizeof *p.want);
  p.magnitude = ml_alloc((size_t)most * sizeof *p.magnitude);
  assert_true(p.want && p.magnitude);
  return p;
}

static void destroy(problem *p) {
  ml_free(p->x);
  ml_free(p->w);
  ml_free(p->bias);
  ml_free(p->dy);
  ml_free(p->want);
  ml_free(p->magnitude);
  kernels_unguard(&p->work);
}

static void run(float *out, void *ctx) {
  problem *p = ctx;
  kernels_poison(&p->work);
  switch (p->of) {
  case DX: ml_conv2d_dx(out, p->dy, p->w, &p->g, p->work.x); break;
  case DW: ml_conv2d_dw(out, p->dy, p->x, &p->g, p->work.x); break;
  case DB: ml_conv2d_db(out, p->dy, &p->g, p->work.x); break;
  default:
    ml_conv2d_forward(out, p->x, p->w, p->with_bias ? p->bias : NULL, p->of == FORWARD_RELU, &p->g, p->work.x);
    break;
  }
  kernels_check_guards(&p->work);
}

static void fail_at(const problem *p, int64_t at, double got) {
  const ml_conv2d *g = &p->g;
  fail_msg("%s of [%lld,%lld,%lld,%lld] with %lld kernels %lldx%lld, stride %lld,%lld, padding %lld,%lld,%lld,%lld, "
           "%lld groups, %s: element %lld is %.9g, expected %.9g", result_names[p->of], (long long)g->n,
           (long long)g->in_c, (long long)g->h, (long long)g->w, (long long)g->out_c, (long long)g->kh,
           (long long)g->kw, (long long)g->stride_h, (long long)g->stride_w, (long long)g->pad_top,
           (long long)g->pad_left, (long long)g->pad_bottom, (long long)g->pad_right, (long long)g->groups,
           ml_precision_name(ml_precision_in_use()), (long long)at, got, p->want[at]);
}

static void check(const float *out, void *ctx) {
  const problem *p = ctx;
  const int64_t n = result_count(&p->g, p->of);
  for (int64_t i = 0; i < n; i++) {
    const double got = (double)out[i];
    if (!(fabs(got - p->want[i]) <= p->tolerance * p->magnitude[i])) fail_at(p, i, got);
  }
}

/* All results of a geometry, in the precision in use. */
static void try_geometry(ml_conv2d g, double tolerance) {
  problem p = make(g);
  const bool any_isa = ml_precision_in_use() != ML_PRECISION_F32;
  p.tolerance = tolerance;
  for (int of = 0; of < RESULTS; of++) {
    p.of = (result)of;
    p.with_bias = of == FORWARD_RELU || g.h % 2 == 0;
    find_want(&p);
    kernels_run_everywhere(run, check, &p, result_count(&g, p.of), any_isa);
  }
  destroy(&p);
}

/* ---- geometries ---- */

static int64_t draw(ml_rng *rng, int64_t low, int64_t high) {
  uint32_t word[4];
  ml_rng_next(word, rng);
  return low + (int64_t)(word[0] % (uint32_t)(high - low + 1));
}

static ml_conv2d draw_geometry(ml_rng *rng) {
  ml_conv2d g = {.n = draw(rng, 1, 5), .h = draw(rng, 1, 9), .w = draw(rng, 1, 9), .kh = draw(rng, 1, 5),
                 .kw = draw(rng, 1, 5), .stride_h = draw(rng, 1, 3), .stride_w = draw(rng, 1, 3)};
  const int64_t most = draw(rng, 0, 6); /* paddings may well be larger than the kernel */
  g.pad_top = draw(rng, 0, most);
  g.pad_left = draw(rng, 0, most);
  g.pad_bottom = draw(rng, 0, most);
  g.pad_right = draw(rng, 0, most);
  g.groups = draw(rng, 0, 1) ? 1 : draw(rng, 1, 5);
  g.in_c = g.groups * (draw(rng, 0, 2) ? draw(rng, 1, 4) : 1);
  g.out_c = g.groups * draw(rng, 1, 5);
  return g;
}

static void test_odd_geometries(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(20, ML_STREAM_NOISE);
  for (int i = 0; i < 160; i++) try_geometry(draw_geometry(&rng), 16 * 0x1p-24);
}

static const ml_conv2d networks[] = {
    {2, 1, 28, 28, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1},   {3, 32, 14, 14, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {5, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 0, 0, 1},   {9, 64, 7, 7, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {2, 40, 9, 9, 24, 1, 1, 1, 1, 0, 0, 0, 0, 1},    {4, 20, 9, 9, 24, 1, 1, 2, 2, 0, 0, 0, 0, 1},
    {3, 48, 15, 15, 48, 3, 3, 2, 2, 1, 1, 1, 1, 1},  {3, 24, 13, 11, 48, 3, 5, 1, 1, 1, 2, 1, 2, 24},
    {2, 36, 12, 40, 60, 3, 3, 1, 1, 1, 1, 1, 1, 4},  {7, 16, 5, 5, 120, 5, 5, 1, 1, 0, 0, 0, 0, 1},
    {2, 3, 3, 300, 5, 2, 7, 1, 1, 0, 3, 1, 3, 1},    {1, 2, 1, 900, 2, 1, 4, 1, 3, 0, 0, 0, 0, 2},
    {2, 3, 20, 20, 4, 2, 2, 5, 7, 1, 0, 0, 3, 1},    {6, 40, 6, 6, 33, 2, 2, 1, 1, 0, 0, 1, 1, 1},
};

static void test_networks(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) try_geometry(networks[i], 16 * 0x1p-24);
}

/* More images than a stage holds. */
static void test_stages(void **state) {
  (void)state;
  try_geometry((ml_conv2d){37, 16, 25, 25, 7, 3, 3, 2, 2, 1, 1, 1, 1, 1}, 24 * 0x1p-24);
  try_geometry((ml_conv2d){33, 16, 25, 25, 16, 3, 3, 1, 1, 1, 1, 1, 1, 16}, 24 * 0x1p-24);
}

/* Operands are rounded to 8 bits, or to 16: errors of products grow in proportion. A processor's instruction sets give
 * the same bits. */
static void test_low_precisions(void **state) {
  (void)state;
  static const ml_conv2d larger[] = {
      {1, 40, 6, 6, 66, 3, 3, 1, 1, 1, 1, 1, 1, 1}, {4, 20, 9, 9, 24, 1, 1, 2, 2, 0, 0, 0, 0, 1},
      {2, 12, 5, 7, 20, 3, 3, 1, 2, 1, 1, 1, 1, 4}, {2, 6, 5, 7, 6, 3, 3, 1, 2, 1, 1, 1, 1, 6},
  };
  ml_rng rng = ml_rng_make(21, ML_STREAM_NOISE);
  for (int i = 0; i < 20; i++) {
    const ml_conv2d g = i < 4 ? larger[i] : draw_geometry(&rng);
    ml_precision_use(ML_PRECISION_BF16);
    try_geometry(g, 0x1p-7);
    ml_precision_use(ML_PRECISION_BF16X3);
    try_geometry(g, 0x1p-14);
  }
  ml_precision_use(ML_PRECISION_F32);
}

/* ---- properties ---- */

static double dot(const float *a, const float *b, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
  return s;
}

/* <dy, conv(x)> = <dx(dy), x> = <dw(dy), w>, without a bias. */
static void test_adjoint(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
    problem p = make(networks[i]);
    p.with_bias = false;
    const float *const with[] = {[FORWARD] = p.dy, [DX] = p.x, [DW] = p.w};
    const result each[] = {FORWARD, DX, DW};
    double sum[3];
    for (int j = 0; j < 3; j++) {
      p.of = each[j];
      const int64_t n = result_count(&p.g, p.of);
      kernels_guarded out = kernels_guard(n);
      run(out.x, &p);
      sum[j] = dot(out.x, with[p.of], n);
      kernels_unguard(&out);
    }
    const double size = sqrt((double)(w_count(&p.g) * y_count(&p.g)));
    if (fabs(sum[0] - sum[1]) > 1e-6 * size || fabs(sum[0] - sum[2]) > 1e-6 * size) {
      fail_msg("case %d: <dy, y> is %.9g, <dx, x> %.9g, <dw, w> %.9g", (int)i, sum[0], sum[1], sum[2]);
    }
    destroy(&p);
  }
}

/* y or dx of each image alone, against the batch. */
static void check_images_alone(ml_conv2d g, result of) {
  problem all = make(g);
  all.of = of;
  const int64_t each = result_count(&g, of) / g.n, xs = x_count(&g) / g.n, ys = y_count(&g) / g.n;
  kernels_guarded batch = kernels_guard(g.n * each), one = kernels_guard(each);
  run(batch.x, &all);
  for (int64_t i = 0; i < g.n; i++) {
    problem alone = all;
    alone.g.n = 1;
    alone.x = all.x + i * xs;
    alone.dy = all.dy + i * ys;
    run(one.x, &alone);
    assert_memory_equal(one.x, batch.x + i * each, (size_t)each * sizeof *one.x);
  }
  kernels_unguard(&batch);
  kernels_unguard(&one);
  destroy(&all);
}

static void test_images_do_not_depend_on_each_other(void **state) {
  (void)state;
  for (int precision = 0; precision < ML_PRECISION_COUNT; precision++) {
    ml_precision_use((ml_precision)precision);
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
      check_images_alone(networks[i], FORWARD_RELU);
      check_images_alone(networks[i], DX);
    }
  }
  ml_precision_use(ML_PRECISION_F32);
}

static void check_kind(const float *out, void *ctx) {
  const problem *p = ctx;
  for (int64_t i = 0; i < result_count(&p->g, p->of); i++) {
    const double want = p->want[i];
    if (isnan(want) ? !isnan(out[i]) : (isinf(want) ? (double)out[i] != want : !isfinite(out[i]))) {
      fail_at(p, i, (double)out[i]);
    }
  }
}

static void try_value(ml_conv2d g, float value, bool in_dy) {
  problem p = make(g);
  if (in_dy) {
    p.dy[y_count(&g) * 2 / 3] = value;
  } else {
    p.x[x_count(&g) / 3] = value;
  }
  for (int of = 0; of < RESULTS; of++) {
    p.of = (result)of;
    find_want(&p);
    kernels_run_everywhere(run, check_kind, &p, result_count(&g, p.of), false);
  }
  destroy(&p);
}

/* A NaN or infinity reaches what depends on it and nothing else. */
static void test_nan_and_infinity(void **state) {
  (void)state;
  static const ml_conv2d cases[] = {
      {3, 5, 7, 6, 7, 3, 3, 1, 1, 1, 1, 1, 1, 1}, {3, 4, 7, 6, 8, 3, 2, 2, 2, 1, 0, 0, 1, 4},
      {2, 4, 9, 9, 6, 3, 3, 2, 1, 2, 3, 1, 0, 2}, {2, 3, 6, 6, 4, 1, 1, 2, 2, 0, 0, 0, 0, 1},
  };
  static const float values[] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int v = 0; v < 6; v++) try_value(cases[i], values[v % 3], v >= 3);
  }
}

/* ---- nothing to do ---- */

static void test_sizes(void **state) {
  (void)state;
  const ml_conv2d g = {1, 1, 7, 8, 1, 3, 4, 2, 3, 1, 0, 0, 2, 1};
  assert_int_equal(ml_conv2d_out_h(&g), 3);
  assert_int_equal(ml_conv2d_out_w(&g), 3);
  const ml_conv2d large_kernel = {1, 1, 2, 9, 1, 5, 1, 1, 1, 1, 0, 1, 0, 1};
  assert_int_equal(ml_conv2d_out_h(&large_kernel), 0);
  assert_int_equal(ml_conv2d_out_w(&large_kernel), 9);
}

static void check_zeros(const float *out, void *ctx) {
  const problem *p = ctx;
  for (int64_t i = 0; i < result_count(&p->g, p->of); i++) assert_true(out[i] == 0.0f);
}

/* No images, or a kernel that does not fit: no output, and gradients of 0. */
static void test_nothing_to_do(void **state) {
  (void)state;
  static const ml_conv2d cases[] = {
      {0, 3, 5, 5, 4, 3, 3, 1, 1, 0, 0, 0, 0, 1}, {2, 3, 5, 2, 4, 3, 3, 1, 1, 0, 0, 0, 0, 1},
  };
  for (size_t i = 0; i < 2; i++) {
    problem p = make(cases[i]);
    assert_int_equal(ml_conv2d_workspace(&p.g), 0);
    for (int of = 0; of < RESULTS; of++) {
      p.of = (result)of;
      kernels_run_everywhere(run, check_zeros, &p, result_count(&p.g, p.of), true);
    }
    destroy(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_odd_geometries),
      cmocka_unit_test(test_networks),
      cmocka_unit_test(test_stages),
      cmocka_unit_test(test_low_precisions),
      cmocka_unit_test(test_adjoint),
      cmocka_unit_test(test_images_do_not_depend_on_each_other),
      cmocka_unit_test(test_nan_and_infinity),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_nothing_to_do),
  };
  return cmocka_run_group_tests_name("kernels: convolution", tests, NULL, NULL);
}
