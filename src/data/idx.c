/* The IDX reader: the format of MNIST and its relatives. Called by the bindings. It reads bytes (type 08) only, unpacks
 * no more than the header asks for, and refuses a file that holds one byte less or more.
 *
 * bytes 0, 1: zero; 2: type; 3: number of dimensions; then their sizes, u32 big-endian; then the data, row-major. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "data/gzip.h"
#include "data/readers.h"

#define MAX_FILE     ((size_t)INT32_MAX + 1024)
#define MAX_BYTES    ((size_t)INT32_MAX) /* of data after the header */
#define MAX_IDX_DIMS 4

static const char *type_name(uint8_t type) {
  switch (type) {
    case 0x08: return "u8";
    case 0x09: return "i8";
    case 0x0b: return "i16";
    case 0x0c: return "i32";
    case 0x0d: return "f32";
    case 0x0e: return "f64";
    default: return "unknown";
  }
}

static ml_status check_magic(ml_source *s, const uint8_t magic[4], ml_error *err) {
  if (magic[0] != 0 || magic[1] != 0)
    return ml_fail(err, ML_FORMAT, "%s: not an IDX file: begins with %02x %02x, expected 00 00 at byte 0", s->path,
                   magic[0], magic[1]);
  if (magic[2] != 0x08)
    return ml_fail(err, ML_FORMAT, "%s: holds data of type %s (0x%02x), expected u8 (0x08) at byte 2", s->path,
                   type_name(magic[2]), magic[2]);
  if (magic[3] < 1 || magic[3] > MAX_IDX_DIMS)
    return ml_fail(err, ML_FORMAT, "%s: has %d dimensions, expected 1 to %d at byte 3", s->path, magic[3],
                   MAX_IDX_DIMS);
  return ML_OK;
}

/* size bytes of the header; what says what they are part of. */
static ml_status read_header_part(ml_source *s, uint8_t *out, size_t size, const char *what, ml_error *err) {
  size_t got, begin = s->at;
  ml_status status = ml_source_read(s, out, size, &got, err);
  if (status != ML_OK || got == size) return status;
  return ml_fail(err, ML_FORMAT, "%s: the data end at byte %zu, expected %zu bytes %s", s->path, s->at, begin + size,
                 what);
}

static ml_status read_header(ml_source *s, ml_shape *shape, size_t *bytes, ml_error *err) {
  uint8_t magic[4], sizes[4 * MAX_IDX_DIMS];
  ml_status status = read_header_part(s, magic, 4, "of an IDX header", err);
  if (status == ML_OK) status = check_magic(s, magic, err);
  if (status != ML_OK) return status;
  *shape = (ml_shape){.ndim = magic[3]};
  status = read_header_part(s, sizes, 4 * (size_t)magic[3], "of sizes", err);
  if (status != ML_OK) return status;
  *bytes = 1;
  bool fits = true;
  for (int i = 0; i < shape->ndim; i++) {
    const uint8_t *b = sizes + 4 * i;
    uint32_t size = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    if (size == 0)
      return ml_fail(err, ML_FORMAT, "%s: dimension %d is 0, expected 1 or more at byte %d", s->path, i + 1, 4 + 4 * i);
    shape->size[i] = size;
    fits = fits && ml_size_mul(*bytes, size, bytes) && *bytes <= MAX_BYTES;
  }
  if (fits) return ML_OK;
  char text[ML_SHAPE_TEXT];
  return ml_fail(err, ML_FORMAT, "%s: has %s bytes by its header at byte 4, expected at most %zu", s->path,
                 ml_shape_text(text, sizeof text, shape), MAX_BYTES);
}

/* The shape's bytes do not lie in the file: found is how many do, `or_more` if counting stopped there. */
static ml_status wrong_length(const ml_source *s, const ml_shape *shape, size_t bytes, size_t found, bool or_more,
                              ml_error *err) {
  char text[ML_SHAPE_TEXT];
  size_t header = 4 + 4 * (size_t)shape->ndim;
  return ml_fail(err, ML_FORMAT, "%s: expected %zu bytes of data (%s) after the header, found %zu%s; %s at byte %zu",
                 s->path, bytes, ml_shape_text(text, sizeof text, shape), found, or_more ? " or more" : "",
                 found < bytes ? "the data end" : "they should end", found < bytes ? header + found : header + bytes);
}

/* Decides from the packed size, before anything is allocated, whether so many bytes can follow. */
static ml_status check_possible(const ml_source *s, const ml_shape *shape, size_t bytes, ml_error *err) {
  size_t most = ml_source_most(s);
  if (bytes <= most) return ML_OK;
  if (!s->gzip) return wrong_length(s, shape, bytes, most, false, err);
  return ml_fail(err, ML_FORMAT, "%s: expected %zu bytes of data after the header, found %zu of gzip: %zu or less",
                 s->path, bytes, s->file_size, most);
}

static ml_status read_payload(ml_source *s, const ml_tensor *t, size_t bytes, ml_error *err) {
  size_t got, extra = 0;
  uint8_t beyond[4096];
  ml_status status = ml_source_read(s, t->u8, bytes, &got, err);
  if (status == ML_OK && got == bytes) status = ml_source_read(s, beyond, sizeof beyond, &extra, err);
  if (status != ML_OK) return status;
  if (got == bytes && extra == 0) return ML_OK;
  return wrong_length(s, &t->shape, bytes, got + extra, extra == sizeof beyond, err);
}

ml_tensor *ml_read_idx(const char *path, ml_error *err) {
  ml_source s;
  if (ml_source_open(&s, path, MAX_FILE, err) != ML_OK) return NULL;
  ml_shape shape;
  size_t bytes;
  ml_tensor *t = NULL;
  ml_status status = read_header(&s, &shape, &bytes, err);
  if (status == ML_OK) status = check_possible(&s, &shape, bytes, err);
  if (status == ML_OK && !(t = ml_tensor_new(ML_U8, &shape, err))) {
    ml_error_prefix(err, "%s", path);
    status = ML_NOMEM;
  }
  if (status == ML_OK) status = read_payload(&s, t, bytes, err);
  if (status != ML_OK) {
    ml_tensor_unref(t);
    t = NULL;
  }
  ml_source_close(&s);
  return t;
}
