/* Locks by fcntl's open file descriptions: unlike the older kind they are not lost when some other descriptor of the
 * file is closed, and unlike flock they can be asked about without being taken. Called by the bindings. The file is
 * never removed, so that two processes cannot hold locks on two files of one name. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int request(int fd, int command, struct flock *whole) {
  int result;
  *whole = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  do result = fcntl(fd, command, whole);
  while (result != 0 && errno == EINTR);
  return result;
}

/* The number that the holder wrote. */
static long read_holder(int fd) {
  char text[32];
  ssize_t size = pread(fd, text, sizeof text - 1, 0);
  text[size > 0 ? size : 0] = 0;
  return strtol(text, NULL, 10);
}

/* Only a hint for messages: a full disk does not keep a run from starting. */
static void write_holder(int fd) {
  char text[32];
  int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) != size) return;
}

ml_status ml_lock_take(ml_lock *lock, const char *path, long *holder, ml_error *err) {
  struct flock whole;
  *lock = (ml_lock){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666)};
  *holder = -1;
  if (lock->fd < 0) return ml_fail_errno(err, errno, "%s: cannot be opened", path);
  if (request(lock->fd, F_OFD_SETLK, &whole) == 0) {
    write_holder(lock->fd);
    return ML_OK;
  }
  int reason = errno;
  if (reason == EAGAIN || reason == EACCES) *holder = read_holder(lock->fd);
  ml_lock_release(lock);
  if (*holder < 0) return ml_fail_errno(err, reason, "%s: cannot be locked", path);
  return ml_fail(err, ML_IO, "%s: is held by process %ld", path, *holder);
}

void ml_lock_release(ml_lock *lock) {
  if (lock->fd >= 0) close(lock->fd);
  lock->fd = -1;
}

bool ml_lock_held(const char *path, long *holder) {
  struct flock whole;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return false;
  bool held = request(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
  *holder = held ? read_holder(fd) : 0;
  close(fd);
  return held;
}
