/* Locks: one holder at a time, asked about without being taken, freed when a process is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"

static char folder[64], path[96];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(path, sizeof path, "%s/lock", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  remove(path);
  return rmdir(folder);
}

static void test_one_holder(void **state) {
  (void)state;
  ml_lock first, second;
  ml_error err = {0};
  long holder;
  assert_false(ml_lock_held(path, &holder));   /* there is no file */
  assert_int_equal(ml_lock_take(&first, path, &holder, &err), ML_OK);
  assert_true(ml_lock_held(path, &holder));
  assert_int_equal(holder, getpid());
  assert_int_equal(ml_lock_take(&second, path, &holder, &err), ML_IO);
  assert_int_equal(holder, getpid());
  char message[160];
  snprintf(message, sizeof message, "%s: is held by process %ld", path, (long)getpid());
  assert_string_equal(err.message, message);
  ml_lock_release(&second);
  assert_true(ml_lock_held(path, &holder));    /* that another descriptor is closed frees nothing */
  ml_lock_release(&first);
  ml_lock_release(&first);
  assert_false(ml_lock_held(path, &holder));
  assert_int_equal(ml_lock_take(&second, path, &holder, &err), ML_OK);
  ml_lock_release(&second);
}

static void test_a_killed_process_frees_it(void **state) {
  (void)state;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    ml_lock lock;
    long holder;
    char done = ml_lock_take(&lock, path, &holder, NULL) == ML_OK ? 'y' : 'n';
    if (write(ready[1], &done, 1) == 1) pause();
    _exit(1);
  }
  char done = 0;
  assert_int_equal(read(ready[0], &done, 1), 1);
  assert_int_equal(done, 'y');
  ml_lock lock;
  long holder;
  assert_int_equal(ml_lock_take(&lock, path, &holder, NULL), ML_IO);
  assert_int_equal(holder, child);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  assert_int_equal(ml_lock_take(&lock, path, &holder, NULL), ML_OK);
  ml_lock_release(&lock);
  close(ready[0]);
  close(ready[1]);
}

static void test_faults(void **state) {
  (void)state;
  ml_lock lock;
  ml_error err = {0};
  long holder = 5;
  assert_int_equal(ml_lock_take(&lock, folder, &holder, &err), ML_IO);
  assert_non_null(strstr(err.message, "cannot be opened: Is a directory"));
  assert_int_equal(holder, -1);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("a text that is no number", f);
  fclose(f);
  assert_int_equal(ml_lock_take(&lock, path, &holder, &err), ML_OK);
  assert_true(ml_lock_held(path, &holder));
  assert_int_equal(holder, getpid());
  ml_lock_release(&lock);
}

int main(void) {
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
  const struct CMUnitTest tests[] = {
      IN_A_FOLDER(test_one_holder), IN_A_FOLDER(test_a_killed_process_frees_it), IN_A_FOLDER(test_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
