/* Files in, and names and folders. Readers of data and checkpoints open what they read here. Nothing here waits for a
 * FIFO or a device, trusts a size that a file does not have, or writes into a file: that is writer.c. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define CALL_BYTES ((size_t)1 << 30) /* the most that one read is asked for */

const char *ml_file_kind(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "something else";
}

/* O_NONBLOCK keeps a FIFO from holding the program up before it is refused. */
ml_status ml_file_open(ml_file *file, const char *path, size_t max_bytes, ml_error *err) {
  *file = (ml_file){.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)};
  if (file->fd < 0) return ml_fail_errno(err, errno, "cannot be opened");
  struct stat st;
  ml_status status = ML_OK;
  if (fstat(file->fd, &st) != 0) status = ml_fail_errno(err, errno, "cannot be examined");
  else if (!S_ISREG(st.st_mode)) status = ml_fail(err, ML_IO, "expected a file, got %s", ml_file_kind(st.st_mode));
  else if ((file->size = (size_t)st.st_size) > max_bytes)
    status = ml_fail(err, ML_FORMAT, "expected at most %zu bytes, got %zu", max_bytes, file->size);
  if (status != ML_OK) ml_file_close(file);
  return status;
}

void ml_file_close(ml_file *file) {
  close(file->fd);
  file->fd = -1;
}

ml_status ml_file_read_at(const ml_file *file, void *to, size_t size, size_t at, ml_error *err) {
  if (file->bytes) {
    if (at > file->size || size > file->size - at)
      return ml_fail(err, ML_FORMAT, "expected %zu bytes at byte %zu, got %zu in all", size, at, file->size);
    if (size > 0) memcpy(to, file->bytes + at, size);
    return ML_OK;
  }
  for (size_t done = 0; done < size;) {
    size_t want = size - done < CALL_BYTES ? size - done : CALL_BYTES;
    ssize_t got = pread(file->fd, (char *)to + done, want, (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ml_fail_errno(err, errno, "cannot be read at byte %zu", at + done);
    if (got == 0)
      return ml_fail(err, ML_FORMAT, "shrank while it was read: expected %zu bytes, got %zu", file->size, at + done);
    done += (size_t)got;
  }
  return ML_OK;
}

ml_status ml_file_read_all(uint8_t **data, const ml_file *file, ml_error *err) {
  uint8_t *block = file->size < SIZE_MAX ? ml_alloc(file->size + 1) : NULL;
  if (block == NULL) return ml_fail(err, ML_NOMEM, "not enough memory for %zu bytes", file->size);
  ml_status status = ml_file_read_at(file, block, file->size, 0, err);
  if (status != ML_OK) {
    ml_free(block);
    return status;
  }
  block[file->size] = 0;
  *data = block;
  return ML_OK;
}

ml_status ml_file_read(uint8_t **data, size_t *size, const char *path, size_t max_bytes, ml_error *err) {
  ml_file file;
  ml_status status = ml_file_open(&file, path, max_bytes, err);
  if (status == ML_OK) {
    status = ml_file_read_all(data, &file, err);
    ml_file_close(&file);
  }
  if (status == ML_OK) *size = file.size;
  else ml_error_prefix(err, "%s", path);
  return status;
}

/* ---- names and folders ---- */

bool ml_file_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

bool ml_file_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool ml_file_same(const char *a, const char *b) {
  struct stat one, other;
  return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static ml_status make_dir(const char *path, ml_error *err) {
  if (mkdir(path, 0777) == 0) return ML_OK;
  int reason = errno;
  if (ml_file_is_dir(path)) return ML_OK;
  if (reason == EEXIST) return ml_fail(err, ML_IO, "%s: expected a folder, got a file", path);
  return ml_fail_errno(err, reason, "%s: the folder cannot be made", path);
}

ml_status ml_make_dirs(const char *path, ml_error *err) {
  size_t size = strlen(path) + 1;
  char *part = ml_alloc(size);
  if (part == NULL) return ml_fail(err, ML_NOMEM, "%s: not enough memory for %zu bytes", path, size);
  memcpy(part, path, size);
  ml_status status = ML_OK;
  for (char *at = part; *at != 0 && status == ML_OK; at++) {
    if (*at != '/' || at == part) continue;
    *at = 0;
    status = make_dir(part, err);
    *at = '/';
  }
  if (status == ML_OK) status = make_dir(part, err);
  ml_free(part);
  return status;
}
