/* The float functions against double libm over sweeps of bit patterns, and their special values. Errors are in units in
 * the last place of the exact result; the bounds are those that fmath.h states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "base/fmath.h"

typedef float (*float_fn)(float x);
typedef double (*double_fn)(double x);

static float f_exp(float x) { return ml_expf(x); }
static float f_log(float x) { return ml_logf(x); }
static float f_tanh(float x) { return ml_tanhf(x); }
static float f_sigmoid(float x) { return ml_sigmoidf(x); }
static float f_erf(float x) { return ml_erff(x); }
static float f_sin(float x) { return ml_sinf2pi(x); }
static float f_cos(float x) { return ml_cosf2pi(x); }

static double d_sigmoid(double x) { return x < 0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x)); }

/* sin(2 pi x): the distance to the nearest zero is exact in double, so the result is good near zeros too. */
static double d_sin(double x) {
  double halves = rint(2.0 * x), r = x - 0.5 * halves;
  double y = sin(2.0 * 3.14159265358979323846 * r);
  return fmod(halves, 2.0) == 0.0 ? y : -y;
}

static double d_cos(double x) { return d_sin(x - rint(x) + 0.25); }

/* The distance of floats around |exact|, at least that of the subnormal ones. */
static double ulp_of(double exact) {
  int exponent;
  frexp(exact, &exponent);
  return ldexp(1.0, exponent - 24 > -149 ? exponent - 24 : -149);
}

static double error_at(float_fn f, double_fn d, float x) {
  double exact = d(x), y = f(x);
  if (fabs(exact) >= 0x1.ffffffp127) return isinf(y) && (y > 0) == (exact > 0) ? 0.0 : INFINITY;
  return fabs(y - exact) / ulp_of(exact);
}

/* The largest error over [low, high], stepping through all floats of both signs by an odd stride. */
static double largest_error(float_fn f, double_fn d, float low, float high, uint32_t stride) {
  double largest = 0.0;
  for (uint64_t bits = 0; bits < 0x7f800000u; bits += stride)
    for (int negative = 0; negative < 2; negative++) {
      float x = ml_bits_to_f32((uint32_t)bits | (negative ? 0x80000000u : 0u));
      if (x < low || x > high) continue;
      double error = error_at(f, d, x);
      if (!(error <= largest)) largest = error; /* NaN counts as an error */
    }
  return largest;
}

static const struct function {
  const char *name;
  float_fn f;
  double_fn d;
  float low, high; /* the swept range */
  double ulps;
} functions[] = {
  {"exp", f_exp, exp, -110.0f, 100.0f, 1.1},      {"log", f_log, log, 0x1p-149f, 3e38f, 0.9},
  {"tanh", f_tanh, tanh, -20.0f, 20.0f, 1.4},     {"sigmoid", f_sigmoid, d_sigmoid, -110.0f, 110.0f, 2.4},
  {"erf", f_erf, erf, -6.0f, 6.0f, 1.5},          {"sin", f_sin, d_sin, -8.0f, 8.0f, 1.6},
  {"cos", f_cos, d_cos, -8.0f, 8.0f, 1.6},
};

static void test_errors_over_sweeps(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    const struct function *t = &functions[i];
    double error = largest_error(t->f, t->d, t->low, t->high, 4099);
    if (!(error <= t->ulps)) fail_msg("%s: expected at most %g ulp, got %g", t->name, t->ulps, error);
  }
}

/* Every float near where a formula changes to another. */
static void test_errors_around_seams(void **state) {
  (void)state;
  static const struct {
    size_t function;
    float at;
  } seams[] = {{0, 0.34657359f}, {0, -0.34657359f}, {0, -87.33655f}, {0, -103.97f}, {0, 88.722f}, {1, 0.70710678f},
               {1, 1.0f},        {1, 1.4142135f},   {1, 0x1p-126f},  {2, 0.625f},   {2, 9.01f},   {3, -87.4f},
               {3, 17.3f},       {4, 0.875f},       {4, 3.9f},       {5, 0.125f},   {5, 0.5f},    {6, 0.25f}};
  for (size_t i = 0; i < sizeof seams / sizeof *seams; i++) {
    const struct function *t = &functions[seams[i].function];
    float x = seams[i].at;
    for (int n = 0; n < 2000; n++) x = nextafterf(x, -INFINITY);
    for (int n = 0; n < 4000; n++, x = nextafterf(x, INFINITY)) {
      double error = error_at(t->f, t->d, x);
      if (!(error <= t->ulps)) fail_msg("%s(%a): expected at most %g ulp, got %g", t->name, (double)x, t->ulps, error);
    }
  }
}

