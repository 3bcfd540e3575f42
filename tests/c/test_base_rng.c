/* Philox against its published answers; the distributions made of it against their moments, with bounds of about five
 * standard errors for the sample sizes here; permutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static void test_known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], expected[4];
  } cases[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t out[4];
    ml_philox(out, cases[i].counter, cases[i].key);
    assert_memory_equal(out, cases[i].expected, sizeof out);
  }
}

static void test_counter_and_key_are_in_order(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(7, ML_STREAM_DROPOUT);
  assert_true(rng.epoch == 0 && rng.step == 0 && rng.sample == 0 && rng.block == 0);
  rng.epoch = 1, rng.step = 2, rng.sample = 3, rng.block = 4;
  uint32_t got[4], expected[4];
  ml_rng_next(got, &rng);
  ml_philox(expected, (const uint32_t[4]){1, 2, 3, 4}, (const uint32_t[2]){7, ML_STREAM_DROPOUT});
  assert_memory_equal(got, expected, sizeof got);
  assert_int_equal(rng.block, 5);
}

/* Every member of an ml_rng changes the numbers. */
static void test_streams_differ(void **state) {
  (void)state;
  uint32_t first[6][4];
  for (int i = 0; i < 6; i++) {
    ml_rng rng = ml_rng_make(i == 1 ? 2 : 1, i == 2 ? ML_STREAM_INIT : ML_STREAM_SCRIPT);
    rng.epoch = i == 3, rng.step = i == 4, rng.sample = i == 5;
    ml_rng_next(first[i], &rng);
    for (int j = 0; j < i; j++) assert_memory_not_equal(first[i], first[j], sizeof first[i]);
  }
}

static void test_unit(void **state) {
  (void)state;
  assert_true(ml_rng_unit(0) == 0.0f);
  assert_true(ml_rng_unit(255) == 0.0f);
  assert_true(ml_rng_unit(256) == 0x1p-24f);
  assert_true(ml_rng_unit(0x80000000u) == 0.5f);
  assert_true(ml_rng_unit(~0u) == 1.0f - 0x1p-24f);
}

enum { N = 400000 };

typedef struct moments {
  double mean, variance, skewness, kurtosis, low, high, lag1;
} moments;

static moments moments_of(const float *x, size_t n) {
  moments m = {.low = x[0], .high = x[0]};
  for (size_t i = 0; i < n; i++) m.mean += x[i] / (double)n;
  for (size_t i = 0; i < n; i++) {
    double d = x[i] - m.mean;
    m.variance += d * d / (double)n;
    m.skewness += d * d * d / (double)n;
    m.kurtosis += d * d * d * d / (double)n;
    if (i > 0) m.lag1 += d * (x[i - 1] - m.mean) / (double)n;
    m.low = fmin(m.low, x[i]);
    m.high = fmax(m.high, x[i]);
  }
  m.skewness /= pow(m.variance, 1.5);
  m.kurtosis /= m.variance * m.variance;
  m.lag1 /= m.variance;
  return m;
}

static void test_uniform(void **state) {
  (void)state;
  float *x = malloc(N * sizeof *x);
  ml_rng rng = ml_rng_make(42, ML_STREAM_SCRIPT);
  ml_rng_uniform(x, N, &rng, 0.0f, 1.0f);
  moments m = moments_of(x, N);
  assert_true(m.low >= 0.0 && m.low < 1e-4 && m.high < 1.0 && m.high > 1.0 - 1e-4);
  assert_true(fabs(m.mean - 0.5) < 0.0023);
  assert_true(fabs(m.variance - 1.0 / 12.0) < 0.0006);
  assert_true(fabs(m.kurtosis - 1.8) < 0.01);
  assert_true(fabs(m.lag1) < 0.008);

  int counts[64] = {0};
  double chi2 = 0.0;
  for (size_t i = 0; i < N; i++) counts[(int)(x[i] * 64.0f)]++;
  for (int i = 0; i < 64; i++) chi2 += (counts[i] - N / 64.0) * (counts[i] - N / 64.0) / (N / 64.0);
  assert_true(chi2 > 25.0 && chi2 < 125.0); /* 63 degrees of freedom: mean 63, standard deviation 11 */
  free(x);
}

static void test_uniform_keeps_below_high(void **state) {
  (void)state;
  static const float ranges[][2] = {
    {1.0f, 1.0000002f}, {-1.0000001f, -1.0f}, {1e6f, 1e6f + 0.125f}, {-0x1p-149f, 0.0f}};
  for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
    float x[1000];
    ml_rng rng = ml_rng_make(3, ML_STREAM_SCRIPT);
    ml_rng_uniform(x, 1000, &rng, ranges[r][0], ranges[r][1]);
    for (int i = 0; i < 1000; i++) assert_true(x[i] >= ranges[r][0] && x[i] < ranges[r][1]);
  }
  float same[5];
  ml_rng rng = ml_rng_make(3, ML_STREAM_SCRIPT);
  ml_rng_uniform(same, 5, &rng, 2.5f, 2.5f);
  for (int i = 0; i < 5; i++) assert_true(same[i] == 2.5f);
}

