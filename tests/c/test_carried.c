/* What a program carries behind itself: what was written is found again, in a file that already carried something too;
 * every damage is told; nothing is left of a write that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/writer.h"
#include "io/carried.h"

static char folder[64], program[96], path[96];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(program, sizeof program, "%s/program", folder);
  snprintf(path, sizeof path, "%s/alone", folder);
  return ml_file_write(program, "#! the program", 14, NULL);
}

static int remove_folder(void **state) {
  (void)state;
  unlink(program);
  unlink(path);
  return rmdir(folder);
}

static const ml_piece two[] = { { "lua/a.lua", "return 1", 8 }, { "empty", "", 0 } };

static void write_two(void) { assert_int_equal(ml_carried_write(path, program, two, 2, NULL), ML_OK); }

static void assert_piece(const ml_carried *c, const char *name, const char *text) {
  size_t size = 77;
  const uint8_t *bytes = ml_carried_find(c, name, &size);
  assert_non_null(bytes);
  assert_int_equal(size, strlen(text));
  assert_memory_equal(bytes, text, size);
}

static void test_found_again(void **state) {
  (void)state;
  ml_carried c;
  struct stat st;
  size_t size;
  write_two();
  assert_int_equal(ml_carried_read(&c, path, NULL), ML_OK);
  assert_piece(&c, "lua/a.lua", "return 1");
  assert_piece(&c, "empty", "");
  assert_null(ml_carried_find(&c, "lua/a", &size));
  assert_null(ml_carried_find(&c, "lua/a.lua2", &size));
  ml_carried_clear(&c);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0111, (st.st_mode & 0444) >> 2);
}

/* A program that carries something can be the program of another. */
static void test_own_bytes_only(void **state) {
  (void)state;
  ml_carried c;
  struct stat before, after;
  const ml_piece other[] = { { "b", "xyz", 3 } };
  write_two();
  assert_int_equal(ml_carried_write(path, path, two, 2, NULL), ML_OK);
  assert_int_equal(stat(path, &before), 0);
  assert_int_equal(ml_carried_write(path, path, other, 1, NULL), ML_OK);
  assert_int_equal(ml_carried_read(&c, path, NULL), ML_OK);
  assert_piece(&c, "b", "xyz");
  assert_int_equal(stat(path, &after), 0);
  assert_int_equal(before.st_size - after.st_size, 12 + 9 + 8 + 12 + 5 - (12 + 1 + 3));
  ml_carried_clear(&c);
}

static void test_nothing_carried(void **state) {
  (void)state;
  ml_carried c;
  ml_error err;
  assert_int_equal(ml_carried_read(&c, program, NULL), ML_OK);
  assert_null(c.block);
  assert_int_equal(ml_carried_write(path, program, two, 0, NULL), ML_OK);
  assert_int_equal(ml_carried_read(&c, path, NULL), ML_OK);
  assert_int_equal(c.size, 0);
  ml_carried_clear(&c);
  assert_int_equal(ml_carried_read(&c, folder, &err), ML_IO);
  assert_ptr_equal(strstr(err.message, folder), err.message);
}

/* Every byte behind the program changed, one at a time: told, or (in the mark) nothing carried. */
static void test_damage(void **state) {
  (void)state;
  uint8_t *bytes;
  size_t size;
  write_two();
  assert_int_equal(ml_file_read(&bytes, &size, path, 1000, NULL), ML_OK);
  for (size_t at = 14; at < size; at++) {
    ml_carried c;
    ml_error err = { .message = "" };
    bytes[at] ^= 0x20;
    assert_int_equal(ml_file_write(path, bytes, size, NULL), ML_OK);
    ml_status status = ml_carried_read(&c, path, &err);
    assert_int_equal(status, at < size - 16 ? ML_FORMAT : ML_OK);
    assert_null(c.block);
    if (status != ML_OK) assert_non_null(strstr(err.message, at < size - 20 ? "damaged" : "version"));
    bytes[at] ^= 0x20;
  }
  ml_free(bytes);
}

static void test_cut(void **state) {
  (void)state;
  struct stat st;
  write_two();
  assert_int_equal(stat(path, &st), 0);
  for (off_t size = st.st_size - 1; size > 0; size--) {
    ml_carried c;
    assert_int_equal(truncate(path, size), 0);
    assert_int_equal(ml_carried_read(&c, path, NULL), ML_OK);
    assert_null(c.block);
  }
}

static void test_faults(void **state) {
  (void)state;
  ml_error err;
  ml_carried c;
  write_two();
  for (uint64_t n = 1; n <= 3; n++) {
    uint64_t live = ml_memory_get_stats().live_blocks;
    ml_memory_fail_from(n);
    ml_status status = ml_carried_write(path, program, two, 2, &err);
    ml_memory_fail_from(0);
    assert_int_equal(status, ML_NOMEM);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
  ml_memory_fail_from(1);
  assert_int_equal(ml_carried_read(&c, path, &err), ML_NOMEM);
  ml_memory_fail_from(0);
  assert_int_equal(ml_carried_read(&c, path, &err), ML_OK);
  assert_piece(&c, "lua/a.lua", "return 1");
  ml_carried_clear(&c);
  assert_int_equal(ml_carried_write("/nowhere/alone", program, two, 2, &err), ML_IO);
  assert_int_equal(ml_carried_write(path, "/nowhere/program", two, 2, &err), ML_IO);
  assert_ptr_equal(strstr(err.message, "/nowhere/program: "), err.message);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_found_again), cmocka_unit_test(test_own_bytes_only), cmocka_unit_test(test_nothing_carried),
    cmocka_unit_test(test_damage),      cmocka_unit_test(test_cut),            cmocka_unit_test(test_faults),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
