/* Files out. Everything that is saved goes through ml_writer, so nothing is ever written under its final name, and the
 * names of the temporaries are where a signal handler can remove them. Called by src/io and by the bindings. */
#include "base/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum {
  BUFFER_BYTES = 64 * 1024,
  CALL_BYTES = 1 << 30, /* the most that one write is asked for */
  NAME_TRIES = 100,
  MAX_LINKS = 40,       /* as many as Linux follows */
  MAX_TEMPORARIES = 8   /* that are removed when a signal ends the program */
};

static ml_status no_memory(const char *path, size_t size, ml_error *err) {
  return ml_fail(err, ML_NOMEM, "%s: not enough memory for %zu bytes", path, size);
}

/* ---- temporaries ---- */

/* The names of the temporaries that exist, where a signal handler can read them: a name is whole before its slot is
 * IN_USE, and the file is gone before the slot is FREE again. */
typedef enum slot_state { FREE, BEING_FILLED, IN_USE } slot_state;

static struct {
  _Atomic int state;
  char name[PATH_MAX];
} temporaries[MAX_TEMPORARIES];

/* Threads between opening a temporary and remembering it; and whether the program is about to end, so that no further
 * one may be opened. */
static _Atomic int opening;
static _Atomic bool closed;

/* Whoever opens a file has its signals blocked, so a handler never waits for the thread that it interrupted. */
void ml_writer_unlink_all(void) {
  while (atomic_load(&opening) > 0) sched_yield();
  for (int i = 0; i < MAX_TEMPORARIES; i++)
    if (atomic_load(&temporaries[i].state) == IN_USE) unlink(temporaries[i].name);
}

void ml_writer_shut(void) {
  atomic_store(&closed, true);
  ml_writer_unlink_all();
}

/* A name that finds no slot is not removed by a signal, which is all that it loses. */
static void remember(const char *name) {
  if (strlen(name) >= PATH_MAX) return;
  for (int i = 0; i < MAX_TEMPORARIES; i++) {
    int expected = FREE;
    if (!atomic_compare_exchange_strong(&temporaries[i].state, &expected, BEING_FILLED)) continue;
    strcpy(temporaries[i].name, name);
    atomic_store(&temporaries[i].state, IN_USE);
    return;
  }
}

static void forget(const char *name) {
  for (int i = 0; i < MAX_TEMPORARIES; i++)
    if (atomic_load(&temporaries[i].state) == IN_USE && strcmp(temporaries[i].name, name) == 0)
      atomic_store(&temporaries[i].state, FREE);
}

/* Opens a file that did not exist. Signals wait until its name is remembered. */
static int create(const char *name) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  atomic_fetch_add(&opening, 1);
  int fd = -1;
  if (atomic_load(&closed)) errno = ECANCELED;
  else fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
  if (fd >= 0) remember(name);
  int reason = errno;
  atomic_fetch_sub(&opening, 1);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = reason;
  return fd;
}

/* Creates a file that did not exist, named "<stem>.<process>.<number>.tmp". The name comes from ml_alloc and is NULL if
 * there is no memory; *fd is -1, with errno, if no such file can be made. */
static char *create_temporary(int *fd, const char *stem) {
  static _Atomic unsigned counter;
  size_t size = strlen(stem) + 48;
  char *name = ml_alloc(size);
  *fd = -1;
  for (int tries = 0; name != NULL && *fd < 0 && tries < NAME_TRIES; tries++) {
    snprintf(name, size, "%s.%ld.%u.tmp", stem, (long)getpid(), atomic_fetch_add(&counter, 1));
    *fd = create(name);
    if (*fd < 0 && errno != EEXIST && errno != EINTR) break;
  }
  return name;
}

static int remove_temporary(const char *name) {
  int result = unlink(name), reason = errno;
  forget(name);
  errno = reason;
  return result;
}

/* ---- writing ---- */

struct ml_writer {
  int fd;         /* -1 once closed */
  bool failed;    /* the temporary is gone already */
  size_t used;    /* bytes waiting in buffer */
  char *path;     /* as the caller gave it, for messages */
  char *target;   /* what that leads to: the name that the temporary gets in the end */
  char *folder;   /* of target */
  char *temporary;
  uint8_t buffer[BUFFER_BYTES];
};

