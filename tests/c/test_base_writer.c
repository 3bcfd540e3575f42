/* Files out: after every fault of a system call the old file is whole, nothing is called saved, and no temporary is
 * left. */
#include "file_faults.h"

#include <sys/wait.h>

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
    {"", "cannot save: the name of the file is empty"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err;
    assert_int_equal(ml_file_write(cases[i].path, "x", 1, &err), ML_IO);
    assert_ptr_equal(strstr(err.message, cases[i].path), err.message);
    assert_contains(err.message, cases[i].reason);
  }
  assert_int_equal(entries(folder), 2);
}

static void make_link(const char *text, const char *name) {
  assert_int_equal(symlink(text, in_folder(name)), 0);
}

static void assert_link(const char *name, const char *expected) {
  char text[512];
  ssize_t length = readlink(in_folder(name), text, sizeof text - 1);
  assert_true(length > 0);
  text[length] = 0;
  assert_string_equal(text, expected);
}

/* A link stays, and what it leads to is replaced, whether it was there or not. */
static void test_links_stay(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
  assert_int_equal(mkdir(in_folder("sub/deeper"), 0700), 0);
  char absolute[512];
  strcpy(absolute, in_folder("sub/target"));
  static const char *const links[][2] = {
    {"plain", "beside"}, {"down", "sub/target"}, {"sub/up", "../beside"}, {"chain", "sub/up"}, {"folder", "sub/deeper"},
  };
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) make_link(links[i][1], links[i][0]);
  make_link(absolute, "absolute");
  static const struct {
    const char *save, *target;
  } cases[] = {
    {"plain", "beside"},      {"down", "sub/target"},          {"sub/up", "beside"},
    {"chain", "beside"},      {"absolute", "sub/target"},      {"folder/file", "sub/deeper/file"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int round = 0; round < 2; round++) { /* first the target is missing */
      if (round == 0) unlink(in_folder(cases[i].target));
      const char *text = round == 0 ? "first" : "second";
      assert_int_equal(ml_file_write(in_folder(cases[i].save), text, strlen(text), NULL), ML_OK);
      assert_content(in_folder(cases[i].target), text, strlen(text));
    }
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) assert_link(links[i][0], links[i][1]);
  assert_link("absolute", absolute);
  assert_int_equal(entries(folder), 7); /* sub, beside and five of the links */
  assert_int_equal(entries(in_folder("sub")), 3);
}

static void test_links_that_are_refused(void **state) {
  (void)state;
  assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  static const struct {
    const char *text, *reason;
  } cases[] = {
    {"/dev/full", ": cannot be replaced: expected a file, got a device"},
    {"fifo", ": cannot be replaced: expected a file, got a FIFO"},
    {"sub", ": cannot be replaced: expected a file, got a folder"},
    {"missing/file", ": cannot create a file beside it: No such file or directory"},
    {"link", ": cannot be followed: Too many levels of symbolic links"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err;
    make_link(cases[i].text, "link");
    assert_int_equal(ml_file_write(in_folder("link"), "x", 1, &err), ML_IO);
    assert_contains(err.message, in_folder("link"));
    assert_contains(err.message, cases[i].reason);
    assert_link("link", cases[i].text);
    assert_int_equal(unlink(in_folder("link")), 0);
  }
  assert_int_equal(entries(folder), 2);
}

/* What a signal handler does before it ends the program; more temporaries than slots may be left over. */
static void test_unlink_all(void **state) {
  (void)state;
  put(in_folder("out"), "old");
  ml_writer *w[12];
  for (int i = 0; i < 12; i++) {
    assert_int_equal(ml_writer_open(&w[i], in_folder("out"), NULL), ML_OK);
    ml_writer_write(w[i], "new", 3, NULL);
    if (i == 1) ml_writer_abort(w[0]);
    if (i == 2) assert_int_equal(ml_writer_commit(w[1], NULL), ML_OK);
    if (i == 3) {
      assert_int_equal(entries(folder), 3);
      ml_writer_unlink_all();
      assert_content(in_folder("out"), "new", 3);
      assert_int_equal(entries(folder), 1);
    }
  }
  assert_int_equal(entries(folder), 9);
  ml_writer_unlink_all();
  assert_true(entries(folder) <= 3);
  ml_error err;
  assert_int_equal(ml_writer_commit(w[2], &err), ML_IO);
  assert_contains(err.message, "out: cannot be renamed from its temporary: No such file or directory");
  for (int i = 3; i < 12; i++) ml_writer_abort(w[i]);
  assert_content(in_folder("out"), "new", 3);
  assert_int_equal(entries(folder), 1);
}

/* In a process of its own, because there is no way back. */
static void test_shut(void **state) {
  (void)state;
  ml_writer *w;
  put(in_folder("out"), "old");
  pid_t child = fork();
  if (child == 0) {
    ml_error err;
    if (ml_writer_open(&w, in_folder("out"), NULL) != ML_OK) _exit(1);
    ml_writer_shut();
    if (entries(folder) != 1) _exit(2);
    if (ml_writer_open(&w, in_folder("out"), &err) != ML_IO) _exit(3);
    _exit(strstr(err.message, "cannot create a file beside it") ? 0 : 4);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_content(in_folder("out"), "old", 3);
  assert_int_equal(entries(folder), 1);
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

int main(void) {
  const struct CMUnitTest tests[] = {
    IN_A_FOLDER(test_writes),
    IN_A_FOLDER(test_mode_follows_umask),
    IN_A_FOLDER(test_relative_names),
    IN_A_FOLDER(test_unfinished_files_do_not_show),
    IN_A_FOLDER(test_write_refusals),
    IN_A_FOLDER(test_links_stay),
    IN_A_FOLDER(test_links_that_are_refused),
    IN_A_FOLDER(test_unlink_all),
    IN_A_FOLDER(test_shut),
    IN_A_FOLDER(test_write_faults_keep_the_old_file),
    IN_A_FOLDER(test_interrupted_and_short_calls_succeed),
    IN_A_FOLDER(test_folder_that_cannot_be_synced),
    IN_A_FOLDER(test_every_allocation_may_fail),
    IN_A_FOLDER(test_taken_temporary_names_are_passed_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
