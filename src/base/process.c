/* fork and exec, because the child has things to do in between that posix_spawn has no words for; it does only what is
 * async-signal-safe, since other threads of this process may hold any lock. That exec failed is told through a pipe
 * which a successful one closes. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { EXEC_FAILED = 127, POLL_MS = 20 };

/* ---- in the child ---- */

/* What the parent catches is caught no longer; what it ignores stays ignored. */
static void default_signals(void) {
  static const int caught[] = { SIGINT, SIGTERM };
  struct sigaction now, otherwise = { .sa_handler = SIG_DFL };
  for (int i = 0; i < 2; i++) {
    if (sigaction(caught[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaction(caught[i], &otherwise, NULL);
  }
}

/* Whether the parent is still there to be tied to. */
static bool tie_to_parent(pid_t parent) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  return getppid() == parent;
}

_Noreturn static void become(const char *path, const char *const *argv, const int out[2], int report, pid_t parent,
                             const sigset_t *mask) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool ready = null >= 0 && tie_to_parent(parent) && dup2(null, STDIN_FILENO) >= 0;
  ready = ready && dup2(out[ML_PROCESS_OUT], STDOUT_FILENO) >= 0 && dup2(out[ML_PROCESS_ERR], STDERR_FILENO) >= 0;
  setpgid(0, 0);
#ifdef CLOSE_RANGE_CLOEXEC
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
#endif
  default_signals();
  sigprocmask(SIG_SETMASK, mask, NULL);
  if (ready) execv(path, (char *const *)argv);
  int reason = errno;
  ssize_t told = write(report, &reason, sizeof reason);
  _exit(told < 0 ? EXEC_FAILED - 1 : EXEC_FAILED);
}

/* ---- starting ---- */

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* The pipes: { read, write } of standard output, of standard error, and of what tells that exec failed. */
static bool open_pipes(int pipes[3][2]) {
  memset(pipes, 0xff, 3 * sizeof pipes[0]);   /* -1 */
  for (int i = 0; i < 3; i++) {
    if (pipe2(pipes[i], O_CLOEXEC) != 0) return false;
  }
  return fcntl(pipes[0][0], F_SETFL, O_NONBLOCK) == 0 && fcntl(pipes[1][0], F_SETFL, O_NONBLOCK) == 0;
}

/* 0 if exec went well, else why not. */
static int exec_errno(int report) {
  int reason = 0;
  ssize_t size;
  do size = read(report, &reason, sizeof reason);
  while (size < 0 && errno == EINTR);
  return size == (ssize_t)sizeof reason ? reason : 0;
}

static void reap(pid_t pid, int *status) {
  while (waitpid(pid, status, 0) < 0 && errno == EINTR) { }
}

ml_status ml_process_start(ml_process *p, const char *path, const char *const *argv, ml_error *err) {
  int pipes[3][2], reason = 0, status;
  sigset_t all, before;
  *p = (ml_process){ .streams = { -1, -1 } };
  if (!open_pipes(pipes)) reason = errno;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);    /* no handler of this process runs in the child */
  pid_t parent = getpid(), pid = reason == 0 ? fork() : -1;
  if (pid == 0) become(path, argv, (const int[]){ pipes[0][1], pipes[1][1] }, pipes[2][1], parent, &before);
  if (pid < 0 && reason == 0) reason = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  for (int i = 0; i < 3; i++) close_fd(&pipes[i][1]);
  if (pid > 0) reason = exec_errno(pipes[2][0]);
  if (pid > 0 && reason != 0) reap(pid, &status);
  close_fd(&pipes[2][0]);
  if (reason == 0) {
    *p = (ml_process){ .pid = pid, .streams = { pipes[0][0], pipes[1][0] } };
    return ML_OK;
  }
  for (int i = 0; i < 2; i++) close_fd(&pipes[i][0]);
  return ml_fail_errno(err, reason, "%s: cannot be started", path);
}

/* ---- waiting ---- */

/* A process whose streams are closed is gone in a moment, but nothing tells when. */
static bool is_silent(const ml_process *p) {
  return p->pid > 0 && !p->ended && p->streams[0] < 0 && p->streams[1] < 0;
}

ml_status ml_process_wait(ml_process *const *list, size_t count, int milliseconds, ml_error *err) {
  struct pollfd *fds = ml_alloc((2 * count + 1) * sizeof *fds);
  if (!fds) return ml_fail(err, ML_NOMEM, "out of memory for %zu processes", count);
  nfds_t n = 0;
  for (size_t i = 0; i < count; i++) {
    for (int s = 0; s < 2; s++) {
      if (list[i]->streams[s] >= 0) fds[n++] = (struct pollfd){ .fd = list[i]->streams[s], .events = POLLIN };
    }
    if (is_silent(list[i]) && milliseconds > POLL_MS) milliseconds = POLL_MS;
  }
  int found = poll(fds, n, milliseconds), reason = errno;
  ml_free(fds);
  if (found >= 0 || reason == EINTR) return ML_OK;
  return ml_fail_errno(err, reason, "cannot wait for processes");
}

size_t ml_process_read(ml_process *p, int stream, void *to, size_t size) {
  int *fd = &p->streams[stream];
  if (*fd < 0 || size == 0) return 0;
  ssize_t got;
  do got = read(*fd, to, size);
  while (got < 0 && errno == EINTR);
  if (got > 0) return (size_t)got;
  if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) close_fd(fd);
  return 0;
}

/* ---- the end ---- */

static void note_end(ml_process *p, int status) {
  p->ended = true;
  p->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool ml_process_has_ended(ml_process *p) {
  int status = 0;
  if (p->ended || p->pid == 0) return true;
  pid_t got = waitpid(p->pid, &status, WNOHANG);
  if (got == p->pid) note_end(p, status);
  else if (got < 0 && errno == ECHILD) note_end(p, EXEC_FAILED << 8);   /* somebody else has waited for it */
  return p->ended;
}

void ml_process_signal(ml_process *p, int signal) {
  if (p->pid == 0 || ml_process_has_ended(p)) return;
  if (kill(-p->pid, signal) != 0) kill(p->pid, signal);   /* its group, once it has made it */
}

void ml_process_close(ml_process *p) {
  int status = 0;
  for (int s = 0; s < 2; s++) close_fd(&p->streams[s]);
  if (p->pid == 0 || ml_process_has_ended(p)) return;
  ml_process_signal(p, SIGKILL);
  reap(p->pid, &status);
  note_end(p, status);
}
