/* Child processes: words and streams as they are, exit codes and signals, programs that cannot be started, waiting with
 * a limit, and that nothing is left of one that is closed or whose parent is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"

static void start(ml_process *p, const char *script) {
  const char *const words[] = { "sh", "-c", script, "name", "a b", "$x;'", NULL };
  ml_error err = {0};
  if (ml_process_start(p, "/bin/sh", words, &err) != ML_OK) fail_msg("%s", err.message);
}

/* Reads a stream to its end into text, which has room for size bytes. */
static void read_all(ml_process *p, int stream, char *text, size_t size) {
  size_t used = 0;
  while (p->streams[stream] >= 0) {
    used += ml_process_read(p, stream, text + used, size - 1 - used);
    if (p->streams[stream] >= 0) assert_int_equal(ml_process_wait(&p, 1, 10000, NULL), ML_OK);
  }
  text[used] = 0;
}

static int code_of(ml_process *p) {
  while (!ml_process_has_ended(p)) assert_int_equal(ml_process_wait(&p, 1, 10, NULL), ML_OK);
  return p->code;
}

static void test_streams_and_codes(void **state) {
  (void)state;
  static const struct { const char *script, *out, *err; int code; } cases[] = {
    { "printf '%s|' \"$@\"; echo oh >&2; exit 3", "a b|$x;'|", "oh\n", 3 },
    { "cat; echo end", "end\n", "", 0 },
    { "exec 1>&- 2>&-; sleep 0.05; exit 5", "", "", 5 },
    { "echo before; kill -9 $$", "before\n", "", 137 },
    { "kill -TERM $$; sleep 9", "", "", 143 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_process p;
    char out[64], err[64];
    start(&p, cases[i].script);
    read_all(&p, ML_PROCESS_OUT, out, sizeof out);
    read_all(&p, ML_PROCESS_ERR, err, sizeof err);
    assert_string_equal(out, cases[i].out);
    assert_string_equal(err, cases[i].err);
    assert_int_equal(code_of(&p), cases[i].code);
    ml_process_close(&p);
    ml_process_close(&p);
    assert_int_equal(p.code, cases[i].code);
  }
}

static void test_a_large_output(void **state) {
  (void)state;
  ml_process p, *list[] = { &p };
  char block[1000];
  size_t size = 0;
  start(&p, "i=0; while [ $i -lt 400 ]; do printf '%1000d' $i; i=$((i + 1)); done");
  while (p.streams[ML_PROCESS_OUT] >= 0) {
    size += ml_process_read(&p, ML_PROCESS_OUT, block, sizeof block);
    assert_int_equal(ml_process_wait(list, 1, 10, NULL), ML_OK);
  }
  assert_int_equal(size, 400000);
  assert_int_equal(code_of(&p), 0);
  ml_process_close(&p);
}

static void test_what_cannot_be_started(void **state) {
  (void)state;
  static const struct { const char *path, *message; } cases[] = {
    { "/nowhere/program", "/nowhere/program: cannot be started: No such file" },
    { "/tmp", "/tmp: cannot be started: Permission denied" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *const words[] = { "program", NULL };
    ml_process p;
    ml_error err = {0};
    assert_int_equal(ml_process_start(&p, cases[i].path, words, &err), ML_IO);
    assert_non_null(strstr(err.message, cases[i].message));
    assert_int_equal(p.pid, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);   /* no zombie */
    ml_process_close(&p);
  }
}

static void test_asked_and_made_to_end(void **state) {
  (void)state;
  ml_process polite, deaf, *list[] = { &polite, &deaf };
  char text[64];
  start(&polite, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  start(&deaf, "trap '' TERM; echo ready; while :; do sleep 0.01; done");
  for (int i = 0; i < 2; i++) {
    while (ml_process_read(list[i], ML_PROCESS_OUT, text, sizeof text) == 0) ml_process_wait(list, 2, 1000, NULL);
    assert_false(ml_process_has_ended(list[i]));
    ml_process_signal(list[i], SIGTERM);
  }
  read_all(&polite, ML_PROCESS_OUT, text, sizeof text);
  assert_string_equal(text, "bye\n");
  assert_int_equal(code_of(&polite), 7);
  assert_false(ml_process_has_ended(&deaf));
  assert_int_equal(ml_process_wait(list, 2, 0, NULL), ML_OK);
  ml_process_close(&deaf);
  assert_int_equal(deaf.code, 137);
  ml_process_signal(&deaf, SIGTERM);
  ml_process_close(&polite);
}

/* A process of this test starts one and is killed: the other end of a pipe that only the latter holds is closed. */
static void test_it_ends_with_its_parent(void **state) {
  (void)state;
  int held[2];
  char c;
  assert_int_equal(pipe(held), 0);
  pid_t parent = fork();
  assert_true(parent >= 0);
  if (parent == 0) {
    ml_process p;
    close(held[0]);
    dup2(held[1], STDERR_FILENO);
    close(held[1]);
    const char *const words[] = { "sh", "-c", "exec sleep 100", NULL };
    if (ml_process_start(&p, "/bin/sh", words, NULL) != ML_OK) _exit(1);
    dprintf(STDERR_FILENO, "%ld\n", (long)p.pid);
    pause();
  }
  close(held[1]);
  long pid = 0;
  while (read(held[0], &c, 1) == 1 && c != '\n') pid = 10 * pid + (c - '0');
  assert_true(pid > 0);
  kill(parent, SIGKILL);
  waitpid(parent, NULL, 0);
  for (int i = 0; i < 500 && kill((pid_t)pid, 0) == 0; i++) {
    char path[64], what = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) break;
    if (fscanf(f, "%*d %*s %c", &what) == 1 && what == 'Z') i = 500;   /* nobody here waits for it */
    fclose(f);
    usleep(10000);
    assert_int_not_equal(i, 499);
  }
  close(held[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_streams_and_codes), cmocka_unit_test(test_a_large_output),
    cmocka_unit_test(test_what_cannot_be_started), cmocka_unit_test(test_asked_and_made_to_end),
    cmocka_unit_test(test_it_ends_with_its_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
