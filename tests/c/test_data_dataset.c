/* Datasets: what is refused and with which words, views and their order, the hash that tells sets apart, moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data_fixtures.h"

static ml_tensor *make_tensor(ml_dtype dtype, int ndim, int64_t a, int64_t b) {
  ml_error err = {0};
  ml_tensor *t = ml_tensor_zeros(dtype, &(ml_shape){.ndim = ndim, .size = {a, b}}, &err);
  if (!t) fail_msg("%s", err.message);
  return t;
}

static void test_refused_arrays(void **state) {
  (void)state;
  static const struct {
    ml_dtype images, labels;
    int image_ndim, label_ndim;
    int64_t image_count, label_count;
    int classes;
    ml_status status;
    const char *message;
  } bad[] = {
      {ML_I32, ML_I32, 2, 1, 3, 3, 0, ML_MISUSE, "images are i32, expected u8 or f32"},
      {ML_U8, ML_F32, 2, 1, 3, 3, 0, ML_MISUSE, "labels are f32, expected i32 or u8"},
      {ML_U8, ML_I32, 0, 1, 1, 1, 0, ML_FORMAT, "images are a scalar"},
      {ML_U8, ML_I32, 2, 2, 3, 3, 0, ML_FORMAT, "labels have 2 dimensions, expected 1"},
      {ML_U8, ML_I32, 2, 0, 3, 3, 0, ML_FORMAT, "labels have 0 dimensions, expected 1"},
      {ML_U8, ML_I32, 2, 1, 4, 3, 0, ML_FORMAT, "4 images but 3 labels"},
      {ML_F32, ML_U8, 1, 1, 2, 5, 0, ML_FORMAT, "2 images but 5 labels"},
      {ML_U8, ML_I32, 2, 1, 3, 3, -1, ML_MISUSE, "-1 classes, expected 1 or more"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_error err = {0};
    ml_tensor *images = make_tensor(bad[i].images, bad[i].image_ndim, bad[i].image_count, 2);
    ml_tensor *labels = make_tensor(bad[i].labels, bad[i].label_ndim, bad[i].label_count, 2);
    assert_null(ml_dataset_new(images, labels, bad[i].classes, &err));
    data_check_error(&err, bad[i].status, NULL, bad[i].message);
    assert_int_equal(images->refs, 1);
    assert_int_equal(labels->refs, 1);
    ml_tensor_unref(images);
    ml_tensor_unref(labels);
  }
}

static void test_refused_labels(void **state) {
  (void)state;
  static const struct {
    int32_t label;
    int classes;
    const char *message;
  } bad[] = {
      {-1, 0, "label -1 at index 2, expected 0 to 2147483646"},
      {INT32_MIN, 10, "label -2147483648 at index 2, expected 0 to 9"},
      {10, 10, "label 10 at index 2, expected 0 to 9"},
      {INT32_MAX, 0, "label 2147483647 at index 2, expected 0 to 2147483646"},
  };
  ml_tensor *images = make_tensor(ML_U8, 2, 4, 2), *labels = make_tensor(ML_I32, 1, 4, 0);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_error err = {0};
    labels->i32[2] = bad[i].label;
    assert_null(ml_dataset_new(images, labels, bad[i].classes, &err));
    data_check_error(&err, ML_FORMAT, NULL, bad[i].message);
  }
  ml_tensor_expire(labels);
  ml_error err = {0};
  assert_null(ml_dataset_new(images, labels, 0, &err));
  data_check_error(&err, ML_MISUSE, NULL, "images or labels of a step that has ended");
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
}

static void test_classes_and_bytes_as_labels(void **state) {
  (void)state;
  ml_error err = {0};
  ml_tensor *images = make_tensor(ML_F32, 2, 3, 2), *labels = make_tensor(ML_U8, 1, 3, 0);
  labels->u8[1] = 200;
  ml_dataset *d = ml_dataset_new(images, labels, 0, &err);
  assert_non_null(d);
  assert_int_equal(d->classes, 201);
  assert_int_equal(d->labels->dtype, ML_I32);
  assert_int_equal(d->labels->i32[1], 200);
  /* the images' tensor may go the way of a step's values: the dataset keeps the numbers */
  ml_tensor_expire(images);
  assert_true(d->images->f32[5] == 0);
  ml_dataset_unref(d);
  ml_tensor_unref(images);
  images = make_tensor(ML_U8, 2, 3, 2);
  d = ml_dataset_new(images, labels, 300, &err);
  assert_int_equal(d->classes, 300);
  ml_dataset_unref(ml_dataset_ref(d));
  assert_int_equal(d->refs, 1);
  ml_dataset_unref(d);
  ml_dataset_unref(NULL);
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
}

