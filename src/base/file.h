/* Bounded reading of files, and names and folders. Only regular files are read: a folder, FIFO or device is refused at
 * once. Writing is in writer.h. */
#ifndef ML_BASE_FILE_H
#define ML_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Reads a whole regular file of at most max_bytes. *data comes from ml_alloc (the caller frees it with ml_free) and has
 * one zero byte after its *size bytes. ML_IO if it cannot be read, ML_FORMAT if it is larger than max_bytes or shrinks
 * meanwhile. The message begins with the path. */
ml_status ml_file_read(uint8_t **data, size_t *size, const char *path, size_t max_bytes, ml_error *err);

/* A file, or bytes in memory, read in pieces. The messages of these calls lack the path, for callers that say more
 * before it. */
typedef struct ml_file {
  int fd;
  size_t size;   /* when it was opened: the bound of what a reader may believe */
  const uint8_t *bytes;   /* in memory: not NULL, and there is nothing to close */
} ml_file;

/* ML_FORMAT if it has more than max_bytes. On failure there is nothing to close. */
ml_status ml_file_open(ml_file *file, const char *path, size_t max_bytes, ml_error *err);
/* size bytes from byte `at` on; ML_FORMAT if the file has become too short. */
ml_status ml_file_read_at(const ml_file *file, void *to, size_t size, size_t at, ml_error *err);
/* Its size bytes and one zero byte, in a block from ml_alloc. */
ml_status ml_file_read_all(uint8_t **data, const ml_file *file, ml_error *err);
void ml_file_close(ml_file *file);

/* "a file", "a folder", "a FIFO" and so on, for messages. */
const char *ml_file_kind(mode_t mode);

bool ml_file_exists(const char *path);   /* anything of that name */
bool ml_file_is_dir(const char *path);
bool ml_file_same(const char *a, const char *b);   /* both are there, and are one file (links are followed) */

/* Creates a folder and its missing parents; an existing folder is fine. */
ml_status ml_make_dirs(const char *path, ml_error *err);

#endif
