/* Clipping, max-norm and running averages against loops in double, on odd sizes; the same bits on any number of threads
 * and on every instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "optim/weights.h"

enum { MOST = 40001 };
static const int64_t sizes[] = {0, 1, 3, 16, 33, 255, 16384, MOST};

static float x[MOST], y[MOST], found[MOST], first[MOST];

static void fill(float *to, uint32_t seed) {
  for (uint32_t i = 0; i < MOST; i++) {
    uint32_t bits = (i + 1) * 2654435761u ^ seed * 2246822519u;
    bits ^= bits >> 15;
    to[i] = (float)(bits * 3266489917u >> 8) / 16777216.0f * 4.0f - 2.0f;
  }
}

static void close_to(double got, double want) {
  if (fabs(got - want) > 1e-6 * (1 + fabs(want))) fail_msg("got %.9g, expected %.9g", got, want);
}

static void run_clamp(void) { ml_clamp(found, MOST, 0.75f); }
static void run_limit(void) { ml_limit_rows(found, 131, 301, 19.5); }
static void run_average(void) { ml_average(found, y, MOST, 0.385f); }

static void test_clamp(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    memcpy(found, x, sizeof found);
    ml_clamp(found, sizes[s], 0.75f);
    for (int64_t i = 0; i < MOST; i++)
      assert_true(found[i] == (i < sizes[s] ? fminf(fmaxf(x[i], -0.75f), 0.75f) : x[i]));
  }
  float special[] = {NAN, INFINITY, -INFINITY};
  ml_clamp(special, 3, 2.0f);
  assert_true(isnan(special[0]) && special[1] == 2.0f && special[2] == -2.0f);
}

static void check_limit(int64_t rows, int64_t cols, double limit) {
  memcpy(found, x, sizeof found);
  ml_limit_rows(found, rows, cols, limit);
  for (int64_t r = 0; r < rows; r++) {
    double squares = 0;
    for (int64_t j = 0; j < cols; j++) squares += (double)x[r * cols + j] * x[r * cols + j];
    const double factor = sqrt(squares) > limit ? limit / sqrt(squares) : 1.0;
    for (int64_t j = 0; j < cols; j++) close_to(found[r * cols + j], factor * x[r * cols + j]);
  }
  for (int64_t i = rows * cols; i < MOST; i++) assert_true(found[i] == x[i]);
}

static void test_limit_rows(void **state) {
  (void)state;
  check_limit(0, 5, 1.0);
  check_limit(7, 0, 1.0);
  check_limit(1, MOST, 3.0);
  check_limit(131, 301, 19.5); /* some rows are longer, some are not */
  check_limit(40000, 1, 0.5);
}

static void test_average(void **state) {
  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    memcpy(found, x, sizeof found);
    ml_average(found, y, sizes[s], 0.385f);
    for (int64_t i = 0; i < MOST; i++) close_to(found[i], i < sizes[s] ? x[i] + 0.385 * ((double)y[i] - x[i]) : x[i]);
  }
}

static void test_same_bits(void **state) {
  (void)state;
  void (*const runs[])(void) = {run_clamp, run_limit, run_average};
  for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) {
    for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
      assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
      for (int threads = 1; threads <= 3; threads++) {
        ml_error err;
        assert_int_equal(ml_pool_start(threads, &err), ML_OK);
        memcpy(found, x, sizeof found);
        runs[k]();
        if (isa == 0 && threads == 1) memcpy(first, found, sizeof first);
        assert_memory_equal(found, first, sizeof first);
      }
    }
  }
  ml_pool_stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clamp),
      cmocka_unit_test(test_limit_rows),
      cmocka_unit_test(test_average),
      cmocka_unit_test(test_same_bits),
  };
  fill(x, 1);
  fill(y, 2);
  return cmocka_run_group_tests_name("optim_weights", tests, NULL, NULL);
}
