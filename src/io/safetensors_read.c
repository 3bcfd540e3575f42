/* Reads a safetensors file into tensors of their own. Called by src/bind for weights and checkpoints. The file's size
 * is asked first and bounds everything that is allocated; each tensor's bytes go from the file straight to its storage.
 */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/safetensors_header.h"

/* What people give by mistake. first holds the first `size` bytes, up to 9. */
static ml_status check_mistaken(const unsigned char *first, size_t size, ml_error *err) {
  const char *kind = NULL;
  if (size >= 4 && memcmp(first, "PK\3\4", 4) == 0) kind = "zip";
  if (size >= 2 && first[0] == 0x80 && first[1] >= 2 && first[1] <= 5) kind = "pickle";
  if (!kind) return ML_OK;
  return ml_fail(err, ML_FORMAT, "looks like a PyTorch %s; refused: save it as safetensors", kind);
}

/* The header's length, after checking that it can be one. */
static ml_status read_header_size(uint64_t *length, const ml_file *file, ml_error *err) {
  unsigned char first[ML_ST_PREFIX + 1] = {0};
  size_t have = file->size < sizeof first ? file->size : sizeof first;
  ml_status status = ml_file_read_at(file, first, have, 0, err);
  if (status != ML_OK) return status;
  memcpy(length, first, sizeof *length);
  bool fits = have == sizeof first && *length <= file->size - ML_ST_PREFIX && *length <= ML_ST_MAX_HEADER;
  if (fits && *length > 0 && first[ML_ST_PREFIX] == '{') return ML_OK;

  status = check_mistaken(first, have, err);
  if (status != ML_OK) return status;
  if (have < sizeof first)
    return ml_fail(err, ML_FORMAT, "has %zu bytes, too few for a safetensors file", file->size);
  if (*length > file->size - ML_ST_PREFIX)
    return ml_fail(err, ML_FORMAT,
                   "not a safetensors file: a header of %" PRIu64 " bytes does not fit in a file of %zu", *length,
                   file->size);
  if (*length > ML_ST_MAX_HEADER)
    return ml_fail(err, ML_FORMAT, "a header of %" PRIu64 " bytes, at most %d are allowed", *length, ML_ST_MAX_HEADER);
  return ml_fail(err, ML_FORMAT, "not a safetensors file: expected a header that begins with '{' at byte %d",
                 ML_ST_PREFIX);
}

static ml_status read_header(ml_st_header *header, uint64_t *data_begin, const ml_file *file, ml_error *err) {
  uint64_t length;
  ml_status status = read_header_size(&length, file, err);
  if (status != ML_OK) return status;
  char *text = ml_alloc((size_t)length);
  if (!text) return ml_fail(err, ML_NOMEM, "not enough memory for a header of %" PRIu64 " bytes", length);
  *data_begin = ML_ST_PREFIX + length;
  status = ml_file_read_at(file, text, (size_t)length, ML_ST_PREFIX, err);
  if (status == ML_OK) status = ml_st_header_parse(header, text, (size_t)length, file->size - *data_begin, err);
  ml_free(text);
  return status;
}

static ml_status read_tensor(ml_tensor **t, const ml_file *file, const ml_st_entry *e, uint64_t data_begin,
                             ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  ml_error local = {.status = ML_OK};
  ml_status status = ML_OK;
  *t = ml_tensor_new(e->dtype, &e->shape, &local);
  if (!*t)
    status = local.status == ML_NOMEM ? ML_NOMEM : ML_FORMAT;
  else
    status = ml_file_read_at(file, (*t)->data, e->end - e->begin, data_begin + e->begin, &local);
  if (status != ML_OK) ml_fail(err, status, "tensor \"%s\": %s", ml_st_name_text(shown, e->name), local.message);
  return status;
}

/* Moves the names and the metadata out of header, and reads each tensor. */
static ml_status fill_archive(ml_archive *archive, const ml_file *file, ml_st_header *header, uint64_t data_begin,
                              ml_error *err) {
  archive->metadata = header->metadata;
  archive->metadata_count = header->metadata_count;
  header->metadata = NULL;
  header->metadata_count = 0;
  archive->tensors = ml_calloc((size_t)header->count + 1, sizeof *archive->tensors);
  if (!archive->tensors) return ml_fail(err, ML_NOMEM, "not enough memory for %" PRId64 " tensors", header->count);
  for (int64_t i = 0; i < header->count; i++) {
    ml_st_entry *entry = &header->entries[i];
    ml_named_tensor *named = &archive->tensors[archive->tensor_count++];
    ml_status status = read_tensor(&named->tensor, file, entry, data_begin, err);
    named->name = entry->name;
    entry->name = NULL;
    if (status != ML_OK) return status;
  }
  return ML_OK;
}

/* On failure *archive is empty. */
static ml_status read_file(ml_archive *archive, const ml_file *file, ml_error *err) {
  ml_st_header header = {0};
  uint64_t data_begin = 0;
  ml_status status = read_header(&header, &data_begin, file, err);
  if (status == ML_OK) status = fill_archive(archive, file, &header, data_begin, err);
  ml_st_header_clear(&header);
  if (status != ML_OK) ml_archive_clear(archive);
  return status;
}

ml_status ml_safetensors_read(ml_archive *archive, const char *path, ml_error *err) {
  ml_file file;
  *archive = (ml_archive){0};
  ml_status status = ml_file_open(&file, path, SIZE_MAX, err);
  if (status == ML_OK) {
    status = read_file(archive, &file, err);
    ml_file_close(&file);
  }
  if (status != ML_OK) ml_error_prefix(err, "%s", path);
  return status;
}

ml_status ml_safetensors_decode(ml_archive *archive, const void *bytes, size_t size, ml_error *err) {
  *archive = (ml_archive){0};
  return read_file(archive, &(ml_file){.fd = -1, .size = size, .bytes = bytes}, err);
}

void ml_archive_clear(ml_archive *archive) {
  for (int64_t i = 0; i < archive->tensor_count; i++) {
    ml_free(archive->tensors[i].name);
    ml_tensor_unref(archive->tensors[i].tensor);
  }
  for (int64_t i = 0; i < archive->metadata_count; i++) {
    ml_free(archive->metadata[i].key);
    ml_free(archive->metadata[i].value);
  }
  ml_free(archive->tensors);
  ml_free(archive->metadata);
  *archive = (ml_archive){0};
}
