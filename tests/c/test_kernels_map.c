/* Element-wise kernels against the naive ones: odd sizes, special values, in place, poisoned outputs between guards;
 * the same bits on any number of threads and instruction set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

static const int64_t sizes[] = {1, 2, 3, 5, 7, 15, 17, 31, 33, 63, 65, 100, 130, 257, 40000};
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef struct call {
  const float *x, *y, *dy;
  float *want;
  int64_t n;
  int kind;
  float a;
  double relative, absolute; /* tolerances */
  ml_rng rng;
  const char *name;
} call;

static void check_call(const float *got, void *ctx) {
  const call *c = ctx;
  kernels_check_close(got, c->want, c->n, c->relative, c->absolute, c->name);
}

/* Allocates x, y and dy of n floats in [-scale, scale) and room for what is wanted. */
static call make(int64_t n, float scale) {
  call c = {.n = n, .x = kernels_random(n, 1), .y = kernels_random(n, 2), .dy = kernels_random(n, 3)};
  c.want = kernels_random(n, 4);
  ml_naive_scale((float *)c.x, c.x, n, scale);
  return c;
}

static void destroy(call *c) {
  ml_free((void *)c->x);
  ml_free((void *)c->y);
  ml_free((void *)c->dy);
  ml_free(c->want);
}

/* ---- unary ---- */

/* Errors are relative to the result plus, where a formula cancels, absolute for inputs up to `range`. */
static const struct {
  const char *name;
  ml_unary f;
  float range, a;
  double relative, absolute;
} unaries[] = {
    {"neg", ML_NEG, 8, 0, 0, 0},
    {"exp", ML_EXP, 80, 0, 3e-7, 0},
    {"log", ML_LOG, 8, 0, 3e-7, 1e-7},
    {"sqrt", ML_SQRT, 8, 0, 1e-7, 0},
    {"abs", ML_ABS, 8, 0, 0, 0},
    {"relu", ML_RELU, 8, 0, 0, 0},
    {"leaky relu", ML_LEAKY_RELU, 8, 0.02f, 1e-7, 0},
    {"elu", ML_ELU, 8, 1.3f, 1e-6, 0},
    {"gelu", ML_GELU, 8, 0, 3e-7, 5e-7},
    {"silu", ML_SILU, 30, 0, 1e-6, 0},
    {"sigmoid", ML_SIGMOID, 30, 0, 5e-7, 0},
    {"tanh", ML_TANH, 8, 0, 3e-7, 0},
};
enum { UNARIES = sizeof unaries / sizeof *unaries };

static void run_unary(float *out, void *ctx) {
  const call *c = ctx;
  ml_map_unary(out, c->x, c->n, (ml_unary)c->kind, c->a);
}

static void run_unary_in_place(float *out, void *ctx) {
  const call *c = ctx;
  memcpy(out, c->x, (size_t)c->n * sizeof *out);
  ml_map_unary(out, out, c->n, (ml_unary)c->kind, c->a);
}

static call make_unary(int u, int64_t n) {
  call c = make(n, unaries[u].range);
  if (unaries[u].f == ML_LOG || unaries[u].f == ML_SQRT) {
    for (int64_t i = 0; i < n; i++) ((float *)c.x)[i] = fabsf(c.x[i]) + 1e-3f;
  }
  c.kind = (int)unaries[u].f;
  c.a = unaries[u].a;
  c.relative = unaries[u].relative;
  c.absolute = unaries[u].absolute;
  c.name = unaries[u].name;
  return c;
}

static void test_unary(void **state) {
  (void)state;
  assert_int_equal(UNARIES, ML_UNARY_COUNT);
  for (int u = 0; u < UNARIES; u++) {
    for (int s = 0; s < SIZES; s++) {
      call c = make_unary(u, sizes[s]);
      ml_naive_map_unary(c.want, c.x, c.n, unaries[u].f, c.a);
      kernels_run_everywhere(run_unary, check_call, &c, c.n, true);
      kernels_run_everywhere(run_unary_in_place, check_call, &c, c.n, true);
      destroy(&c);
    }
  }
}

static void run_backward(float *out, void *ctx) {
  const call *c = ctx;
  ml_map_unary_backward(out, c->dy, c->x, c->y, c->n, (ml_unary)c->kind, c->a);
}

