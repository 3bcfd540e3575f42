/* Files in and out: every refusal and its message, and faults of the system calls, which this executable replaces by
 * its own that fail, are interrupted or do a part of what was asked. After each fault the old file is whole and no
 * temporary is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

typedef enum fault { NO_FAULT, FAIL, INTERRUPT, SHORT } fault;
typedef enum call { READ, WRITE, FSYNC, CLOSE, RENAME } call;

/* Applies to the after-th call from now. A short call moves one byte (a read at the end of file, none). */
static struct {
  call call;
  fault fault;
  int after, error;
} planned;

static void plan(call which, fault what, int after, int error) {
  planned.call = which;
  planned.fault = what;
  planned.after = after;
  planned.error = error;
}

/* The fault that befalls this call. */
static fault befalls(call which) {
  if (planned.fault == NO_FAULT || planned.call != which || --planned.after > 0) return NO_FAULT;
  fault now = planned.fault;
  planned.fault = NO_FAULT;
  errno = now == INTERRUPT ? EINTR : planned.error;
  return now;
}

ssize_t read(int fd, void *data, size_t size) {
  fault now = befalls(READ);
  if (now == FAIL || now == INTERRUPT) return -1;
  if (now == SHORT && planned.error == 0) return 0;
  return syscall(SYS_read, fd, data, now == SHORT ? (size_t)1 : size);
}

ssize_t write(int fd, const void *data, size_t size) {
  fault now = befalls(WRITE);
  if (now == FAIL || now == INTERRUPT) return -1;
  return syscall(SYS_write, fd, data, now == SHORT ? (size_t)1 : size);
}

int fsync(int fd) {
  return befalls(FSYNC) == NO_FAULT ? (int)syscall(SYS_fsync, fd) : -1;
}

int close(int fd) {
  fault now = befalls(CLOSE);
  int reason = errno, result = (int)syscall(SYS_close, fd);
  if (now == NO_FAULT) return result;
  errno = reason;
  return -1;
}

int rename(const char *from, const char *to) {
  return befalls(RENAME) == NO_FAULT ? (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) : -1;
}

static char folder[64];

/* A path in the test's folder; valid until the fourth call from now. */
static const char *in_folder(const char *name) {
  static char paths[4][512];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void assert_content(const char *path, const void *expected, size_t size) {
  uint8_t *data;
  size_t got;
  assert_int_equal(ml_file_read(&data, &got, path, (size_t)1 << 30, NULL), ML_OK);
  assert_int_equal(got, size);
  assert_memory_equal(data, expected, size);
  assert_int_equal(data[size], 0);
  ml_free(data);
}

static bool is_entry(const char *name) {
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int entries(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) count += is_entry(e->d_name);
  closedir(dir);
  return count;
}

static void remove_tree(const char *path) {
  DIR *dir = opendir(path);
  if (dir != NULL) {
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
      char child[1024];
      snprintf(child, sizeof child, "%s/%s", path, e->d_name);
      if (is_entry(e->d_name)) remove_tree(child);
    }
    closedir(dir);
  }
  remove(path);
}

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  planned.fault = NO_FAULT;
  remove_tree(folder);
  return 0;
}

static void assert_contains(const char *message, const char *part) {
  if (strstr(message, part) == NULL) fail_msg("expected \"%s\" in \"%s\"", part, message);
}

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

static void test_writes(void **state) {
  (void)state;
  enum { SIZE = 300000 };
  static char data[SIZE];
  for (int i = 0; i < SIZE; i++) data[i] = (char)(i * 7 + i / 256);
  static const size_t pieces[] = {1, 7, 1000, 65535, 65536, 65537, SIZE};
  for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
    ml_writer *w;
    assert_int_equal(ml_writer_open(&w, in_folder("out"), NULL), ML_OK);
    for (size_t at = 0; at < SIZE; at += pieces[p]) {
      size_t size = SIZE - at < pieces[p] ? SIZE - at : pieces[p];
      assert_int_equal(ml_writer_write(w, data + at, size, NULL), ML_OK);
    }
    assert_int_equal(ml_writer_commit(w, NULL), ML_OK);
    assert_content(in_folder("out"), data, SIZE);
  }
  assert_int_equal(ml_file_write(in_folder("out"), NULL, 0, NULL), ML_OK);
  assert_content(in_folder("out"), "", 0);
  assert_int_equal(entries(folder), 1);
}

