/* Duplicates: in one set and in two, with labels that differ, in views, of other types, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "data/duplicates.h"
#include "data_fixtures.h"

static ml_duplicates duplicates(const ml_dataset *a, const ml_dataset *b) {
  ml_error err;
  ml_duplicates found;
  assert_int_equal(ml_dataset_duplicates(&found, a, b, &err), ML_OK);
  return found;
}

static void expect(ml_duplicates found, int64_t count, int64_t relabelled, int64_t first, int64_t second) {
  assert_int_equal(found.count, count);
  assert_int_equal(found.relabelled, relabelled);
  assert_int_equal(found.first, first);
  assert_int_equal(found.second, second);
}

/* Image i of the small set is 7 i + 3 j mod 256: the pictures repeat after 256. */
static void test_one_set(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(256, 5, 7, 10), *more = data_small_set(300, 5, 7, 256);
  ml_dataset *other = data_small_set(300, 5, 7, 10);
  expect(duplicates(d, d), 0, 0, -1, -1);
  expect(duplicates(more, more), 44, 0, 0, 256);
  expect(duplicates(other, other), 44, 44, 0, 256);    /* 256 mod 10 is 6 */
  d->images->u8[4 * 35 + 34] ^= 1;                     /* one bit of the last byte of sample 4 */
  expect(duplicates(other, d), 255, 0, 0, 0);
  ml_dataset_unref(other);
  ml_dataset_unref(more);
  ml_dataset_unref(d);
}

static void test_views_of_a_set(void **state) {
  (void)state;
  ml_error err;
  const int32_t rows[] = { 9, 3, 9, 80 };
  ml_dataset *d = data_small_set(100, 3, 3, 10);
  ml_dataset *low = ml_dataset_range(d, 0, 50, &err), *high = ml_dataset_range(d, 50, 50, &err);
  ml_dataset *some = ml_dataset_subset(d, rows, 4, &err), *none = ml_dataset_range(d, 0, 0, &err);
  expect(duplicates(low, high), 0, 0, -1, -1);
  expect(duplicates(d, high), 50, 0, 50, 0);
  expect(duplicates(some, some), 1, 0, 0, 2);
  expect(duplicates(low, some), 3, 0, 9, 0);
  expect(duplicates(high, some), 1, 0, 30, 3);
  expect(duplicates(none, d), 0, 0, -1, -1);
  expect(duplicates(d, none), 0, 0, -1, -1);
  ml_dataset *all[] = { none, some, high, low, d };
  for (size_t i = 0; i < 5; i++) ml_dataset_unref(all[i]);
}

static void test_samples_of_another_kind(void **state) {
  (void)state;
  ml_error err;
  ml_shape images = {.ndim = 2, .size = {8, 9}}, labels = {.ndim = 1, .size = {8}};
  ml_tensor *x = ml_tensor_new(ML_F32, &images, &err), *y = ml_tensor_new(ML_I32, &labels, &err);
  memset(x->data, 0, ml_tensor_bytes(x));
  memset(y->data, 0, ml_tensor_bytes(y));
  ml_dataset *floats = ml_dataset_new(x, y, 10, &err), *bytes = data_small_set(8, 3, 3, 10);
  ml_dataset *wide = data_small_set(8, 3, 4, 10);
  expect(duplicates(floats, bytes), 0, 0, -1, -1);
  expect(duplicates(wide, bytes), 0, 0, -1, -1);
  expect(duplicates(floats, floats), 7, 0, 0, 1);
  ml_dataset *all[] = { floats, bytes, wide };
  for (size_t i = 0; i < 3; i++) ml_dataset_unref(all[i]);
  ml_tensor_unref(x);
  ml_tensor_unref(y);
}

/* For data_fail_allocations: a result where there is one. */
static void *find(void *ctx, ml_error *err) {
  static ml_duplicates found;
  return ml_dataset_duplicates(&found, ctx, ctx, err) == ML_OK ? &found : NULL;
}

static void keep(void *made) { assert_int_equal(((ml_duplicates *)made)->count, 44); }

static void test_without_memory(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(300, 5, 7, 10);
  data_fail_allocations(find, keep, d);
  ml_dataset_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_one_set),
    cmocka_unit_test(test_views_of_a_set),
    cmocka_unit_test(test_samples_of_another_kind),
    cmocka_unit_test(test_without_memory),
  };
  return cmocka_run_group_tests_name("data_duplicates", tests, data_make_folder, data_remove_folder);
}