static void run_backward_in_place(float *out, void *ctx) {
  const call *c = ctx;
  memcpy(out, c->dy, (size_t)c->n * sizeof *out);
  ml_map_unary_backward(out, out, c->x, c->y, c->n, (ml_unary)c->kind, c->a);
}

static void test_unary_backward(void **state) {
  (void)state;
  for (int u = 0; u < UNARIES; u++) {
    for (int s = 0; s < SIZES; s++) {
      call c = make_unary(u, sizes[s]);
      ml_map_unary((float *)c.y, c.x, c.n, unaries[u].f, c.a);
      ml_naive_map_unary_backward(c.want, c.dy, c.x, c.n, unaries[u].f, c.a);
      c.relative = 2e-6;
      c.absolute = 1e-6; /* y's rounding reaches 1 - y y and y (1 - y) */
      kernels_run_everywhere(run_backward, check_call, &c, c.n, true);
      kernels_run_everywhere(run_backward_in_place, check_call, &c, c.n, true);
      destroy(&c);
    }
  }
}

/* Values of f at -inf, -0, 0, inf. NaN gives NaN for all. */
static const struct {
  ml_unary f;
  float want[4];
} specials[] = {
    {ML_NEG, {INFINITY, 0, 0, -INFINITY}},  {ML_EXP, {0, 1, 1, INFINITY}},
    {ML_LOG, {NAN, -INFINITY, -INFINITY, INFINITY}}, {ML_SQRT, {NAN, 0, 0, INFINITY}},
    {ML_ABS, {INFINITY, 0, 0, INFINITY}},   {ML_RELU, {0, 0, 0, INFINITY}},
    {ML_LEAKY_RELU, {-INFINITY, 0, 0, INFINITY}}, {ML_ELU, {-2, 0, 0, INFINITY}},
    {ML_SIGMOID, {0, 0.5f, 0.5f, 1}},       {ML_TANH, {-1, 0, 0, 1}},
};

static void check_exact(const float *got, void *ctx) {
  const call *c = ctx;
  kernels_check_equal(got, c->want, c->n, c->name);
}

static void test_special_values(void **state) {
  (void)state;
  static const float x[] = {-INFINITY, -0.0f, 0.0f, INFINITY};
  enum { COPIES = 9 }; /* so that vectors and remainders both meet them */
  for (size_t s = 0; s < sizeof specials / sizeof *specials; s++) {
    call c = make(4 * COPIES, 1);
    for (int64_t i = 0; i < c.n; i++) {
      ((float *)c.x)[i] = x[i % 4];
      c.want[i] = specials[s].want[i % 4];
    }
    c.kind = (int)specials[s].f;
    c.a = 2.0f;
    c.name = unaries[specials[s].f].name;
    kernels_run_everywhere(run_unary, check_exact, &c, c.n, true);
    destroy(&c);
  }
}

static void test_nan_stays(void **state) {
  (void)state;
  for (int u = 0; u < UNARIES; u++) {
    call c = make_unary(u, 37);
    for (int64_t i = 0; i < c.n; i++) ((float *)c.x)[i] = c.want[i] = NAN;
    kernels_run_everywhere(run_unary, check_exact, &c, c.n, true);
    destroy(&c);
  }
}

/* The slope of relu and abs is 0 at both zeros. */
static void test_slope_at_zero(void **state) {
  (void)state;
  static const ml_unary kinds[] = {ML_RELU, ML_ABS};
  for (int k = 0; k < 2; k++) {
    call c = make(21, 1);
    for (int64_t i = 0; i < c.n; i++) {
      ((float *)c.x)[i] = i % 2 ? 0.0f : -0.0f;
      c.want[i] = 0.0f;
    }
    c.kind = (int)kinds[k];
    c.name = "slope at 0";
    kernels_run_everywhere(run_backward, check_exact, &c, c.n, true);
    destroy(&c);
  }
}

/* ---- binary ---- */

static void run_binary(float *out, void *ctx) {
  const call *c = ctx;
  ml_map_binary(out, c->x, c->y, c->n, (ml_binary)c->kind);
}

static void run_binary_in_place(float *out, void *ctx) {
  const call *c = ctx;
  memcpy(out, c->x, (size_t)c->n * sizeof *out);
  ml_map_binary(out, out, c->y, c->n, (ml_binary)c->kind);
}

