/* What a program's file carries behind the program (carried.h has the format). Nothing of it is believed before its
 * checksum and every length are found right, so that looking for a piece need not check again. */
#include "io/carried.h"

#include <libdeflate.h>
#include <stdbool.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/writer.h"

enum { VERSION = 1, HEAD = 12, TRAILER = 32, MARK = 16 };

static const char mark[MARK + 1] = "mnistlua carried";

/* ---- reading ---- */

typedef struct trailer {
  uint64_t size;
  uint32_t crc, version;
} trailer;

/* False if the file does not end in a trailer. */
static ml_status read_trailer(trailer *t, bool *found, const ml_file *file, ml_error *err) {
  uint8_t bytes[TRAILER];
  *found = false;
  if (file->size < TRAILER) return ML_OK;
  ml_status status = ml_file_read_at(file, bytes, TRAILER, file->size - TRAILER, err);
  if (status != ML_OK || memcmp(bytes + TRAILER - MARK, mark, MARK) != 0) return status;
  memcpy(&t->size, bytes, 8);
  memcpy(&t->crc, bytes + 8, 4);
  memcpy(&t->version, bytes + 12, 4);
  *found = true;
  if (t->version != VERSION) return ml_fail(err, ML_FORMAT, "carries version %u, expected %d", t->version, VERSION);
  if (t->size > file->size - TRAILER)
    return ml_fail(err, ML_FORMAT, "is damaged: it carries %llu bytes and has %zu", (unsigned long long)t->size,
                   file->size);
  return ML_OK;
}

/* A piece in the block, and where the next one begins; false if it does not fit. */
static bool piece_at(const ml_carried *c, size_t at, ml_piece *piece, size_t *name_size, size_t *next) {
  uint32_t name;
  uint64_t size;
  if (c->size - at < HEAD) return false;
  memcpy(&name, c->block + at, 4);
  memcpy(&size, c->block + at + 4, 8);
  size_t left = c->size - at - HEAD;
  if (name > left || size > left - name) return false;
  *piece = (ml_piece){(const char *)c->block + at + HEAD, c->block + at + HEAD + name, (size_t)size};
  *name_size = name;
  *next = at + HEAD + name + (size_t)size;
  return true;
}

static ml_status check(const ml_carried *c, const trailer *t, ml_error *err) {
  uint32_t crc = libdeflate_crc32(0, c->block, c->size);
  if (crc != t->crc)
    return ml_fail(err, ML_FORMAT, "is damaged: what it carries has the checksum %08x, expected %08x", crc, t->crc);
  ml_piece piece;
  size_t name_size, next;
  for (size_t at = 0; at < c->size; at = next) {
    if (!piece_at(c, at, &piece, &name_size, &next))
      return ml_fail(err, ML_FORMAT, "is damaged: a piece at byte %zu of %zu does not fit", at, c->size);
  }
  return ML_OK;
}

static ml_status read_block(ml_carried *c, const ml_file *file, ml_error *err) {
  trailer t;
  bool found;
  ml_status status = read_trailer(&t, &found, file, err);
  if (status != ML_OK || !found) return status;
  c->size = (size_t)t.size;
  c->block = ml_alloc(c->size + 1);
  if (!c->block) return ml_fail(err, ML_NOMEM, "not enough memory for %zu bytes", c->size);
  status = ml_file_read_at(file, c->block, c->size, file->size - TRAILER - c->size, err);
  return status == ML_OK ? check(c, &t, err) : status;
}

ml_status ml_carried_read(ml_carried *c, const char *path, ml_error *err) {
  ml_file file;
  *c = (ml_carried){0};
  ml_status status = ml_file_open(&file, path, SIZE_MAX, err);
  if (status == ML_OK) {
    status = read_block(c, &file, err);
    ml_file_close(&file);
  }
  if (status == ML_OK) return ML_OK;
  ml_carried_clear(c);
  ml_error_prefix(err, "%s", path);
  return status;
}

void ml_carried_clear(ml_carried *c) {
  ml_free(c->block);
  *c = (ml_carried){0};
}

const uint8_t *ml_carried_find(const ml_carried *c, const char *name, size_t *size) {
  ml_piece piece;
  size_t length = strlen(name), name_size, next;
  for (size_t at = 0; at < c->size && piece_at(c, at, &piece, &name_size, &next); at = next) {
    if (name_size != length || memcmp(piece.name, name, length) != 0) continue;
    *size = piece.size;
    return piece.bytes;
  }
  return NULL;
}

/* ---- writing ---- */

typedef struct output {
  ml_writer *writer;
  uint64_t size;
  uint32_t crc;
} output;

static ml_status put(output *o, const void *bytes, size_t size, ml_error *err) {
  o->crc = libdeflate_crc32(o->crc, bytes, size);
  o->size += size;
  return ml_writer_write(o->writer, bytes, size, err);
}

static ml_status put_piece(output *o, const ml_piece *piece, ml_error *err) {
  uint32_t name = (uint32_t)strlen(piece->name);
  uint64_t size = piece->size;
  ml_status status = put(o, &name, 4, err);
  if (status == ML_OK) status = put(o, &size, 8, err);
  if (status == ML_OK) status = put(o, piece->name, name, err);
  if (status == ML_OK) status = put(o, piece->bytes, piece->size, err);
  return status;
}

static ml_status put_trailer(const output *o, ml_error *err) {
  uint8_t bytes[TRAILER];
  uint32_t version = VERSION;
  memcpy(bytes, &o->size, 8);
  memcpy(bytes + 8, &o->crc, 4);
  memcpy(bytes + 12, &version, 4);
  memcpy(bytes + TRAILER - MARK, mark, MARK);
  return ml_writer_write(o->writer, bytes, TRAILER, err);
}

static ml_status write_all(ml_writer *w, const uint8_t *program, size_t size, const ml_piece *pieces, int64_t count,
                           ml_error *err) {
  output o = {.writer = w};
  ml_status status = ml_writer_write(w, program, size, err);
  for (int64_t i = 0; i < count && status == ML_OK; i++) status = put_piece(&o, &pieces[i], err);
  if (status == ML_OK) status = put_trailer(&o, err);
  if (status == ML_OK) status = ml_writer_make_executable(w, err);
  return status;
}

/* The program's bytes, and how many are its own. */
static ml_status read_program(uint8_t **bytes, size_t *own, const char *program, ml_error *err) {
  ml_file file;
  trailer t;
  bool found = false;
  ml_status status = ml_file_open(&file, program, SIZE_MAX - 1, err);
  if (status == ML_OK) {
    status = read_trailer(&t, &found, &file, err);
    if (status == ML_OK) status = ml_file_read_all(bytes, &file, err);
    ml_file_close(&file);
  }
  if (status != ML_OK) ml_error_prefix(err, "%s", program);
  else *own = found ? file.size - TRAILER - (size_t)t.size : file.size;
  return status;
}

ml_status ml_carried_write(const char *path, const char *program, const ml_piece *pieces, int64_t count,
                           ml_error *err) {
  uint8_t *bytes;
  size_t own;
  ml_writer *w = NULL;
  ml_status status = read_program(&bytes, &own, program, err);
  if (status != ML_OK) return status;
  status = ml_writer_open(&w, path, err);
  if (status == ML_OK) {
    status = write_all(w, bytes, own, pieces, count, err);
    if (status == ML_OK) status = ml_writer_commit(w, err);
    else ml_writer_abort(w);
  }
  ml_free(bytes);
  return status;
}
