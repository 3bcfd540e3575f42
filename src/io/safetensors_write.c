/* Writes tensors as a safetensors file. Called by src/bind for weights and checkpoints. The bytes depend on the
 * tensors, the metadata and their order alone: no time, no host. The file appears whole or not at all (ml_writer). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "base/writer.h"
#include "io/safetensors_header.h"

/* A growing text. After a failed allocation `failed` is set and further additions do nothing. */
typedef struct st_text {
  char *data;
  size_t size, capacity;
  bool failed;
} st_text;

static void add_bytes(st_text *t, const char *bytes, size_t size) {
  if (t->failed) return;
  if (size > t->capacity - t->size) {
    size_t capacity = 2 * (t->size + size) + 1024;
    char *data = ml_alloc(capacity);
    t->failed = !data;
    if (t->failed) return;
    if (t->size > 0) memcpy(data, t->data, t->size);
    ml_free(t->data);
    t->data = data;
    t->capacity = capacity;
  }
  memcpy(t->data + t->size, bytes, size);
  t->size += size;
}

static void add_format(st_text *t, const char *fmt, ...) ML_PRINTF(2, 3);

/* For short texts, up to 127 bytes. */
static void add_format(st_text *t, const char *fmt, ...) {
  char text[128];
  va_list args;
  va_start(args, fmt);
  int size = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  add_bytes(t, text, (size_t)size);
}

/* A JSON string: quotes, backslashes and control bytes are escaped, UTF-8 stays as it is. */
static void add_string(st_text *t, const char *text) {
  add_bytes(t, "\"", 1);
  for (const char *s = text; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c < 0x20)
      add_format(t, "\\u%04x", c);
    else if (c == '"' || c == '\\')
      add_format(t, "\\%c", c);
    else
      add_bytes(t, s, 1);
  }
  add_bytes(t, "\"", 1);
}

static void add_metadata(st_text *t, const ml_archive *archive) {
  add_bytes(t, "\"__metadata__\":{", 16);
  for (int64_t i = 0; i < archive->metadata_count; i++) {
    if (i > 0) add_bytes(t, ",", 1);
    add_string(t, archive->metadata[i].key);
    add_bytes(t, ":", 1);
    add_string(t, archive->metadata[i].value);
  }
  add_bytes(t, "},", 2);
}

static void add_tensor(st_text *t, const ml_named_tensor *named, size_t begin) {
  const ml_tensor *tensor = named->tensor;
  add_string(t, named->name);
  add_format(t, ":{\"dtype\":\"%s\",\"shape\":[", ml_st_dtype_text(tensor->dtype));
  for (int i = 0; i < tensor->shape.ndim; i++) add_format(t, i > 0 ? ",%" PRId64 : "%" PRId64, tensor->shape.size[i]);
  add_format(t, "],\"data_offsets\":[%zu,%zu]}", begin, begin + ml_tensor_bytes(tensor));
}

/* The header, padded with spaces so that the data begins at a multiple of 8. */
static ml_status build_header(st_text *t, const ml_archive *archive, ml_error *err) {
  size_t offset = 0;
  add_bytes(t, "{", 1);
  if (archive->metadata_count > 0) add_metadata(t, archive);
  for (int64_t i = 0; i < archive->tensor_count; i++) {
    if (i > 0) add_bytes(t, ",", 1);
    add_tensor(t, &archive->tensors[i], offset);
    offset += ml_tensor_bytes(archive->tensors[i].tensor);
  }
  add_bytes(t, "}", 1);
  add_bytes(t, "       ", (8 - t->size % 8) % 8);
  if (t->failed) return ml_fail(err, ML_NOMEM, "not enough memory for the header");
  if (t->size > ML_ST_MAX_HEADER)
    return ml_fail(err, ML_MISUSE, "a header of %zu bytes, at most %d are allowed", t->size, ML_ST_MAX_HEADER);
  if (ml_st_header_scan(t->data, t->size, err) == ML_OK) return ML_OK;
  if (err) err->status = ML_MISUSE; /* what could not be read back is the caller's mistake, not a file's */
  return ML_MISUSE;
}

/* ---- what may be written ---- */