static void check_rows(const ml_dataset *d, const int32_t *rows, int64_t count) {
  assert_int_equal(d->count, count);
  for (int64_t i = 0; i < count; i++) assert_int_equal(ml_dataset_row(d, i), rows[i]);
}

static void test_views_of_views(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *d = data_small_set(10, 2, 2, 3);
  check_rows(d, (int32_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10);
  ml_dataset *some = ml_dataset_subset(d, (int32_t[]){9, 0, 4, 4, 7}, 5, &err);
  check_rows(some, (int32_t[]){9, 0, 4, 4, 7}, 5);
  ml_dataset *middle = ml_dataset_range(some, 1, 3, &err);
  check_rows(middle, (int32_t[]){0, 4, 4}, 3);
  ml_dataset *last = ml_dataset_subset(middle, (int32_t[]){2, 0}, 2, &err);
  check_rows(last, (int32_t[]){4, 0}, 2);
  ml_dataset *none = ml_dataset_range(d, 10, 0, &err);
  check_rows(none, NULL, 0);
  assert_int_equal(last->classes, 3);
  assert_ptr_equal(last->images->storage, d->images->storage);
  ml_dataset_unref(d);
  ml_dataset_unref(some);
  ml_dataset_unref(middle);
  assert_int_equal(last->images->u8[4 * 4], 28);
  ml_dataset_unref(last);
  ml_dataset_unref(none);
}

static void test_views_out_of_range(void **state) {
  (void)state;
  static const struct {
    int64_t begin, count;
  } ranges[] = {{-1, 1}, {0, 5}, {4, 1}, {0, -1}, {5, 0}, {INT64_MAX, INT64_MAX}, {1, INT64_MAX}};
  ml_error err = {0};
  ml_dataset *d = data_small_set(4, 2, 2, 3);
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    assert_null(ml_dataset_range(d, ranges[i].begin, ranges[i].count, &err));
    data_check_error(&err, ML_MISUSE, NULL, "(counted from 0) of a dataset of 4 samples");
  }
  assert_null(ml_dataset_subset(d, (int32_t[]){3, 4}, 2, &err));
  data_check_error(&err, ML_MISUSE, NULL, "sample 4 of a dataset of 4 samples");
  assert_null(ml_dataset_subset(d, (int32_t[]){-1}, 1, &err));
  data_check_error(&err, ML_MISUSE, NULL, "sample -1 of");
  assert_null(ml_dataset_subset(d, NULL, -1, &err));
  data_check_error(&err, ML_MISUSE, NULL, "a subset of -1 samples");
  ml_dataset_unref(d);
}

static void test_shuffled(void **state) {
  (void)state;
  ml_error err = {0};
  ml_rng rng = ml_rng_make(3, ML_STREAM_SPLIT);
  ml_dataset *d = data_small_set(100, 1, 1, 3), *half = ml_dataset_range(d, 50, 50, &err);
  ml_dataset *a = ml_dataset_shuffled(half, rng, &err), *b = ml_dataset_shuffled(half, rng, &err);
  bool seen[100] = {false}, moved = false;
  for (int i = 0; i < 50; i++) {
    int32_t row = ml_dataset_row(a, i);
    assert_true(row >= 50 && row < 100 && !seen[row]);
    seen[row] = true;
    moved = moved || row != 50 + i;
    assert_int_equal(row, ml_dataset_row(b, i));
  }
  assert_true(moved);
  ml_dataset_unref(d);
  ml_dataset_unref(half);
  ml_dataset_unref(a);
  ml_dataset_unref(b);
}

/* The hash by its definition, one byte after the other. */
static uint64_t fnv(uint64_t h, const void *bytes, size_t size) {
  const uint8_t *b = bytes;
  for (size_t i = 0; i < size; i++) h = (h ^ b[i]) * 0x100000001b3u;
  return h;
}

static uint64_t naive_hash(const ml_dataset *d) {
  const uint64_t basis = 0xcbf29ce484222325u;
  const uint8_t *bytes = d->images->data;
  size_t row = ml_tensor_bytes(d->images) / (size_t)d->images->shape.size[0];
  uint8_t dtype = (uint8_t)d->images->dtype;
  uint64_t h = fnv(fnv(basis, &d->count, 8), &dtype, 1);
  for (int i = 1; i < d->images->shape.ndim; i++) h = fnv(h, &d->images->shape.size[i], 8);
  for (int64_t i = 0; i < d->count; i++) {
    int32_t at = ml_dataset_row(d, i);
    uint64_t sample = fnv(basis, bytes + (size_t)at * row, row);
    h = fnv(fnv(h, &sample, 8), &d->labels->i32[at], 4);
  }
  return h;
}