static void test_mode_follows_umask(void **state) {
  (void)state;
  mode_t before = umask(027);
  assert_int_equal(ml_file_write(in_folder("out"), "x", 1, NULL), ML_OK);
  umask(before);
  struct stat st;
  assert_int_equal(stat(in_folder("out"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_relative_names(void **state) {
  (void)state;
  char before[1024];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(ml_file_write("plain", "x", 1, NULL), ML_OK);
  assert_int_equal(ml_make_dirs("sub/deeper", NULL), ML_OK);
  assert_int_equal(ml_file_write("sub/deeper/file", "y", 1, NULL), ML_OK);
  assert_content("sub/deeper/file", "y", 1);
  assert_int_equal(chdir(before), 0);
  assert_int_equal(entries(folder), 2);
}

static void test_unfinished_files_do_not_show(void **state) {
  (void)state;
  put(in_folder("out"), "old");
  ml_writer *w, *other;
  assert_int_equal(ml_writer_open(&w, in_folder("out"), NULL), ML_OK);
  assert_int_equal(ml_writer_open(&other, in_folder("out"), NULL), ML_OK);
  ml_writer_write(w, "new", 3, NULL);
  assert_content(in_folder("out"), "old", 3);
  assert_int_equal(entries(folder), 3);
  ml_writer_abort(w);
  ml_writer_abort(other);
  ml_writer_abort(NULL);
  assert_content(in_folder("out"), "old", 3);
  assert_int_equal(entries(folder), 1);
}

static void test_write_refusals(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  char long_name[300];
  memset(long_name, 'n', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = 0;
  const struct {
    const char *path, *reason;
  } cases[] = {
    {in_folder("sub"), ": cannot be replaced: expected a file, got a folder"},
    {in_folder("fifo"), ": cannot be replaced: expected a file, got a FIFO"},
    {"/dev/full", ": cannot be replaced: expected a file, got a device"},
    {in_folder("no/such/folder"), ": cannot create a file beside it: No such file or directory"},
    {"/proc/mnistlua", ": cannot create a file beside it: "},
    {long_name, ": cannot create a file beside it: File name too long"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err;
    assert_int_equal(ml_file_write(cases[i].path, "x", 1, &err), ML_IO);
    assert_ptr_equal(strstr(err.message, cases[i].path), err.message);
    assert_contains(err.message, cases[i].reason);
  }
  assert_int_equal(entries(folder), 2);
}

/* Three pieces are three write calls: the first waits in the buffer, the second is larger than it and goes out at once
 * after the first, the third goes out with the commit. */
static ml_status save(ml_error *err) {
  static char data[150000];
  memset(data, 'N', sizeof data);
  ml_writer *w;
  ml_status status = ml_writer_open(&w, in_folder("out"), err);
  if (status != ML_OK) return status;
  status = ml_writer_write(w, data, 1000, err);
  if (status == ML_OK) status = ml_writer_write(w, data + 1000, 148000, err);
  if (status == ML_OK) status = ml_writer_write(w, data + 149000, 1000, err);
  if (status != ML_OK) {
    assert_int_equal(entries(folder), 1); /* the temporary is gone at once */
    ml_error later;
    assert_int_equal(ml_writer_write(w, data, 1, &later), ML_IO);
    assert_int_equal(ml_writer_commit(w, &later), ML_IO);
    assert_non_null(strstr(later.message, ": not saved: an earlier write failed"));
    return status;
  }
  return ml_writer_commit(w, err);
}

static void test_write_faults_keep_the_old_file(void **state) {
  (void)state;
  static const struct {
    call call;
    int after, error;
    const char *reason;
  } cases[] = {
    {WRITE, 1, ENOSPC, "out: cannot be written: No space left on device"},
    {WRITE, 2, EIO, "out: cannot be written: Input/output error"},
    {WRITE, 3, ENOSPC, "out: cannot be written: No space left on device"},
    {FSYNC, 1, EIO, "out: cannot be synced: Input/output error"},
    {CLOSE, 1, EIO, "out: cannot be closed: Input/output error"},
    {RENAME, 1, EACCES, "out: cannot be renamed from its temporary: Permission denied"},
  };
  uint64_t live = ml_memory_get_stats().live_blocks;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err;
    put(in_folder("out"), "old");
    plan(cases[i].call, FAIL, cases[i].after, cases[i].error);
    assert_int_equal(save(&err), ML_IO);
    assert_int_equal(planned.fault, NO_FAULT);
    assert_contains(err.message, cases[i].reason);
    assert_content(in_folder("out"), "old", 3);
    assert_int_equal(entries(folder), 1);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
}

static void test_interrupted_and_short_calls_succeed(void **state) {
  (void)state;
  static const struct {
    call call;
    fault fault;
    int after;
  } cases[] = {{WRITE, INTERRUPT, 1}, {WRITE, INTERRUPT, 2}, {WRITE, SHORT, 1}, {WRITE, SHORT, 2},
               {WRITE, SHORT, 3},     {FSYNC, INTERRUPT, 1}, {FSYNC, INTERRUPT, 2}, {CLOSE, INTERRUPT, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put(in_folder("out"), "old");
    plan(cases[i].call, cases[i].fault, cases[i].after, 0);
    assert_int_equal(save(NULL), ML_OK);
    assert_int_equal(planned.fault, NO_FAULT);
    struct stat st;
    assert_int_equal(stat(in_folder("out"), &st), 0);
    assert_int_equal(st.st_size, 150000);
    assert_int_equal(entries(folder), 1);
  }
}

/* The file has its new name by then, but may lose it in a power cut: that is told. */
static void test_folder_that_cannot_be_synced(void **state) {
  (void)state;
  ml_error err;
  plan(FSYNC, FAIL, 2, EIO);
  assert_int_equal(save(&err), ML_IO);
  assert_non_null(strstr(err.message, "out: its folder cannot be synced: Input/output error"));
  plan(FSYNC, FAIL, 2, EINVAL); /* a file system without it */
  assert_int_equal(save(&err), ML_OK);
  assert_int_equal(entries(folder), 1);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  uint64_t live = ml_memory_get_stats().live_blocks;
  put(in_folder("out"), "old");
  ml_status status = ML_NOMEM;
  for (uint64_t n = 1; status != ML_OK; n++) {
    ml_error err;
    ml_memory_fail_from(n);
    status = save(&err);
    ml_memory_fail_from(0);
    assert_true(n < 20);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
    assert_int_equal(entries(folder), 1);
    if (status == ML_OK) break;
    assert_int_equal(status, ML_NOMEM);
    assert_non_null(strstr(err.message, "out: not enough memory"));
    assert_content(in_folder("out"), "old", 3);
  }
}

static void test_taken_temporary_names_are_passed_over(void **state) {
  (void)state;
  ml_writer *w;
  assert_int_equal(ml_writer_open(&w, in_folder("probe"), NULL), ML_OK);
  unsigned number = 0;
  DIR *dir = opendir(folder);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) sscanf(e->d_name, "probe.%*d.%u.tmp", &number);
  closedir(dir);
  ml_writer_abort(w);
  for (unsigned i = 1; i <= 3; i++) {
    char name[100];
    snprintf(name, sizeof name, "out.%ld.%u.tmp", (long)getpid(), number + i);
    put(in_folder(name), "a stranger's");
  }
  assert_int_equal(ml_file_write(in_folder("out"), "new", 3, NULL), ML_OK);
  assert_content(in_folder("out"), "new", 3);
  assert_int_equal(entries(folder), 4);
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

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
    IN_A_FOLDER(test_reads),
    IN_A_FOLDER(test_read_refusals),
    IN_A_FOLDER(test_sparse_giant),
    IN_A_FOLDER(test_read_faults),
    IN_A_FOLDER(test_writes),
    IN_A_FOLDER(test_mode_follows_umask),
    IN_A_FOLDER(test_relative_names),
    IN_A_FOLDER(test_unfinished_files_do_not_show),
    IN_A_FOLDER(test_write_refusals),
    IN_A_FOLDER(test_write_faults_keep_the_old_file),
    IN_A_FOLDER(test_interrupted_and_short_calls_succeed),
    IN_A_FOLDER(test_folder_that_cannot_be_synced),
    IN_A_FOLDER(test_every_allocation_may_fail),
    IN_A_FOLDER(test_taken_temporary_names_are_passed_over),
    IN_A_FOLDER(test_folders),
    IN_A_FOLDER(test_writable_folders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