/* Bytes of the valid UTF-8 sequence at s (1 to 4), or 0. s ends with a zero byte. */
static int utf8_size(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  int size = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
  unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;  /* no overlong forms */
  unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf; /* no surrogates, nothing above U+10FFFF */
  if (s[1] < low || s[1] > high) return 0;
  for (int i = 2; i < size; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return size;
}

static ml_status check_utf8(const char *what, const char *text, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  const unsigned char *s = (const unsigned char *)text;
  while (*s) {
    int size = utf8_size(s);
    if (size == 0)
      return ml_fail(err, ML_MISUSE, "%s \"%s\" is not UTF-8 at byte %td", what, ml_st_name_text(shown, text),
                     s - (const unsigned char *)text);
    s += size;
  }
  return ML_OK;
}

/* Sorts texts[count] and compares neighbours. */
static ml_status check_unique(const char *what, char **texts, int64_t count, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  qsort(texts, (size_t)count, sizeof *texts, ml_st_compare_text);
  for (int64_t i = 1; i < count; i++)
    if (strcmp(texts[i - 1], texts[i]) == 0)
      return ml_fail(err, ML_MISUSE, "%s \"%s\" is given twice", what, ml_st_name_text(shown, texts[i]));
  return ML_OK;
}

static ml_status check_tensors(const ml_archive *archive, char **names, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  for (int64_t i = 0; i < archive->tensor_count; i++) {
    const ml_named_tensor *named = &archive->tensors[i];
    ml_status status = check_utf8("tensor name", named->name, err);
    if (status != ML_OK) return status;
    if (strcmp(named->name, "__metadata__") == 0)
      return ml_fail(err, ML_MISUSE, "a tensor cannot be named __metadata__");
    if (!named->tensor->storage)
      return ml_fail(err, ML_MISUSE,
                     "tensor \"%s\" was computed in an earlier step and has expired; keep it with :clone()",
                     ml_st_name_text(shown, named->name));
    names[i] = named->name;
  }
  return check_unique("tensor name", names, archive->tensor_count, err);
}

static ml_status check_metadata(const ml_archive *archive, char **keys, ml_error *err) {
  for (int64_t i = 0; i < archive->metadata_count; i++) {
    ml_status status = check_utf8("metadata key", archive->metadata[i].key, err);
    if (status == ML_OK) status = check_utf8("metadata value", archive->metadata[i].value, err);
    if (status != ML_OK) return status;
    keys[i] = archive->metadata[i].key;
  }
  return check_unique("metadata key", keys, archive->metadata_count, err);
}

static ml_status check_archive(const ml_archive *archive, ml_error *err) {
  if (archive->tensor_count < 1) return ml_fail(err, ML_MISUSE, "no tensor to write; the format wants at least one");
  int64_t most = ml_max64(archive->tensor_count, archive->metadata_count);
  char **texts = ml_calloc((size_t)most, sizeof *texts);
  if (!texts) return ml_fail(err, ML_NOMEM, "not enough memory for %" PRId64 " names", most);
  ml_status status = check_tensors(archive, texts, err);
  if (status == ML_OK) status = check_metadata(archive, texts, err);
  ml_free(texts);
  return status;
}

/* ---- writing ---- */

static ml_status write_parts(ml_writer *w, const st_text *header, const ml_archive *archive, ml_error *err) {
  uint64_t length = header->size;
  ml_status status = ml_writer_write(w, &length, sizeof length, err);
  if (status == ML_OK) status = ml_writer_write(w, header->data, header->size, err);
  for (int64_t i = 0; i < archive->tensor_count && status == ML_OK; i++) {
    const ml_tensor *t = archive->tensors[i].tensor;
    if (ml_tensor_bytes(t) > 0) status = ml_writer_write(w, t->data, ml_tensor_bytes(t), err);
  }
  return status;
}

static ml_status write_file(const char *path, const st_text *header, const ml_archive *archive, ml_error *err) {
  ml_writer *w;
  ml_status status = ml_writer_open(&w, path, err);
  if (status != ML_OK) return status;
  status = write_parts(w, header, archive, err);
  if (status == ML_OK) return ml_writer_commit(w, err);
  ml_writer_abort(w);
  return status;
}

/* Checks archive and makes its header. On failure *header is empty; the message lacks the path. */
static ml_status make_header(st_text *header, const ml_archive *archive, ml_error *err) {
  ml_status status = check_archive(archive, err);
  if (status == ML_OK) status = build_header(header, archive, err);
  if (status == ML_OK) return ML_OK;
  ml_free(header->data);
  *header = (st_text){0};
  return status;
}

ml_status ml_safetensors_write(const char *path, const ml_archive *archive, ml_error *err) {
  st_text header = {0};
  ml_status status = make_header(&header, archive, err);
  if (status != ML_OK) ml_error_prefix(err, "%s", path);
  if (status == ML_OK) status = write_file(path, &header, archive, err);
  ml_free(header.data);
  return status;
}

ml_status ml_safetensors_image(uint8_t **image, size_t *size, const ml_archive *archive, ml_error *err) {
  st_text header = {0};
  ml_status status = make_header(&header, archive, err);
  if (status != ML_OK) return status;
  uint64_t length = header.size;
  *size = sizeof length + header.size;
  for (int64_t i = 0; i < archive->tensor_count; i++) *size += ml_tensor_bytes(archive->tensors[i].tensor);
  uint8_t *to = *image = ml_alloc(*size);
  if (to) {
    memcpy(to, &length, sizeof length);
    memcpy(to + sizeof length, header.data, header.size);
    to += sizeof length + header.size;
    for (int64_t i = 0; i < archive->tensor_count; i++) {
      const ml_tensor *t = archive->tensors[i].tensor;
      if (ml_tensor_bytes(t) > 0) memcpy(to, t->data, ml_tensor_bytes(t));
      to += ml_tensor_bytes(t);
    }
  }
  ml_free(header.data);
  return to ? ML_OK : ml_fail(err, ML_NOMEM, "not enough memory for a copy of %zu bytes", *size);
}