static void test_hash(void **state) {
  (void)state;
  ml_error err = {0};
  for (int64_t n = 1; n < 3000; n = 2 * n + 1) {
    ml_dataset *d = data_small_set(n, 3, 5, 7);
    uint64_t hash = ml_dataset_hash(d);
    assert_true(hash == naive_hash(d));
    assert_int_equal(ml_pool_start(1 + (int)(n % 3), &err), ML_OK);
    assert_true(hash == ml_dataset_hash(d));
    ml_dataset *same = ml_dataset_range(d, 0, n, &err), *less = ml_dataset_range(d, 0, n - 1, &err);
    assert_true(hash == ml_dataset_hash(same));
    assert_true(hash != ml_dataset_hash(less));
    d->images->u8[n * 15 - 1] ^= 1;
    assert_true(hash != ml_dataset_hash(d));
    d->images->u8[n * 15 - 1] ^= 1;
    d->labels->i32[n - 1] ^= 1;
    assert_true(hash != ml_dataset_hash(d));
    ml_dataset_unref(d);
    ml_dataset_unref(same);
    ml_dataset_unref(less);
  }
  ml_dataset *flat = data_small_set(4, 1, 15, 2), *tall = data_small_set(4, 15, 1, 2);
  assert_true(ml_dataset_hash(flat) != ml_dataset_hash(tall));
  ml_dataset_unref(flat);
  ml_dataset_unref(tall);
}

static void test_moments(void **state) {
  (void)state;
  ml_error err = {0};
  double mean, std;
  ml_tensor *images = make_tensor(ML_U8, 2, 3, 2), *labels = make_tensor(ML_U8, 1, 3, 0);
  memcpy(images->u8, (uint8_t[]){0, 255, 255, 255, 51, 102}, 6);
  ml_dataset *d = ml_dataset_new(images, labels, 0, &err), *part = ml_dataset_subset(d, (int32_t[]){2, 0}, 2, &err);
  ml_dataset_moments(d, &mean, &std);
  assert_true(fabs(mean - 0.6) < 1e-15);
  assert_true(fabs(std * std - ((0.36 + 3 * 0.16 + 0.16 + 0.04) / 6)) < 1e-15);
  ml_dataset_moments(part, &mean, &std);
  assert_true(fabs(mean - 0.4) < 1e-15 && fabs(std * std - (0.16 + 0.36 + 0.04 + 0) / 4) < 1e-15);
  ml_dataset_unref(part);
  part = ml_dataset_range(d, 1, 1, &err);
  ml_dataset_moments(part, &mean, &std); /* all alike */
  assert_true(mean == 1 && std == 0);
  ml_dataset_unref(part);
  part = ml_dataset_range(d, 1, 0, &err);
  ml_dataset_moments(part, &mean, &std);
  assert_true(mean == 0 && std == 0);
  ml_dataset_unref(part);
  ml_dataset_unref(d);
  ml_tensor_unref(images);
  images = make_tensor(ML_F32, 2, 3, 1);
  images->f32[0] = -2.5f, images->f32[1] = 1.5f, images->f32[2] = 4;
  d = ml_dataset_new(images, labels, 0, &err);
  ml_dataset_moments(d, &mean, &std);
  assert_true(mean == 1 && fabs(std * std - (12.25 + 0.25 + 9) / 3) < 1e-14);
  ml_dataset_unref(d);
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
}

static void *new_from_bytes(void *ctx, ml_error *err) {
  ml_tensor **arrays = ctx;
  return ml_dataset_new(arrays[0], arrays[1], 0, err);
}
static void *subset_of(void *ctx, ml_error *err) { return ml_dataset_subset(ctx, (int32_t[]){1, 0}, 2, err); }
static void *range_of(void *ctx, ml_error *err) { return ml_dataset_range(ctx, 1, 2, err); }
static void *shuffle_of(void *ctx, ml_error *err) {
  return ml_dataset_shuffled(ctx, ml_rng_make(1, ML_STREAM_SPLIT), err);
}

static void test_every_failing_allocation(void **state) {
  (void)state;
  ml_tensor *arrays[2] = {make_tensor(ML_F32, 2, 3, 2), make_tensor(ML_U8, 1, 3, 0)};
  ml_dataset *d = data_small_set(3, 2, 2, 2);
  data_fail_allocations(new_from_bytes, data_drop_dataset, arrays);
  data_fail_allocations(subset_of, data_drop_dataset, d);
  data_fail_allocations(range_of, data_drop_dataset, d);
  data_fail_allocations(shuffle_of, data_drop_dataset, d);
  ml_dataset_unref(d);
  ml_tensor_unref(arrays[0]);
  ml_tensor_unref(arrays[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refused_arrays),
      cmocka_unit_test(test_refused_labels),
      cmocka_unit_test(test_classes_and_bytes_as_labels),
      cmocka_unit_test(test_views_of_views),
      cmocka_unit_test(test_views_out_of_range),
      cmocka_unit_test(test_shuffled),
      cmocka_unit_test(test_hash),
      cmocka_unit_test(test_moments),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