/* A double has room for the exact rounding of each of these, so nothing may differ. */
static void test_binary(void **state) {
  (void)state;
  for (int op = 0; op < ML_BINARY_COUNT; op++) {
    for (int s = 0; s < SIZES; s++) {
      call c = make(sizes[s], 3);
      for (int64_t i = 0; i < c.n; i += 3) ((float *)c.x)[i] = c.y[i];
      for (int64_t i = 0; op == ML_POW && i < c.n; i++) ((float *)c.x)[i] = fabsf(c.x[i]);
      c.kind = op;
      c.name = "binary";
      ml_naive_map_binary(c.want, c.x, c.y, c.n, (ml_binary)op);
      kernels_run_everywhere(run_binary, check_exact, &c, c.n, true);
      kernels_run_everywhere(run_binary_in_place, check_exact, &c, c.n, true);
      destroy(&c);
    }
  }
}

static void test_binary_specials(void **state) {
  (void)state;
  static const float values[] = {NAN, -INFINITY, -2.385f, -0.0f, 0.0f, 1.5f, INFINITY};
  for (int op = 0; op < ML_BINARY_COUNT; op++) {
    call c = make(49, 1);
    for (int i = 0; i < 49; i++) {
      ((float *)c.x)[i] = values[i / 7];
      ((float *)c.y)[i] = values[i % 7];
    }
    c.kind = op;
    c.name = "binary of special values";
    ml_naive_map_binary(c.want, c.x, c.y, c.n, (ml_binary)op);
    kernels_run_everywhere(run_binary, check_exact, &c, c.n, true);
    destroy(&c);
  }
}

typedef struct broadcast_call {
  call c;
  int ndim;
  int64_t shape[8], xs[8], ys[8];
} broadcast_call;

static void run_broadcast(float *out, void *ctx) {
  const broadcast_call *b = ctx;
  ml_map_binary_broadcast(out, b->c.x, b->c.y, b->shape, b->xs, b->ys, b->ndim, (ml_binary)b->c.kind);
}

static void check_broadcast(const float *got, void *ctx) { check_exact(got, &((broadcast_call *)ctx)->c); }

static const broadcast_call broadcasts[] = {
    {.ndim = 0},
    {.ndim = 1, .shape = {1}, .xs = {0}, .ys = {0}},
    {.ndim = 1, .shape = {33}, .xs = {1}, .ys = {0}},
    {.ndim = 1, .shape = {40000}, .xs = {0}, .ys = {1}},
    {.ndim = 1, .shape = {17}, .xs = {0}, .ys = {0}},
    {.ndim = 2, .shape = {7, 65}, .xs = {65, 1}, .ys = {0, 1}},
    {.ndim = 2, .shape = {65, 7}, .xs = {7, 1}, .ys = {1, 0}},
    {.ndim = 2, .shape = {31, 15}, .xs = {1, 0}, .ys = {0, 1}},
    {.ndim = 2, .shape = {200, 190}, .xs = {190, 1}, .ys = {0, 1}},
    {.ndim = 2, .shape = {13, 9}, .xs = {9, 1}, .ys = {1, 13}},
    {.ndim = 3, .shape = {3, 5, 7}, .xs = {35, 7, 1}, .ys = {7, 0, 1}},
    {.ndim = 3, .shape = {3, 5, 7}, .xs = {0, 7, 1}, .ys = {1, 0, 0}},
    {.ndim = 4, .shape = {2, 3, 1, 5}, .xs = {15, 5, 0, 1}, .ys = {0, 5, 5, 1}},
    {.ndim = 4, .shape = {4, 3, 50, 60}, .xs = {9000, 3000, 60, 1}, .ys = {0, 1, 0, 0}},
    {.ndim = 8, .shape = {2, 2, 2, 2, 2, 2, 2, 2}, .xs = {1, 0, 2, 0, 4, 0, 8, 0}, .ys = {0, 1, 0, 2, 0, 4, 0, 8}},
    {.ndim = 3, .shape = {3, 0, 7}, .xs = {0, 7, 1}, .ys = {0, 7, 1}},
};