static void free_writer(ml_writer *w) {
  ml_free(w->path);
  ml_free(w->target);
  ml_free(w->folder);
  ml_free(w->temporary);
  ml_free(w);
}

/* Removes the temporary and returns status. */
static ml_status give_up(ml_writer *w, ml_status status) {
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  if (!w->failed) remove_temporary(w->temporary);
  w->failed = true;
  return status;
}

static char *copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = ml_alloc(size);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}

/* "a/b" gives "a", "/b" gives "/", "b" gives ".". From ml_alloc; NULL if there is no memory. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = copy_text(slash == NULL ? "." : path);
  if (folder != NULL && slash != NULL) folder[slash == path ? 1 : slash - path] = 0;
  return folder;
}

/* What stands under the final name may only be a file: rename would put one in the place of a device. */
static ml_status check_target(const char *path, ml_error *err) {
  struct stat st;
  if (stat(path, &st) != 0 || S_ISREG(st.st_mode)) return ML_OK;
  return ml_fail(err, ML_IO, "%s: cannot be replaced: expected a file, got %s", path, ml_file_kind(st.st_mode));
}

/* What the link at `name` means by `text`: a relative one counts from the link's folder. NULL if there is no memory. */
static char *link_target(const char *name, const char *text) {
  const char *slash = text[0] == '/' ? NULL : strrchr(name, '/');
  size_t head = slash == NULL ? 0 : (size_t)(slash - name) + 1, tail = strlen(text) + 1;
  char *target = ml_alloc(head + tail);
  if (target == NULL) return NULL;
  memcpy(target, name, head);
  memcpy(target + head, text, tail);
  return target;
}

/* Where path leads, link by link, also if nothing is there yet (then realpath would fail). */
static ml_status follow_links(char **target, const char *path, ml_error *err) {
  char text[PATH_MAX];
  char *name = copy_text(path);
  for (int links = 0; name != NULL; links++) {
    ssize_t length = readlink(name, text, sizeof text - 1);
    if (length < 0) { /* not a link; what else may be wrong shows when the file is made */
      *target = name;
      return ML_OK;
    }
    text[length] = 0;
    char *next = links < MAX_LINKS ? link_target(name, text) : NULL;
    ml_free(name);
    if (links == MAX_LINKS) return ml_fail_errno(err, ELOOP, "%s: cannot be followed", path);
    name = next;
  }
  return no_memory(path, strlen(path), err);
}

ml_status ml_writer_open(ml_writer **out, const char *path, ml_error *err) {
  if (*path == 0) return ml_fail(err, ML_IO, "cannot save: the name of the file is empty");
  ml_status status = check_target(path, err);
  if (status != ML_OK) return status;
  ml_writer *w = ml_alloc(sizeof *w);
  if (w == NULL) return no_memory(path, sizeof *w, err);
  *w = (ml_writer){.fd = -1};
  status = follow_links(&w->target, path, err);
  if (status != ML_OK) {
    free_writer(w);
    return status;
  }
  w->path = copy_text(path);
  w->folder = folder_of(w->target);
  if (w->path != NULL && w->folder != NULL) w->temporary = create_temporary(&w->fd, w->target);
  if (w->temporary == NULL) status = no_memory(path, strlen(path), err);
  else if (w->fd < 0) status = ml_fail_errno(err, errno, "%s: cannot create a file beside it", path);
  if (status != ML_OK) free_writer(w);
  else *out = w;
  return status;
}

static ml_status write_all(ml_writer *w, const uint8_t *data, size_t size, ml_error *err) {
  for (size_t at = 0; at < size;) {
    ssize_t put = write(w->fd, data + at, size - at < CALL_BYTES ? size - at : CALL_BYTES);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return give_up(w, ml_fail_errno(err, put < 0 ? errno : EIO, "%s: cannot be written", w->path));
    at += (size_t)put;
  }
  return ML_OK;
}

static ml_status flush(ml_writer *w, ml_error *err) {
  size_t size = w->used;
  w->used = 0;
  return write_all(w, w->buffer, size, err);
}

