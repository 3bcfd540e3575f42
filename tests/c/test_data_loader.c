/* The loader: every sample once an epoch, the values by their formula, the same batches from any starting point and for
 * any number of threads, batches that are kept stay as they were, and no memory asked for in the steady state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/loader.h"
#include "data_fixtures.h"

#define N      23
#define PIXELS 6

static ml_loader *new_loader(ml_dataset *d, int64_t batch, bool shuffle, bool drop_last) {
  ml_error err = {0};
  ml_loader_options o = {.batch = batch, .shuffle = shuffle, .drop_last = drop_last, .mean = 0.25, .std = 0.5,
                         .seed = 9};
  ml_loader *l = ml_loader_new(d, &o, &err);
  if (!l) fail_msg("%s", err.message);
  return l;
}

static void next(ml_loader *l, ml_tensor **x, ml_tensor **y) {
  ml_error err = {0};
  if (ml_loader_next(l, x, y, &err) != ML_OK) fail_msg("%s", err.message);
}

static void start(ml_loader *l, uint32_t epoch, int64_t step) {
  ml_error err = {0};
  if (ml_loader_start(l, epoch, step, &err) != ML_OK) fail_msg("%s", err.message);
}

static void drop(ml_tensor *x, ml_tensor *y) {
  ml_tensor_unref(x);
  ml_tensor_unref(y);
}

/* The value that data_small_set has at pixel j of image i, normalised by new_loader's numbers. */
static float expected(int64_t i, int64_t j) { return (float)(((uint8_t)(7 * i + 3 * j) / 255.0 - 0.25) / 0.5); }

/* data_small_set(N, 2, 3, N): the label is the image's number. */
static void check_batch(const ml_tensor *x, const ml_tensor *y, int64_t count) {
  assert_int_equal(x->dtype, ML_F32);
  assert_int_equal(y->dtype, ML_I32);
  assert_true(ml_shape_equal(&x->shape, &(ml_shape){.ndim = 3, .size = {count, 2, 3}}));
  assert_true(ml_shape_equal(&y->shape, &(ml_shape){.ndim = 1, .size = {count}}));
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j < PIXELS; j++) assert_true(x->f32[i * PIXELS + j] == expected(y->i32[i], j));
}

static void test_every_sample_once(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(N, 2, 3, N);
  static const int64_t batches[] = {1, 2, 5, 22, 23, 24, 1000, INT64_MAX};
  for (size_t k = 0; k < 4 * sizeof batches / sizeof *batches; k++) {
    int64_t batch = batches[k / 4], size = batch < N ? batch : N;
    bool shuffle = k & 1, drop_last = k & 2;
    ml_loader *l = new_loader(d, batch, shuffle, drop_last);
    int64_t full = batch > N ? 0 : N / batch, steps = full + (!drop_last && full * size < N);
    assert_int_equal(ml_loader_steps(l), steps);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
      bool seen[N] = {false};
      ml_tensor *x, *y;
      int64_t total = 0, step = 0;
      start(l, epoch, 0);
      for (next(l, &x, &y); x; next(l, &x, &y), step++) {
        check_batch(x, y, step < full ? size : N - full * size);
        for (int64_t i = 0; i < y->shape.size[0]; i++, total++) {
          assert_false(seen[y->i32[i]]);
          seen[y->i32[i]] = true;
          if (!shuffle) assert_int_equal(y->i32[i], total);
        }
        drop(x, y);
      }
      assert_null(y);
      assert_int_equal(step, steps);
      assert_int_equal(total, drop_last ? full * size : N);
      next(l, &x, &y);
      assert_null(x);
    }
    ml_loader_free(l);
  }
  ml_dataset_unref(d);
}

/* The labels of an epoch from `step` on; returns how many. */
static int64_t read_labels(ml_loader *l, uint32_t epoch, int64_t step, int32_t *labels) {
  int64_t n = 0;
  ml_tensor *x, *y;
  start(l, epoch, step);
  for (next(l, &x, &y); x; next(l, &x, &y)) {
    memcpy(labels + n, y->i32, ml_tensor_bytes(y));
    n += y->shape.size[0];
    drop(x, y);
  }
  return n;
}

