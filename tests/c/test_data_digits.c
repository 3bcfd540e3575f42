/* The synthetic digits: the same bits for ever (a golden hash), for any number of threads and any length of the set;
 * all ten digits about equally often; ink where MNIST has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/pool.h"
#include "data/digits_skeleton.h"
#include "data_fixtures.h"

#define GOLDEN 0x203492b420f771acu /* ml_dataset_hash of the first 100 digits of seed 1 */

static ml_dataset *make(int64_t n, uint32_t seed) {
  ml_error err = {0};
  ml_dataset *d = ml_make_digits(n, seed, &err);
  if (!d) fail_msg("%s", err.message);
  return d;
}

static void test_golden(void **state) {
  (void)state;
  ml_dataset *d = make(100, 1);
  uint64_t hash = ml_dataset_hash(d);
  if (hash != GOLDEN) fail_msg("hash %016llx", (unsigned long long)hash);
  ml_dataset_unref(d);
}

static void test_any_threads_any_length(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *whole = make(300, 5);
  for (int threads = 1; threads <= 4; threads++) {
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    for (int64_t n = 1; n <= 300; n += 99) {
      ml_dataset *part = make(n, 5);
      assert_int_equal(part->count, n);
      assert_memory_equal(part->images->u8, whole->images->u8, (size_t)n * 784);
      assert_memory_equal(part->labels->i32, whole->labels->i32, (size_t)n * 4);
      ml_dataset_unref(part);
    }
  }
  assert_int_equal(ml_pool_start(2, &err), ML_OK);
  ml_dataset_unref(whole);
}

static void test_seeds_differ(void **state) {
  (void)state;
  ml_dataset *a = make(50, 1), *b = make(50, 2);
  assert_true(ml_dataset_hash(a) != ml_dataset_hash(b));
  assert_memory_not_equal(a->labels->i32, b->labels->i32, 50 * 4);
  ml_dataset_unref(a);
  ml_dataset_unref(b);
}

/* 400 expected of each; 60 is more than three standard deviations. */
static void test_labels_are_uniform(void **state) {
  (void)state;
  ml_dataset *d = make(4000, 3);
  int counts[10] = {0};
  assert_int_equal(d->classes, 10);
  for (int i = 0; i < 4000; i++) counts[d->labels->i32[i]]++;
  for (int k = 0; k < 10; k++) assert_true(counts[k] > 340 && counts[k] < 460);
  ml_dataset_unref(d);
}

/* MNIST: mean 0.131, deviation 0.308, ink in 19% of the pixels, centred, the rim of two pixels nearly empty. */
static void test_looks_like_mnist(void **state) {
  (void)state;
  enum { N = 2000 };
  ml_dataset *d = make(N, 4);
  double mean, std, rim = 0;
  ml_dataset_moments(d, &mean, &std);
  assert_true(mean > 0.10 && mean < 0.15);
  assert_true(std > 0.26 && std < 0.33);
  for (int i = 0; i < N; i++) {
    const uint8_t *image = d->images->u8 + i * 784;
    double mass = 0, x = 0, y = 0;
    int greatest = 0;
    for (int p = 0; p < 784; p++) {
      mass += image[p];
      x += image[p] * (p % 28 + 0.5);
      y += image[p] * (p / 28 + 0.5);
      greatest = image[p] > greatest ? image[p] : greatest;
      if (p % 28 < 2 || p % 28 >= 26 || p / 28 < 2 || p / 28 >= 26) rim += image[p];
    }
    assert_true(mass > 255 * 20 && mass < 255 * 400);
    assert_true(greatest > 150);
    assert_true(x / mass > 11.5 && x / mass < 16.5 && y / mass > 11.5 && y / mass < 16.5);
  }
  assert_true(rim / N < 255);
  ml_dataset_unref(d);
}

static void test_skeletons_are_well_formed(void **state) {
  (void)state;
  for (int digit = 0; digit < 10; digit++) {
    assert_true(ml_digit_skeletons[digit].count >= 3);
    for (int s = 0; s < ml_digit_skeletons[digit].count; s++) {
      const ml_digit_point *p = ml_digit_skeletons[digit].styles[s].points;
      int n = 0;
      assert_int_equal(p[0].pen, ML_PEN_DOWN);
      for (; p[n].pen != ML_PEN_END; n++) {
        assert_true(n < ML_DIGIT_MAX_POINTS && p[n].pen <= ML_PEN_CORNER && p[n].x <= 100 && p[n].y <= 100);
        /* no stroke of a single point */
        if (p[n].pen == ML_PEN_DOWN) assert_true(p[n + 1].pen == ML_PEN_CURVE || p[n + 1].pen == ML_PEN_CORNER);
      }
      assert_true(n >= 3);
    }
  }
}

static void test_bad_numbers(void **state) {
  (void)state;
  static const int64_t bad[] = {0, -1, INT64_MIN, (int64_t)INT32_MAX + 1, INT64_MAX};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_error err = {0};
    assert_null(ml_make_digits(bad[i], 1, &err));
    data_check_error(&err, ML_MISUSE, NULL, "digits, expected 1 to 2147483647");
  }
}

static void *make_some(void *ctx, ml_error *err) {
  (void)ctx;
  return ml_make_digits(5, 1, err);
}

static void test_every_failing_allocation(void **state) {
  (void)state;
  data_fail_allocations(make_some, data_drop_dataset, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_any_threads_any_length),
      cmocka_unit_test(test_seeds_differ),
      cmocka_unit_test(test_labels_are_uniform),
      cmocka_unit_test(test_looks_like_mnist),
      cmocka_unit_test(test_skeletons_are_well_formed),
      cmocka_unit_test(test_bad_numbers),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
