/* Questions to a terminal: this test is the terminal (a pseudo-terminal), and a child of it asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/terminal.h"

static const char question[] = "\033[c";

/* What the child does in its terminal; its exit code is 0 if all is well. */
typedef int (*part)(void);

static int start(pid_t *child, part play) {
  struct winsize size = { .ws_row = 30, .ws_col = 100, .ws_xpixel = 900, .ws_ypixel = 540 };
  int fd;
  *child = forkpty(&fd, NULL, NULL, &size);
  assert_true(*child >= 0);
  if (*child == 0) _exit(play());
  return fd;
}

static void finish(int fd, pid_t child) {
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  close(fd);
}

/* Reads what the child has written up to `text`. */
static void expect(int fd, const char *text) {
  char got[256] = "";
  size_t length = 0;
  while (!strstr(got, text)) {
    struct pollfd p = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 10000), 1);
    ssize_t n = read(fd, got + length, sizeof got - 1 - length);
    assert_true(n > 0);
    length += (size_t)n;
    got[length] = 0;
  }
}

static void say(int fd, const char *text) { assert_int_equal(write(fd, text, strlen(text)), strlen(text)); }

static bool unchanged(const struct termios *before) {
  struct termios after;
  return tcgetattr(0, &after) == 0 && after.c_lflag == before->c_lflag
    && memcmp(after.c_cc, before->c_cc, sizeof after.c_cc) == 0;
}

/* ---- answers ---- */

static int ask_once(void) {
  struct termios before;
  char reply[64], rest[8];
  tcgetattr(0, &before);
  size_t length = ml_terminal_ask(reply, sizeof reply, question, 'c', 10000);
  if (length != 8 || memcmp(reply, "\033[?62;4c", 8) != 0) return 1;
  if (!unchanged(&before)) return 2;
  return read(0, rest, sizeof rest) == 3 && memcmp(rest, "ls\n", 3) == 0 ? 0 : 3;
}

static void test_answer(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_once);
  expect(fd, question);
  say(fd, "\033[?62;4cls\n");   /* what follows the answer is somebody's typing */
  finish(fd, child);
}

static int ask_in_vain(void) {
  struct termios before;
  char reply[64];
  tcgetattr(0, &before);
  if (ml_terminal_ask(reply, sizeof reply, question, 'c', 30) != 0) return 1;
  return unchanged(&before) ? 0 : 2;
}

static void test_no_answer(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_in_vain);
  finish(fd, child);
}

static int ask_with_little_room(void) {
  char reply[5];
  return ml_terminal_ask(reply, sizeof reply, question, 'c', 10000) == 0 ? 0 : 1;
}

static void test_long_answer(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_with_little_room);
  expect(fd, question);
  say(fd, "\033[?62;1;2;3;4;5;6c");
  finish(fd, child);
}

/* ---- when nothing is asked ---- */

static int ask_while_typing(void) {
  char reply[64], line[8];
  struct pollfd p = { .fd = 0, .events = POLLIN };
  if (poll(&p, 1, 10000) != 1) return 1;
  if (ml_terminal_ask(reply, sizeof reply, question, 'c', 10000) != 0) return 2;
  return read(0, line, sizeof line) == 3 && memcmp(line, "ab\n", 3) == 0 ? 0 : 3;
}

static void test_typed_ahead(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_while_typing);
  say(fd, "ab\n");
  finish(fd, child);
}

static int asks_in_vain(void) {
  char reply[64];
  return ml_terminal_ask(reply, sizeof reply, question, 'c', 10000) == 0 ? 0 : 1;
}

static int exit_code_of(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}

/* A grandchild in a process group of its own is in the background. */
static int ask_in_background(void) {
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    _exit(asks_in_vain());
  }
  return exit_code_of(child);
}

static void test_background(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_in_background);
  finish(fd, child);
}

/* One in a session of its own has no terminal. */
static int ask_without_terminal(void) {
  pid_t child = fork();
  if (child == 0) {
    setsid();
    _exit(asks_in_vain());
  }
  return exit_code_of(child);
}

static void test_no_terminal(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_without_terminal);
  finish(fd, child);
}

/* ---- signals ---- */

static volatile sig_atomic_t caught;
static struct termios at_start;
static volatile sig_atomic_t was_restored;

static void on_signal(int number) {
  (void)number;
  caught = 1;
  was_restored = unchanged(&at_start);
}

/* The signal that comes while the terminal is silent is handled when it no longer is. */
static int ask_and_be_interrupted(void) {
  struct sigaction action = { .sa_handler = on_signal };
  char reply[64];
  tcgetattr(0, &at_start);
  sigaction(SIGINT, &action, NULL);
  if (ml_terminal_ask(reply, sizeof reply, question, 'c', 10000) == 0) return 1;
  return caught && was_restored ? 0 : 2;
}

static void test_signal(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, ask_and_be_interrupted);
  expect(fd, question);
  assert_int_equal(kill(child, SIGINT), 0);
  say(fd, "\033[?1c");
  finish(fd, child);
}

/* ---- size ---- */

static int measure(void) {
  ml_terminal_size size;
  if (!ml_terminal_measure(&size)) return 1;
  if (size.columns != 100 || size.rows != 30 || size.cell_width != 9 || size.cell_height != 18) return 2;
  int null = open("/dev/null", O_RDWR);
  dup2(null, 2);
  if (!ml_terminal_measure(&size) || size.columns != 100) return 3;   /* of stdout */
  dup2(null, 1);
  return ml_terminal_measure(&size) ? 4 : 0;
}

static void test_size(void **state) {
  (void)state;
  pid_t child;
  int fd = start(&child, measure);
  finish(fd, child);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answer),     cmocka_unit_test(test_no_answer),   cmocka_unit_test(test_long_answer),
    cmocka_unit_test(test_typed_ahead), cmocka_unit_test(test_background), cmocka_unit_test(test_no_terminal),
    cmocka_unit_test(test_signal),     cmocka_unit_test(test_size),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