static ml_status failed_before(const ml_writer *w, ml_error *err) {
  return ml_fail(err, ML_IO, "%s: not saved: an earlier write failed", w->path);
}

ml_status ml_writer_write(ml_writer *w, const void *data, size_t size, ml_error *err) {
  if (w->failed) return failed_before(w, err);
  if (size > BUFFER_BYTES - w->used) {
    ml_status status = flush(w, err);
    if (status != ML_OK) return status;
    if (size >= BUFFER_BYTES) return write_all(w, data, size, err);
  }
  if (size > 0) memcpy(w->buffer + w->used, data, size);
  w->used += size;
  return ML_OK;
}

ml_status ml_writer_make_executable(ml_writer *w, ml_error *err) {
  struct stat st;
  if (w->failed) return failed_before(w, err);
  if (fstat(w->fd, &st) == 0 && fchmod(w->fd, (st.st_mode & 0777) | (st.st_mode & 0444) >> 2) == 0) return ML_OK;
  return give_up(w, ml_fail_errno(err, errno, "%s: cannot be made executable", w->path));
}

static int sync_retrying(int fd) {
  int result;
  do result = fsync(fd);
  while (result != 0 && errno == EINTR);
  return result;
}

/* Makes the new name durable. A folder that may not be read, or a file system that cannot sync folders, is no error. */
static ml_status sync_folder(const ml_writer *w, ml_error *err) {
  int fd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) return ML_OK;
  if (fd < 0) return ml_fail_errno(err, errno, "%s: its folder cannot be opened", w->path);
  int reason = sync_retrying(fd) == 0 ? 0 : errno;
  close(fd);
  if (reason == 0 || reason == EINVAL) return ML_OK;
  return ml_fail_errno(err, reason, "%s: its folder cannot be synced", w->path);
}

/* All that must succeed before the file counts as saved. */
static ml_status finish(ml_writer *w, ml_error *err) {
  if (w->failed) return failed_before(w, err);
  ml_status status = flush(w, err);
  if (status != ML_OK) return status;
  if (sync_retrying(w->fd) != 0) return give_up(w, ml_fail_errno(err, errno, "%s: cannot be synced", w->path));
  int fd = w->fd;
  w->fd = -1;
  if (close(fd) != 0 && errno != EINTR) return give_up(w, ml_fail_errno(err, errno, "%s: cannot be closed", w->path));
  if (rename(w->temporary, w->target) != 0)
    return give_up(w, ml_fail_errno(err, errno, "%s: cannot be renamed from its temporary", w->path));
  forget(w->temporary);
  return sync_folder(w, err);
}

ml_status ml_writer_commit(ml_writer *w, ml_error *err) {
  ml_status status = finish(w, err);
  free_writer(w);
  return status;
}

void ml_writer_abort(ml_writer *w) {
  if (w == NULL) return;
  give_up(w, ML_OK);
  free_writer(w);
}

ml_status ml_file_write(const char *path, const void *data, size_t size, ml_error *err) {
  ml_writer *w = NULL;
  ml_status status = ml_writer_open(&w, path, err);
  if (status != ML_OK) return status;
  status = ml_writer_write(w, data, size, err);
  if (status == ML_OK) return ml_writer_commit(w, err);
  ml_writer_abort(w);
  return status;
}

ml_status ml_check_writable_dir(const char *path, ml_error *err) {
  ml_status status = ml_make_dirs(path, err);
  if (status != ML_OK) return status;
  size_t size = strlen(path) + 16;
  char *stem = ml_alloc(size), *name = NULL;
  int fd = -1;
  if (stem != NULL) {
    snprintf(stem, size, "%s/.writable", path);
    name = create_temporary(&fd, stem);
  }
  if (name == NULL) status = no_memory(path, size, err);
  else if (fd < 0) status = ml_fail_errno(err, errno, "%s: files cannot be made in this folder", path);
  else if (remove_temporary(name) != 0) status = ml_fail_errno(err, errno, "%s: cannot be removed", name);
  if (fd >= 0) close(fd);
  ml_free(stem);
  ml_free(name);
  return status;
}