static bool same(float a, float b) {
  return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void test_special_values(void **state) {
  (void)state;
  static const struct {
    const char *name;
    float_fn f;
    float x, expected;
  } cases[] = {
    {"exp", f_exp, 0.0f, 1.0f},           {"exp", f_exp, -0.0f, 1.0f},
    {"exp", f_exp, INFINITY, INFINITY},   {"exp", f_exp, -INFINITY, 0.0f},
    {"exp", f_exp, NAN, NAN},             {"exp", f_exp, 3e38f, INFINITY},
    {"exp", f_exp, -3e38f, 0.0f},         {"exp", f_exp, -103.9f, 0x1p-149f},
    {"exp", f_exp, 88.73f, INFINITY},     {"exp", f_exp, 0x1p-149f, 1.0f},
    {"log", f_log, 0.0f, -INFINITY},      {"log", f_log, -0.0f, -INFINITY},
    {"log", f_log, INFINITY, INFINITY},   {"log", f_log, -INFINITY, NAN},
    {"log", f_log, NAN, NAN},             {"log", f_log, -1.0f, NAN},
    {"log", f_log, -0x1p-149f, NAN},      {"log", f_log, 1.0f, 0.0f},
    {"tanh", f_tanh, 0.0f, 0.0f},         {"tanh", f_tanh, -0.0f, -0.0f},
    {"tanh", f_tanh, INFINITY, 1.0f},     {"tanh", f_tanh, -INFINITY, -1.0f},
    {"tanh", f_tanh, NAN, NAN},           {"tanh", f_tanh, 3e38f, 1.0f},
    {"tanh", f_tanh, -0x1p-149f, -0x1p-149f},
    {"sigmoid", f_sigmoid, 0.0f, 0.5f},   {"sigmoid", f_sigmoid, -0.0f, 0.5f},
    {"sigmoid", f_sigmoid, INFINITY, 1},  {"sigmoid", f_sigmoid, -INFINITY, 0.0f},
    {"sigmoid", f_sigmoid, NAN, NAN},     {"sigmoid", f_sigmoid, -3e38f, 0.0f},
    {"erf", f_erf, 0.0f, 0.0f},           {"erf", f_erf, -0.0f, -0.0f},
    {"erf", f_erf, INFINITY, 1.0f},       {"erf", f_erf, -INFINITY, -1.0f},
    {"erf", f_erf, NAN, NAN},             {"erf", f_erf, -3e38f, -1.0f},
    {"sin", f_sin, 0.0f, 0.0f},           {"sin", f_sin, 0.25f, 1.0f},
    {"sin", f_sin, 0.75f, -1.0f},         {"sin", f_sin, INFINITY, NAN},
    {"sin", f_sin, NAN, NAN},             {"sin", f_sin, 3e38f, 0.0f},
    {"cos", f_cos, 0.0f, 1.0f},           {"cos", f_cos, 0.5f, -1.0f},
    {"cos", f_cos, -INFINITY, NAN},       {"cos", f_cos, NAN, NAN},
    {"cos", f_cos, 3e38f, 1.0f},          {"cos", f_cos, 1048575.0f, 1.0f},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    float y = cases[i].f(cases[i].x);
    if (!same(y, cases[i].expected))
      fail_msg("%s(%g): expected %g, got %g", cases[i].name, (double)cases[i].x, (double)cases[i].expected, (double)y);
  }
  assert_true(ml_cosf2pi(0.25f) == 0.0f && ml_sinf2pi(0.5f) == 0.0f);
}

/* Odd functions are odd and sigmoids never leave [0, 1], to the bit. */
static void test_symmetry_and_range(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += 65537) {
    float x = ml_bits_to_f32(bits);
    assert_true(same(ml_tanhf(-x), -ml_tanhf(x)));
    assert_true(same(ml_erff(-x), -ml_erff(x)));
    assert_true(ml_tanhf(x) <= 1.0f && ml_erff(x) <= 1.0f);
    assert_true(ml_sigmoidf(x) <= 1.0f && ml_sigmoidf(-x) >= 0.0f && ml_sigmoidf(-x) <= 0.5f);
  }
}

/* A loop that the compiler vectorises gives the bits of a single call: tails and bodies agree. */
static void test_vectors_agree_with_single_calls(void **state) {
  (void)state;
  enum { N = 1003 };
  static float x[N], y[N];
  for (int i = 0; i < N; i++) x[i] = (float)(i - 500) * 0.21f;
  for (int i = 0; i < N; i++) y[i] = ml_tanhf(x[i]) + ml_expf(x[i]);
  for (int i = 0; i < N; i++) {
    volatile float one = x[i];
    assert_true(y[i] == f_tanh(one) + f_exp(one));
  }
}

static void test_pow(void **state) {
  (void)state;
  assert_true(ml_powf(2.0f, 10.0f) == 1024.0f);
  assert_true(ml_powf(-3.0f, 3.0f) == -27.0f);
  assert_true(ml_powf(-3.0f, 2.0f) == 9.0f);
  assert_true(ml_powf(4.0f, -0.5f) == 0.5f);
  assert_true(ml_powf(0.0f, 0.0f) == 1.0f);
  assert_true(isnan(ml_powf(-2.0f, 0.5f)));
  assert_true(isinf(ml_powf(1e30f, 2.0f)));
  assert_true(isinf(ml_powf(0.0f, -1.0f)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_errors_over_sweeps),
    cmocka_unit_test(test_errors_around_seams),
    cmocka_unit_test(test_special_values),
    cmocka_unit_test(test_symmetry_and_range),
    cmocka_unit_test(test_vectors_agree_with_single_calls),
    cmocka_unit_test(test_pow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
