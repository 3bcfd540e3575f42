/* Several IDX files at once: the same tensors on any number of threads, the first bad file told, every failing
 * allocation survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data_fixtures.h"

enum { FILES = 7 };
static char file_path[FILES][256];
static const char *const paths[FILES] = {file_path[0], file_path[1], file_path[2], file_path[3],
                                         file_path[4], file_path[5], file_path[6]};

/* Files of different sizes, the third one plain and the fourth of two gzip members. */
static void put_files(void) {
  static uint8_t plain[16 + FILES * 4000], packed[FILES * 4000 + 1000];
  for (int k = 0; k < FILES; k++) {
    size_t size = data_idx_header(plain, 3, (uint32_t[]){5, 8, 100u * (uint32_t)((k * 3) % FILES + 1)});
    size_t end = size + 4000 * (size_t)((k * 3) % FILES + 1), cut = k == 3 ? end / 3 : end;
    for (; size < end; size++) plain[size] = (uint8_t)((size * size + (size_t)k) >> 3);
    size = data_gzip(packed, sizeof packed, plain, cut, NULL);
    if (cut < end) size += data_gzip(packed + size, sizeof packed - size, plain + cut, end - cut, NULL);
    char name[16];
    snprintf(name, sizeof name, "file%d", k);
    snprintf(file_path[k], sizeof file_path[k], "%s",
             k == 2 ? data_put(name, plain, end) : data_put(name, packed, size));
  }
}

static void drop_all(ml_tensor **tensors) {
  for (int k = 0; k < FILES; k++) ml_tensor_unref(tensors[k]);
}

static void test_files_at_once_are_those_one_by_one(void **state) {
  (void)state;
  ml_tensor *one[FILES], *all[FILES];
  ml_error err = {0};
  put_files();
  for (int k = 0; k < FILES; k++) assert_non_null(one[k] = ml_read_idx(paths[k], &err));
  for (int threads = 1; threads <= 3; threads++) {
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    if (ml_read_idx_files(all, paths, FILES, &err) != ML_OK) fail_msg("%s", err.message);
    for (int k = 0; k < FILES; k++) {
      assert_true(ml_shape_equal(&all[k]->shape, &one[k]->shape));
      assert_memory_equal(all[k]->u8, one[k]->u8, ml_tensor_bytes(one[k]));
      assert_int_equal((uintptr_t)all[k]->data % ML_ALIGNMENT, 0);
    }
    drop_all(all);
  }
  drop_all(one);
  assert_int_equal(ml_read_idx_files(all, paths, 0, &err), ML_OK);
  assert_int_equal(ml_pool_start(2, &err), ML_OK);
}

/* Whichever thread notices first. */
static void test_the_first_bad_file_is_told(void **state) {
  (void)state;
  ml_tensor *all[FILES];
  put_files();
  uint64_t live = ml_memory_get_stats().live_blocks;
  assert_int_equal(truncate(paths[1], 100), 0);
  assert_int_equal(unlink(paths[4]), 0);
  data_put("file5", "no IDX file", 11);
  for (int threads = 1; threads <= 3; threads++) {
    ml_error err = {0};
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    assert_int_equal(ml_read_idx_files(all, paths, FILES, &err), ML_FORMAT);
    data_check_error(&err, ML_FORMAT, paths[1], "the gzip data are cut off, expected more at byte 100");
    for (int k = 0; k < FILES; k++) assert_null(all[k]);
    assert_int_equal(ml_read_idx_files(all + 2, paths + 2, FILES - 2, &err), ML_IO);
    data_check_error(&err, ML_IO, paths[4], "cannot be opened: No such file or directory");
    assert_int_equal(ml_read_idx_files(all, paths, FILES, NULL), ML_FORMAT);
  }
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
  ml_error err = {0};
  assert_int_equal(ml_pool_start(2, &err), ML_OK);
}

static void *read_files(void *ctx, ml_error *err) {
  static ml_tensor *all[FILES];
  (void)ctx;
  return ml_read_idx_files(all, paths, FILES, err) == ML_OK ? all : NULL;
}

static void drop_files(void *made) { drop_all(made); }

static void test_every_failing_allocation(void **state) {
  (void)state;
  put_files();
  data_fail_allocations(read_files, drop_files, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files_at_once_are_those_one_by_one),
      cmocka_unit_test(test_the_first_bad_file_is_told),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
