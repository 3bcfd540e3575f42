/* Pieces of text and data that a program's file carries behind the program: how `mnistlua export --exe` makes one file
 * that runs alone. main.c and src/bind read them, src/bind writes them; what the pieces mean is Lua's business.
 *
 *   the program's own bytes
 *   each piece: u32 length of its name, u64 size, the name, the bytes
 *   trailer of 32 bytes: u64 size of all pieces, u32 CRC-32 of them, u32 version (1), "mnistlua carried"
 *
 * Numbers are little-endian. A file that does not end in the mark carries nothing. */
#ifndef ML_IO_CARRIED_H
#define ML_IO_CARRIED_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ml_carried {
  uint8_t *block;   /* all pieces; NULL where there are none */
  size_t size;
} ml_carried;

typedef struct ml_piece {
  const char *name;
  const void *bytes;
  size_t size;
} ml_piece;

/* What the file at path carries, which may be nothing. ML_FORMAT if it is damaged; the message begins with the path. On
 * success the caller calls ml_carried_clear. */
ml_status ml_carried_read(ml_carried *c, const char *path, ml_error *err);
void ml_carried_clear(ml_carried *c);

/* The bytes of the first piece of this name, or NULL. They live as long as c. */
const uint8_t *ml_carried_find(const ml_carried *c, const char *name, size_t *size);

/* Writes the program at `program`, without what it carries itself, and these pieces; who may read the file may run it.
 */
ml_status ml_carried_write(const char *path, const char *program, const ml_piece *pieces, int64_t count, ml_error *err);

#endif