static void test_order_is_of_seed_and_epoch(void **state) {
  (void)state;
  ml_error err = {0};
  int32_t whole[N], part[N], other[N];
  ml_dataset *d = data_small_set(N, 2, 3, N);
  ml_loader *l = new_loader(d, 5, true, false);
  for (uint32_t epoch = 0; epoch < 3; epoch++) {
    assert_int_equal(read_labels(l, epoch, 0, whole), N);
    for (int64_t step = 0; step <= 5; step++)
      for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(ml_pool_start(threads, &err), ML_OK);
        ml_loader *fresh = new_loader(d, 5, true, false);
        int64_t left = step < 5 ? N - 5 * step : 0;
        assert_int_equal(read_labels(fresh, epoch, step, part), left);
        assert_memory_equal(part, whole + N - left, (size_t)left * 4);
        ml_loader_free(fresh);
      }
    read_labels(l, epoch + 1, 0, other);
    assert_memory_not_equal(whole, other, sizeof whole);
  }
  ml_loader_options o = {.batch = 5, .shuffle = true, .std = 1, .seed = 10};
  ml_loader *seeded = ml_loader_new(d, &o, &err);
  read_labels(seeded, 0, 0, other);
  read_labels(l, 0, 0, whole);
  assert_memory_not_equal(whole, other, sizeof whole);
  ml_loader_free(seeded);
  ml_loader_free(l);
  ml_dataset_unref(d);
}

/* A start in mid-epoch drops the batch that is being prepared; so does a free. */
static void test_start_and_free_at_any_time(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(N, 2, 3, N);
  ml_loader *l = new_loader(d, 4, true, false);
  int32_t first[N], labels[N];
  read_labels(l, 0, 0, first);
  for (uint32_t i = 0; i < 200; i++) {
    ml_tensor *x, *y;
    start(l, i, i % 7);
    for (uint32_t k = 0; k < i % 5; k++) {
      next(l, &x, &y);
      drop(x, y);
    }
    if (i % 50 == 49) {
      ml_loader_free(l);
      l = new_loader(d, 4, true, false);
    }
  }
  read_labels(l, 0, 0, labels);
  assert_memory_equal(first, labels, sizeof first);
  ml_loader_free(l);
  ml_loader_free(NULL);
  ml_dataset_unref(d);
}

static void test_kept_batches_stay(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(N, 2, 3, N);
  ml_loader *l = new_loader(d, 2, true, false);
  ml_tensor *x[12], *y[12];
  for (uint32_t epoch = 0; epoch < 2; epoch++) {
    start(l, epoch, 0);
    for (int i = 0; i < 12; i++) next(l, &x[i], &y[i]);
    bool seen[N] = {false};
    for (int i = 0; i < 12; i++) {
      check_batch(x[i], y[i], i < 11 ? 2 : 1);
      for (int64_t k = 0; k < y[i]->shape.size[0]; k++) {
        assert_false(seen[y[i]->i32[k]]);
        seen[y[i]->i32[k]] = true;
      }
    }
    for (int i = 0; i < 12; i++) drop(x[i], y[i]);
  }
  /* one that outlives its loader */
  start(l, 2, 0);
  next(l, &x[0], &y[0]);
  ml_loader_free(l);
  ml_dataset_unref(d);
  check_batch(x[0], y[0], 2);
  drop(x[0], y[0]);
}

static void test_views_of_a_dataset(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *d = data_small_set(N, 2, 3, N), *some = ml_dataset_subset(d, (int32_t[]){22, 3, 3, 0, 17}, 5, &err);
  ml_dataset *none = ml_dataset_range(d, 0, 0, &err);
  ml_loader *l = new_loader(some, 2, false, false);
  int32_t labels[5];
  assert_int_equal(read_labels(l, 0, 0, labels), 5);
  assert_memory_equal(labels, ((int32_t[]){22, 3, 3, 0, 17}), sizeof labels);
  ml_loader_free(l);
  l = new_loader(none, 2, true, false);
  assert_int_equal(ml_loader_steps(l), 0);
  assert_int_equal(read_labels(l, 0, 0, labels), 0);
  ml_loader_free(l);
  ml_dataset_unref(d);
  ml_dataset_unref(some);
  ml_dataset_unref(none);
}

static void test_float_features(void **state) {
  (void)state;
  ml_error err = {0};
  ml_shape shape = {.ndim = 2, .size = {3, 2}};
  ml_tensor *images = ml_tensor_new(ML_F32, &shape, &err), *x, *y;
  ml_tensor *labels = ml_tensor_zeros(ML_U8, &(ml_shape){.ndim = 1, .size = {3}}, &err);
  for (int i = 0; i < 6; i++) images->f32[i] = 1.1f * (float)i - 2;
  ml_dataset *d = ml_dataset_new(images, labels, 2, &err);
  ml_loader *l = new_loader(d, 2, false, false);
  start(l, 0, 1);
  next(l, &x, &y);
  assert_true(ml_shape_equal(&x->shape, &(ml_shape){.ndim = 2, .size = {1, 2}}));
  for (int i = 0; i < 2; i++) assert_true(x->f32[i] == (float)((images->f32[4 + i] - 0.25) / 0.5));
  drop(x, y);
  ml_loader_free(l);
  ml_dataset_unref(d);
  drop(images, labels);
}