static void test_broadcast(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof broadcasts / sizeof *broadcasts; i++) {
    for (int op = 0; op < ML_BINARY_COUNT; op++) {
      broadcast_call b = broadcasts[i];
      int64_t n = 1;
      for (int d = 0; d < b.ndim; d++) n *= b.shape[d];
      b.c = make(n > 0 ? n : 1, 2);
      b.c.n = n;
      b.c.kind = op;
      b.c.name = "broadcast";
      ml_naive_map_binary_broadcast(b.c.want, b.c.x, b.c.y, b.shape, b.xs, b.ys, b.ndim, (ml_binary)op);
      kernels_run_everywhere(run_broadcast, check_broadcast, &b, n, true);
      destroy(&b.c);
    }
  }
}

/* ---- the rest ---- */

static void run_axpy(float *out, void *ctx) {
  const call *c = ctx;
  memcpy(out, c->y, (size_t)c->n * sizeof *out);
  ml_axpy(out, c->x, c->n, c->a);
}

static void run_scale(float *out, void *ctx) { ml_scale(out, ((call *)ctx)->x, ((call *)ctx)->n, ((call *)ctx)->a); }
static void run_fill(float *out, void *ctx) { ml_fill(out, ((call *)ctx)->n, ((call *)ctx)->a); }
static void run_copy(float *out, void *ctx) { ml_copy(out, ((call *)ctx)->x, ((call *)ctx)->n); }

static void test_linear(void **state) {
  (void)state;
  static const int64_t lengths[] = {1, 3, 17, 63, 257, 40000, 70001};
  for (int s = 0; s < 7; s++) {
    call c = make(lengths[s], 1);
    c.a = -0.7f;
    memcpy(c.want, c.y, (size_t)c.n * sizeof *c.want);
    ml_naive_axpy(c.want, c.x, c.n, c.a);
    c.absolute = 2e-7;
    c.name = "axpy";
    kernels_run_everywhere(run_axpy, check_call, &c, c.n, true);
    c.name = "scale";
    ml_naive_scale(c.want, c.x, c.n, c.a);
    kernels_run_everywhere(run_scale, check_exact, &c, c.n, true);
    c.name = "fill";
    ml_naive_fill(c.want, c.n, c.a);
    kernels_run_everywhere(run_fill, check_exact, &c, c.n, true);
    c.name = "copy";
    ml_naive_copy(c.want, c.x, c.n);
    kernels_run_everywhere(run_copy, check_exact, &c, c.n, true);
    destroy(&c);
  }
}

static void run_dropout(float *out, void *ctx) {
  const call *c = ctx;
  ml_dropout(out, c->x, c->n, c->a, c->rng);
}

static void test_dropout(void **state) {
  (void)state;
  static const float ps[] = {0.0f, 0.1f, 0.5f, 0.9f};
  for (int i = 0; i < 4; i++) {
    for (int s = 0; s < SIZES; s++) {
      call c = make(sizes[s], 1);
      c.a = ps[i];
      c.name = "dropout";
      c.rng = ml_rng_make(77, ML_STREAM_DROPOUT);
      c.rng.epoch = 3;
      c.rng.step = 1000 + (uint32_t)s;
      c.rng.block = 0xfffffff0u; /* wraps around */
      ml_naive_dropout(c.want, c.x, c.n, c.a, c.rng);
      kernels_run_everywhere(run_dropout, check_exact, &c, c.n, true);
      destroy(&c);
    }
  }
}

static void test_dropout_keeps_its_share(void **state) {
  (void)state;
  call c = make(40000, 1);
  ml_fill((float *)c.x, c.n, 1.0f);
  ml_dropout(c.want, c.x, c.n, 0.2f, ml_rng_make(5, ML_STREAM_DROPOUT));
  double kept = 0;
  for (int64_t i = 0; i < c.n; i++) kept += c.want[i] != 0.0f;
  assert_true(fabs(kept / 40000.0 - 0.8) < 0.008); /* four standard deviations */
  destroy(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unary),
      cmocka_unit_test(test_unary_backward),
      cmocka_unit_test(test_special_values),
      cmocka_unit_test(test_nan_stays),
      cmocka_unit_test(test_slope_at_zero),
      cmocka_unit_test(test_binary),
      cmocka_unit_test(test_binary_specials),
      cmocka_unit_test(test_broadcast),
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_dropout),
      cmocka_unit_test(test_dropout_keeps_its_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
