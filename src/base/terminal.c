/* The size of the terminal, and questions to it: an escape code that the terminal answers as if somebody had typed. */
#include "base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

bool ml_terminal_measure(ml_terminal_size *size) {
  static const int streams[] = { STDERR_FILENO, STDOUT_FILENO };
  for (int i = 0; i < 2; i++) {
    struct winsize w;
    if (ioctl(streams[i], TIOCGWINSZ, &w) != 0 || w.ws_col == 0) continue;
    bool pixels = w.ws_row > 0 && w.ws_xpixel >= w.ws_col && w.ws_ypixel >= w.ws_row;
    *size = (ml_terminal_size){
      .columns = w.ws_col, .rows = w.ws_row,
      .cell_width = pixels ? w.ws_xpixel / w.ws_col : 0, .cell_height = pixels ? w.ws_ypixel / w.ws_row : 0,
    };
    return true;
  }
  return false;
}

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool readable(int fd, long long milliseconds) {
  struct pollfd p = { .fd = fd, .events = POLLIN };
  return poll(&p, 1, milliseconds > 0 ? (int)milliseconds : 0) == 1 && (p.revents & POLLIN);
}

static bool write_all(int fd, const char *text, size_t left) {
  while (left > 0) {
    ssize_t n = write(fd, text, left);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text += n, left -= (size_t)n;
  }
  return true;
}

/* Byte by byte: what comes after the answer stays for whoever reads next. */
static size_t read_answer(int fd, char *reply, size_t size, char last, int milliseconds) {
  long long end = now() + milliseconds;
  for (size_t length = 0; length < size && readable(fd, end - now());) {
    if (read(fd, &reply[length], 1) != 1) return 0;
    if (reply[length++] == last) return length;
  }
  return 0;
}

static size_t exchange(int fd, char *reply, size_t size, const char *question, char last, int milliseconds) {
  struct termios before, quiet;
  if (tcgetattr(fd, &before) != 0) return 0;
  quiet = before;
  quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  quiet.c_cc[VMIN] = 0;
  quiet.c_cc[VTIME] = 0;
  if (tcsetattr(fd, TCSANOW, &quiet) != 0) return 0;
  size_t length = 0;
  if (!readable(fd, 0) && write_all(fd, question, strlen(question))) {
    length = read_answer(fd, reply, size, last, milliseconds);
  }
  tcsetattr(fd, TCSANOW, &before);
  return length;
}

size_t ml_terminal_ask(char *reply, size_t size, const char *question, char last, int milliseconds) {
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t length = 0;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);   /* one that ended the process would leave the terminal silent */
  if (tcgetpgrp(fd) == getpgrp()) length = exchange(fd, reply, size, question, last, milliseconds);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(fd);
  return length;
}
