/* The bytes of a file as they are after unpacking, read piece by piece, so that a reader can look at a header before it
 * decides how much to unpack. Used by the readers of this folder only. */
#ifndef ML_DATA_GZIP_H
#define ML_DATA_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"

typedef struct ml_source {
  const char *path;
  ml_file file;
  uint8_t *packed;    /* of gzip: the whole file, from ml_alloc */
  size_t at;          /* bytes given out so far */
  bool gzip, ended;   /* ended: the last gzip member is behind us */
  z_stream stream;
} ml_source;

/* Opens a file of at most max_file bytes; gzip is recognised by its first two bytes. path must outlive s, and s must
 * stay in place. On failure there is nothing to close. */
ml_status ml_source_open(ml_source *s, const char *path, size_t max_file, ml_error *err);
void ml_source_close(ml_source *s);

/* Up to want bytes into out; *got is less than want only where the data end. ML_FORMAT if the gzip data are damaged. */
ml_status ml_source_read(ml_source *s, void *out, size_t want, size_t *got, ml_error *err);

/* All the data at once, from the first byte on, in less than half the time: true if the file is one gzip member that
 * holds exactly size good bytes, and then nothing is left to read. False if it is anything else, a damaged one for
 * instance; then out may hold anything, and reading goes on piece by piece where it stood, and says what is wrong. */
bool ml_source_unpack(ml_source *s, void *out, size_t size);

/* The most bytes that can still follow: exact for a plain file; for gzip what its packed size could unpack to. */
size_t ml_source_most(const ml_source *s);

#endif