static void test_normal(void **state) {
  (void)state;
  float *x = malloc(N * sizeof *x);
  ml_rng rng = ml_rng_make(42, ML_STREAM_INIT);
  ml_rng_normal(x, N, &rng, 0.0f, 1.0f);
  moments m = moments_of(x, N);
  assert_true(fabs(m.mean) < 0.008);
  assert_true(fabs(m.variance - 1.0) < 0.0112);
  assert_true(fabs(m.skewness) < 0.02);
  assert_true(fabs(m.kurtosis - 3.0) < 0.04);
  assert_true(fabs(m.lag1) < 0.008);
  assert_true(m.high > 4.0 && m.high < 6.8 && m.low < -4.0 && m.low > -6.8);
  static const double edges[] = {-2.0, -1.0, 0.0, 0.5, 1.5, 2.5};
  for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) { /* the distribution function at some points */
    double below = 0.0, expected = 0.5 * erfc(-edges[e] / sqrt(2.0));
    for (size_t i = 0; i < N; i++) below += x[i] < edges[e];
    assert_true(fabs(below / N - expected) < 5.0 * sqrt(expected * (1.0 - expected) / N));
  }
  ml_rng again = ml_rng_make(42, ML_STREAM_INIT);
  float y[100];
  ml_rng_normal(y, 100, &again, -3.0f, 0.25f);
  for (int i = 0; i < 100; i++) assert_true(y[i] == -3.0f + 0.25f * x[i]);
  free(x);
}

/* Filling in two calls cut at a multiple of four, or one call too many numbers, gives the same numbers. */
static void test_fills_are_made_of_blocks(void **state) {
  (void)state;
  float whole[103], parts[103], longer[140];
  for (int normal = 0; normal < 2; normal++) {
    ml_rng a = ml_rng_make(9, ML_STREAM_NOISE), b = a, c = a;
    void (*fill)(float *, size_t, ml_rng *, float, float) = normal ? ml_rng_normal : ml_rng_uniform;
    fill(whole, 103, &a, 1.0f, 2.0f);
    fill(parts, 40, &b, 1.0f, 2.0f);
    fill(parts + 40, 63, &b, 1.0f, 2.0f);
    fill(longer, 140, &c, 1.0f, 2.0f);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_memory_equal(whole, longer, sizeof whole);
    assert_int_equal(a.block, 26);
    assert_int_equal(b.block, 26);
    assert_int_equal(c.block, 35);
    fill(whole, 0, &a, 1.0f, 2.0f);
    assert_int_equal(a.block, 26);
  }
}

static void test_permutation_is_one(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 2, 3, 10, 1000, 60000};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint32_t n = sizes[s], *p = malloc((n + 1) * sizeof *p);
    bool *seen = calloc(n + 1, sizeof *seen);
    ml_rng rng = ml_rng_make(5, ML_STREAM_SHUFFLE);
    p[n] = 12345;
    ml_rng_permutation(p, n, &rng);
    assert_int_equal(p[n], 12345);
    for (uint32_t i = 0; i < n; i++) {
      assert_true(p[i] < n && !seen[p[i]]);
      seen[p[i]] = true;
    }
    free(p);
    free(seen);
  }
}

/* All 24 orders of four, drawn 48000 times: 23 degrees of freedom, chi-square below 60 but for one in 40000. */
static void test_permutation_is_uniform(void **state) {
  (void)state;
  int counts[256] = {0};
  for (uint32_t i = 0; i < 48000; i++) {
    uint32_t p[4];
    ml_rng rng = ml_rng_make(11, ML_STREAM_SHUFFLE);
    rng.epoch = i;
    ml_rng_permutation(p, 4, &rng);
    counts[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
  }
  double chi2 = 0.0;
  int orders = 0;
  for (int i = 0; i < 256; i++) {
    if (counts[i] == 0) continue;
    orders++;
    chi2 += (counts[i] - 2000.0) * (counts[i] - 2000.0) / 2000.0;
  }
  assert_int_equal(orders, 24);
  assert_true(chi2 > 6.0 && chi2 < 60.0);
}

static void test_permutations_of_epochs_differ(void **state) {
  (void)state;
  uint32_t a[100], b[100];
  ml_rng rng = ml_rng_make(11, ML_STREAM_SHUFFLE);
  ml_rng_permutation(a, 100, &rng);
  rng = ml_rng_make(11, ML_STREAM_SHUFFLE);
  rng.epoch = 1;
  ml_rng_permutation(b, 100, &rng);
  assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_known_answers),
    cmocka_unit_test(test_counter_and_key_are_in_order),
    cmocka_unit_test(test_streams_differ),
    cmocka_unit_test(test_unit),
    cmocka_unit_test(test_uniform),
    cmocka_unit_test(test_uniform_keeps_below_high),
    cmocka_unit_test(test_normal),
    cmocka_unit_test(test_fills_are_made_of_blocks),
    cmocka_unit_test(test_permutation_is_one),
    cmocka_unit_test(test_permutation_is_uniform),
    cmocka_unit_test(test_permutations_of_epochs_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