static void test_misuse(void **state) {
  (void)state;
  static const struct {
    int64_t batch;
    double mean, std;
    const char *message;
  } bad[] = {
      {0, 0, 1, "a batch of 0 samples, expected 1 or more"},
      {-5, 0, 1, "a batch of -5 samples"},
      {1, 0, 0, "std of 0, expected more than 0"},
      {1, 0, -1, "std of -1"},
      {1, 0, NAN, "nan, expected more than 0"},
      {1, 0, INFINITY, "std of inf"},
      {1, NAN, 1, "nan, expected a finite number"},
  };
  ml_error err = {0};
  ml_dataset *d = data_small_set(N, 2, 3, N);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_loader_options o = {.batch = bad[i].batch, .mean = bad[i].mean, .std = bad[i].std};
    assert_null(ml_loader_new(d, &o, &err));
    data_check_error(&err, ML_MISUSE, NULL, bad[i].message);
    assert_int_equal(d->refs, 1);
  }
  ml_tensor *x, *y;
  ml_loader *l = new_loader(d, 5, true, false);
  assert_int_equal(ml_loader_next(l, &x, &y, &err), ML_MISUSE);
  data_check_error(&err, ML_MISUSE, NULL, "ml_loader_start comes first");
  assert_int_equal(ml_loader_start(l, 0, 6, &err), ML_MISUSE);
  data_check_error(&err, ML_MISUSE, NULL, "step 6 of an epoch of 5 steps");
  assert_int_equal(ml_loader_start(l, 0, -1, &err), ML_MISUSE);
  ml_loader_free(l);
  ml_dataset_unref(d);
}

static void test_steady_state_asks_for_nothing(void **state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  skip(); /* nothing is cached there */
#endif
  ml_dataset *d = data_small_set(N, 2, 3, N);
  ml_loader *l = new_loader(d, 4, true, false);
  int32_t labels[N];
  for (uint32_t epoch = 0; epoch < 3; epoch++) read_labels(l, epoch, 0, labels);
  ml_memory_stats before = ml_memory_get_stats();
  for (uint32_t epoch = 3; epoch < 50; epoch++) read_labels(l, epoch, 0, labels);
  ml_memory_stats after = ml_memory_get_stats();
  assert_int_equal(after.system_calls, before.system_calls);
  assert_int_equal(after.live_bytes, before.live_bytes);
  ml_loader_free(l);
  ml_dataset_unref(d);
}

/* Whatever call fails, it can be repeated and gives the batch that was due. */
static void test_every_failing_allocation(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(N, 2, 3, N);
  uint64_t live = ml_memory_get_stats().live_blocks;
  int32_t due[N];
  ml_loader *l = new_loader(d, 5, true, false);
  read_labels(l, 1, 0, due);
  ml_loader_free(l);
  ml_loader_options o = {.batch = 5, .shuffle = true, .mean = 0.25, .std = 0.5, .seed = 9};
  bool failed = true;
  for (uint64_t n = 1; failed; n++) {
    ml_error err = {0};
    failed = false;
    ml_memory_fail_from(n);
    if (!(l = ml_loader_new(d, &o, &err))) {
      failed = true;
      assert_int_equal(err.status, ML_NOMEM);
      ml_memory_fail_from(0);
      l = new_loader(d, 5, true, false);
    }
    if (ml_loader_start(l, 1, 0, &err) != ML_OK) {
      failed = true;
      assert_int_equal(err.status, ML_NOMEM);
      ml_memory_fail_from(0);
      start(l, 1, 0);
    }
    for (int64_t at = 0; at < N;) {
      ml_tensor *x, *y;
      if (ml_loader_next(l, &x, &y, &err) != ML_OK) {
        failed = true;
        assert_int_equal(err.status, ML_NOMEM);
        assert_null(x);
        assert_null(y);
        ml_memory_fail_from(0);
        next(l, &x, &y);
      }
      check_batch(x, y, N - at < 5 ? N - at : 5);
      assert_memory_equal(y->i32, due + at, ml_tensor_bytes(y));
      at += y->shape.size[0];
      drop(x, y);
    }
    ml_memory_fail_from(0);
    ml_loader_free(l);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
  ml_dataset_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_sample_once),
      cmocka_unit_test(test_order_is_of_seed_and_epoch),
      cmocka_unit_test(test_start_and_free_at_any_time),
      cmocka_unit_test(test_kept_batches_stay),
      cmocka_unit_test(test_views_of_a_dataset),
      cmocka_unit_test(test_float_features),
      cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_steady_state_asks_for_nothing),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
