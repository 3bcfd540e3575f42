/* The IDX reader: the format of MNIST and its relatives. Called by the bindings. It reads bytes (type 08) only, unpacks
 * no more than the header asks for, and refuses a file that holds one byte less or more. Several files are read on
 * several threads.
 *
 * bytes 0, 1: zero; 2: type; 3: number of dimensions; then their sizes, u32 big-endian; then the data, row-major. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/gzip.h"
#include "data/readers.h"

#define MAX_FILE     ((size_t)INT32_MAX + 1024)
#define MAX_BYTES    ((size_t)INT32_MAX) /* of data after the header */
#define MAX_IDX_DIMS 4
#define LEAD         ML_ALIGNMENT      /* room before the data of a tensor, for the header: 20 bytes at most */

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
  return ml_fail(err, ML_FORMAT, "%s: has %s bytes by its header at byte 4, expected at most %zu", s->path,
                 ML_SHAPE_WORDS(shape), MAX_BYTES);
}

/* The shape's bytes do not lie in the file: found is how many do, `or_more` if counting stopped there. */
static ml_status wrong_length(const ml_source *s, const ml_shape *shape, size_t bytes, size_t found, bool or_more,
                              ml_error *err) {
  size_t header = 4 + 4 * (size_t)shape->ndim;
  return ml_fail(err, ML_FORMAT, "%s: expected %zu bytes of data (%s) after the header, found %zu%s; %s at byte %zu",
                 s->path, bytes, ML_SHAPE_WORDS(shape), found, or_more ? " or more" : "",
                 found < bytes ? "the data end" : "they should end", found < bytes ? header + found : header + bytes);
}

/* Decides from the packed size, before anything is allocated, whether so many bytes can follow. */
static ml_status check_possible(const ml_source *s, const ml_shape *shape, size_t bytes, ml_error *err) {
  size_t most = ml_source_most(s);
  if (bytes <= most) return ML_OK;
  if (!s->gzip) return wrong_length(s, shape, bytes, most, false, err);
  return ml_fail(err, ML_FORMAT, "%s: expected %zu bytes of data after the header, found %zu of gzip: %zu or less",
                 s->path, bytes, s->file.size, most);
}

/* t has LEAD bytes before its first one. */
static ml_status read_payload(ml_source *s, const ml_tensor *t, size_t bytes, ml_error *err) {
  size_t header = s->at, got, extra = 0;
  uint8_t beyond[4096];
  if (ml_source_unpack(s, t->u8 - header, header + bytes)) return ML_OK;
  ml_status status = ml_source_read(s, t->u8, bytes, &got, err);
  if (status == ML_OK && got == bytes) status = ml_source_read(s, beyond, sizeof beyond, &extra, err);
  if (status != ML_OK) return status;
  if (got == bytes && extra == 0) return ML_OK;
  return wrong_length(s, &t->shape, bytes, got + extra, extra == sizeof beyond, err);
}

/* A view that begins LEAD bytes into its storage. */
static ml_tensor *new_tensor(const ml_shape *shape, size_t bytes, ml_error *err) {
  ml_tensor *whole = ml_tensor_new(ML_U8, &(ml_shape){.ndim = 1, .size = {(int64_t)(LEAD + bytes)}}, err);
  ml_tensor *t = whole ? ml_tensor_view(whole, shape, LEAD, err) : NULL;
  ml_tensor_unref(whole);
  return t;
}

ml_tensor *ml_read_idx(const char *path, ml_error *err) {
  ml_source s;
  if (ml_source_open(&s, path, MAX_FILE, err) != ML_OK) return NULL;
  ml_shape shape;
  size_t bytes;
  ml_tensor *t = NULL;
  ml_status status = read_header(&s, &shape, &bytes, err);
  if (status == ML_OK) status = check_possible(&s, &shape, bytes, err);
  if (status == ML_OK && !(t = new_tensor(&shape, bytes, err))) {
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

/* ---- several files ---- */

typedef struct idx_read {
  const char *path;
  ml_tensor *tensor;
  ml_error err;
  ml_job job;
} idx_read;

static void read_one(void *ctx) {
  idx_read *r = ctx;
  r->tensor = ml_read_idx(r->path, &r->err);
}

/* The first file on this thread, the others where there is an idle one; none is left under way. */
static void read_all(idx_read *reads, int count) {
  for (int i = 1; i < count; i++) ml_pool_submit(&reads[i].job, read_one, &reads[i]);
  if (count > 0) read_one(&reads[0]);
  for (int i = 1; i < count; i++) ml_pool_wait(&reads[i].job);
}

ml_status ml_read_idx_files(ml_tensor **tensors, const char *const *paths, int count, ml_error *err) {
  idx_read *reads = ml_calloc((size_t)count, sizeof *reads);
  if (!reads) return ml_fail(err, ML_NOMEM, "no memory to read %d files", count);
  for (int i = 0; i < count; i++) reads[i].path = paths[i];
  read_all(reads, count);
  const idx_read *bad = NULL;
  for (int i = count - 1; i >= 0; i--)
    if (!reads[i].tensor) bad = &reads[i];
  for (int i = 0; i < count; i++) {
    if (bad) ml_tensor_unref(reads[i].tensor);
    tensors[i] = bad ? NULL : reads[i].tensor;
  }
  ml_status status = bad ? bad->err.status : ML_OK;
  if (bad && err) *err = bad->err;
  ml_free(reads);
  return status;
}
