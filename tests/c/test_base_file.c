/* Files in, and folders: every refusal and its message, and faults of the system calls while reading. */
#include "file_faults.h"

static void assert_refused(const char *path, size_t max_bytes, ml_status expected, const char *reason) {
  uint8_t *data = NULL;
  size_t size = 77;
  ml_error err;
  uint64_t live = ml_memory_get_stats().live_blocks;
  assert_int_equal(ml_file_read(&data, &size, path, max_bytes, &err), expected);
  assert_ptr_equal(strstr(err.message, path), err.message);
  assert_contains(err.message, reason);
  assert_null(data);
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
}

static void test_reads(void **state) {
  (void)state;
  put(in_folder("empty"), "");
  put(in_folder("some"), "five!");
  assert_content(in_folder("empty"), "", 0);
  assert_content(in_folder("some"), "five!", 5);
  assert_int_equal(symlink("some", in_folder("link")), 0);
  assert_content(in_folder("link"), "five!", 5);
  uint8_t *data;
  size_t size;
  assert_int_equal(ml_file_read(&data, &size, in_folder("some"), 5, NULL), ML_OK);
  ml_free(data);
}

static void test_read_refusals(void **state) {
  (void)state;
  put(in_folder("five"), "five!");
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  assert_refused(in_folder("missing"), 100, ML_IO, ": cannot be opened: No such file or directory");
  assert_refused(folder, 100, ML_IO, ": expected a file, got a folder");
  assert_refused(in_folder("fifo"), 100, ML_IO, ": expected a file, got a FIFO");
  assert_refused("/dev/zero", 100, ML_IO, ": expected a file, got a device");
  assert_refused(in_folder("five"), 4, ML_FORMAT, ": expected at most 4 bytes, got 5");
  assert_refused("", 4, ML_IO, "No such file");
  ml_memory_fail_from(1);
  assert_refused(in_folder("five"), 100, ML_NOMEM, ": not enough memory for 5 bytes");
  ml_memory_fail_from(0);
}

/* The size is honest only by name: nothing is allocated for it beyond what the caller allows. */
static void test_sparse_giant(void **state) {
  (void)state;
  int fd = open(in_folder("giant"), O_WRONLY | O_CREAT, 0600);
  if (ftruncate(fd, (off_t)1 << 42) == 0) {
    assert_refused(in_folder("giant"), 1000, ML_FORMAT, ": expected at most 1000 bytes, got 4398046511104");
    assert_refused(in_folder("giant"), SIZE_MAX, ML_NOMEM, ": not enough memory");
  }
  close(fd);
}

static void test_read_faults(void **state) {
  (void)state;
  put(in_folder("text"), "a text");
  plan(READ, INTERRUPT, 1, 0);
  assert_content(in_folder("text"), "a text", 6);
  plan(READ, SHORT, 1, 1);
  assert_content(in_folder("text"), "a text", 6);
  plan(READ, FAIL, 1, EIO);
  assert_refused(in_folder("text"), 100, ML_IO, ": cannot be read at byte 0: Input/output error");
  plan(READ, SHORT, 1, 0);
  assert_refused(in_folder("text"), 100, ML_FORMAT, ": shrank while it was read: expected 6 bytes, got 0");
}

static void test_folders(void **state) {
  (void)state;
  ml_error err;
  put(in_folder("file"), "x");
  assert_int_equal(ml_make_dirs(in_folder("a/b/c"), NULL), ML_OK);
  assert_int_equal(ml_make_dirs(in_folder("a/b/c"), NULL), ML_OK);
  assert_int_equal(ml_make_dirs(in_folder("a//b/d/"), NULL), ML_OK);
  assert_true(ml_file_is_dir(in_folder("a/b/c")) && ml_file_is_dir(in_folder("a/b/d")));
  assert_true(ml_file_exists(in_folder("file")) && !ml_file_is_dir(in_folder("file")));
  assert_false(ml_file_exists(in_folder("missing")) || ml_file_is_dir(in_folder("missing")));
  assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
  assert_true(ml_file_exists(in_folder("dangling")));
  assert_int_equal(link(in_folder("file"), in_folder("other name")), 0);
  assert_int_equal(symlink("file", in_folder("link")), 0);
  assert_true(ml_file_same(in_folder("file"), in_folder("other name")));
  assert_true(ml_file_same(in_folder("link"), in_folder("file")));
  assert_false(ml_file_same(in_folder("file"), in_folder("a")));
  assert_false(ml_file_same(in_folder("missing"), in_folder("missing")));
  assert_int_equal(ml_make_dirs("/", NULL), ML_OK);
  assert_int_equal(ml_make_dirs("", &err), ML_IO);
  assert_int_equal(ml_make_dirs(in_folder("file/sub"), &err), ML_IO);
  assert_non_null(strstr(err.message, "/file: expected a folder, got a file"));
  assert_int_equal(ml_make_dirs("/proc/mnistlua/runs", &err), ML_IO);
  assert_non_null(strstr(err.message, "/proc/mnistlua: the folder cannot be made: "));
  ml_memory_fail_from(1);
  assert_int_equal(ml_make_dirs(in_folder("z"), &err), ML_NOMEM);
  ml_memory_fail_from(0);
}

static void test_writable_folders(void **state) {
  (void)state;
  ml_error err;
  assert_int_equal(ml_check_writable_dir(in_folder("runs/new"), NULL), ML_OK);
  assert_int_equal(entries(in_folder("runs/new")), 0);
  assert_int_equal(ml_check_writable_dir("/proc", &err), ML_IO);
  assert_non_null(strstr(err.message, "/proc: files cannot be made in this folder: "));
  assert_int_equal(chmod(in_folder("runs/new"), 0500), 0);
  if (geteuid() != 0) {
    assert_int_equal(ml_check_writable_dir(in_folder("runs/new"), &err), ML_IO);
    assert_non_null(strstr(err.message, "runs/new: files cannot be made in this folder: Permission denied"));
  }
  for (uint64_t n = 1; n <= 3; n++) {
    ml_memory_fail_from(n);
    assert_int_equal(ml_check_writable_dir(in_folder("runs"), &err), ML_NOMEM);
    ml_memory_fail_from(0);
  }
  assert_int_equal(entries(in_folder("runs")), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    IN_A_FOLDER(test_reads),
    IN_A_FOLDER(test_read_refusals),
    IN_A_FOLDER(test_sparse_giant),
    IN_A_FOLDER(test_read_faults),
    IN_A_FOLDER(test_folders),
    IN_A_FOLDER(test_writable_folders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
