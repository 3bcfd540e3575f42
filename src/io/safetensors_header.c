/* Reads the JSON header of a safetensors file and checks it against every rule of the format. Called by the reader with
 * bytes of strangers, so limits are checked before jansson builds anything, and every fault has its own message. */
#include "io/safetensors_header.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define METADATA "__metadata__"

enum {
  MAX_DEPTH = 3,           /* the header, a tensor's object, its shape */
  MAX_SEPARATORS = 1000000 /* `{ [ , :`, of which a tensor needs about 12: some 80,000 tensors */
};

static const char *const dtype_texts[ML_DTYPE_COUNT] = {[ML_F32] = "F32", [ML_U8] = "U8", [ML_I32] = "I32"};

const char *ml_st_dtype_text(ml_dtype dtype) { return dtype_texts[dtype]; }

const char *ml_st_name_text(char text[ML_ST_NAME_TEXT], const char *name) {
  size_t length = strlen(name), keep = ML_ST_NAME_TEXT - 4;
  if (length < ML_ST_NAME_TEXT) return memcpy(text, name, length + 1);
  while (keep > 0 && ((unsigned char)name[keep] & 0xc0) == 0x80) keep--; /* not inside a character */
  memcpy(text, name, keep);
  memcpy(text + keep, "...", 4);
  return text;
}

static ml_status fail_tensor(ml_error *err, const char *name, const char *fmt, ...) ML_PRINTF(3, 4);

static ml_status fail_tensor(ml_error *err, const char *name, const char *fmt, ...) {
  char shown[ML_ST_NAME_TEXT], what[400];
  va_list args;
  va_start(args, fmt);
  vsnprintf(what, sizeof what, fmt, args);
  va_end(args);
  return ml_fail(err, ML_FORMAT, "tensor \"%s\": %s", ml_st_name_text(shown, name), what);
}

ml_status ml_st_header_scan(const char *text, size_t size, ml_error *err) {
  int depth = 0, separators = 0;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        i++;
      else if (c == '"')
        quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '}' || c == ']') depth--;
    if (c == '{' || c == '[') depth++;
    if (c == '{' || c == '[' || c == ',' || c == ':') separators++;
    if (depth > MAX_DEPTH)
      return ml_fail(err, ML_FORMAT, "the header nests deeper than %d levels at byte %zu", MAX_DEPTH, i + ML_ST_PREFIX);
    if (separators > MAX_SEPARATORS)
      return ml_fail(err, ML_FORMAT, "the header holds more values than the %d that are read, at byte %zu",
                     MAX_SEPARATORS, i + ML_ST_PREFIX);
  }
  return ML_OK;
}

/* ---- JSON ---- */

static const char *json_kind(const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    return "an object";
  case JSON_ARRAY:
    return "an array";
  case JSON_STRING:
    return "a string";
  case JSON_INTEGER:
    return "a whole number";
  case JSON_REAL:
    return "a fractional number";
  case JSON_TRUE:
  case JSON_FALSE:
    return "a boolean";
  default:
    return "null";
  }
}

/* The parser reports some failed allocations as faults of the text, so the allocator remembers them itself. */
static bool json_starved;

static void *json_alloc(size_t size) {
  void *block = ml_alloc(size);
  json_starved |= !block;
  return block;
}

static ml_status parse_json(json_t **root, const char *text, size_t size, ml_error *err) {
  json_error_t why = {.text = ""};
  json_starved = false;
  *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
  if (*root) return ML_OK;
  if (json_starved) return ml_fail(err, ML_NOMEM, "not enough memory for the header (%zu bytes)", size);
  return ml_fail(err, ML_FORMAT, "the header is not valid JSON: %s, at byte %d", why.text, why.position + ML_ST_PREFIX);
}

static char *copy_text(const char *text, ml_error *err) {
  size_t size = strlen(text) + 1;
  char *copy = ml_alloc(size);
  if (!copy) {
    ml_fail(err, ML_NOMEM, "not enough memory for a name of %zu bytes", size - 1);
    return NULL;
  }
  return memcpy(copy, text, size);
}

/* A whole number from 0 out of array[index]. */
static ml_status get_number(int64_t *out, const json_t *array, size_t index, const char *name, const char *field,
                            ml_error *err) {
  const json_t *value = json_array_get(array, index);
  if (!json_is_integer(value))
    return fail_tensor(err, name, "%s[%zu] must be a whole number, got %s", field, index, json_kind(value));
  *out = json_integer_value(value);
  if (*out < 0) return fail_tensor(err, name, "%s[%zu] must be at least 0, got %" PRId64, field, index, *out);
  return ML_OK;
}

/* ---- one tensor ---- */

static ml_status get_dtype(ml_st_entry *entry, const json_t *value, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  if (!json_is_string(value)) return fail_tensor(err, entry->name, "dtype must be a string, got %s", json_kind(value));
  for (int d = 0; d < ML_DTYPE_COUNT; d++) {
    entry->dtype = (ml_dtype)d;
    if (strcmp(json_string_value(value), dtype_texts[d]) == 0) return ML_OK;
  }
  return fail_tensor(err, entry->name, "dtype %s is not read, only F32, U8 and I32 are",
                     ml_st_name_text(shown, json_string_value(value)));
}

static ml_status get_shape(ml_st_entry *entry, const json_t *value, ml_error *err) {
  if (!json_is_array(value)) return fail_tensor(err, entry->name, "shape must be an array, got %s", json_kind(value));
  if (json_array_size(value) > ML_MAX_DIMS)
    return fail_tensor(err, entry->name, "shape has %zu dimensions, at most %d are read", json_array_size(value),
                       ML_MAX_DIMS);
  entry->shape.ndim = (int)json_array_size(value);
  for (int i = 0; i < entry->shape.ndim; i++) {
    ml_status status = get_number(&entry->shape.size[i], value, (size_t)i, entry->name, "shape", err);
    if (status != ML_OK) return status;
  }
  return ML_OK;
}

static ml_status get_offsets(ml_st_entry *entry, const json_t *value, uint64_t data_size, ml_error *err) {
  int64_t begin = 0, end = 0;
  if (!json_is_array(value))
    return fail_tensor(err, entry->name, "data_offsets must be an array, got %s", json_kind(value));
  if (json_array_size(value) != 2)
    return fail_tensor(err, entry->name, "data_offsets must hold 2 numbers, got %zu", json_array_size(value));
  ml_status status = get_number(&begin, value, 0, entry->name, "data_offsets", err);
  if (status == ML_OK) status = get_number(&end, value, 1, entry->name, "data_offsets", err);
  if (status != ML_OK) return status;
  if (begin > end)
    return fail_tensor(err, entry->name, "data_offsets [%" PRId64 ", %" PRId64 "] end before they begin", begin, end);
  entry->begin = (uint64_t)begin;
  entry->end = (uint64_t)end;
  if (entry->end > data_size)
    return fail_tensor(err, entry->name,
                       "data_offsets [%" PRId64 ", %" PRId64 "] go beyond the file, which has %" PRIu64
                       " bytes of data",
                       begin, end, data_size);
  return ML_OK;
}

/* shape * dtype must give exactly the bytes that data_offsets span. */
static ml_status check_span(const ml_st_entry *entry, ml_error *err) {
  const char *text = ML_SHAPE_WORDS(&entry->shape);
  size_t bytes = ml_dtype_size(entry->dtype);
  for (int i = 0; i < entry->shape.ndim; i++)
    if (!ml_size_mul(bytes, (size_t)entry->shape.size[i], &bytes) || bytes > INT64_MAX)
      return fail_tensor(err, entry->name, "shape %s has more elements than 63 bits count", text);
  if (bytes != entry->end - entry->begin)
    return fail_tensor(err, entry->name,
                       "shape %s of %s takes %zu bytes, but data_offsets [%" PRIu64 ", %" PRIu64 "] span %" PRIu64,
                       text, dtype_texts[entry->dtype], bytes, entry->begin, entry->end, entry->end - entry->begin);
  return ML_OK;
}

/* Exactly the three fields of a tensor, no other. */
static ml_status check_fields(json_t *object, const char *name, ml_error *err) {
  static const char *const fields[] = {"dtype", "shape", "data_offsets"};
  char shown[ML_ST_NAME_TEXT];
  if (!json_is_object(object)) return fail_tensor(err, name, "must be an object, got %s", json_kind(object));
  for (int i = 0; i < 3; i++)
    if (!json_object_get(object, fields[i])) return fail_tensor(err, name, "%s is missing", fields[i]);
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    if (strcmp(key, fields[0]) != 0 && strcmp(key, fields[1]) != 0 && strcmp(key, fields[2]) != 0)
      return fail_tensor(err, name, "unknown field \"%s\", expected dtype, shape and data_offsets",
                         ml_st_name_text(shown, key));
  }
  return ML_OK;
}

static ml_status add_entry(ml_st_header *header, const char *name, json_t *object, uint64_t data_size, ml_error *err) {
  ml_st_entry *entry = &header->entries[header->count];
  ml_status status = check_fields(object, name, err);
  if (status != ML_OK) return status;
  *entry = (ml_st_entry){.name = copy_text(name, err), .order = header->count};
  if (!entry->name) return ML_NOMEM;
  header->count++;
  status = get_dtype(entry, json_object_get(object, "dtype"), err);
  if (status == ML_OK) status = get_shape(entry, json_object_get(object, "shape"), err);
  if (status == ML_OK) status = get_offsets(entry, json_object_get(object, "data_offsets"), data_size, err);
  if (status == ML_OK) status = check_span(entry, err);
  return status;
}

/* ---- all of them ---- */

int ml_st_compare_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int compare_entries(const void *a, const void *b) {
  const ml_st_entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  if (x->end != y->end) return x->end < y->end ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorted by place, the tensors cover the data from its first byte to its last, each byte once. */
static ml_status check_cover(const ml_st_header *header, uint64_t data_size, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  uint64_t covered = 0;
  for (int64_t i = 0; i < header->count; i++) {
    const ml_st_entry *e = &header->entries[i];
    if (e->begin > covered)
      return fail_tensor(err, e->name, "a hole before it: its data begins at %" PRIu64 ", expected %" PRIu64, e->begin,
                         covered);
    if (e->begin < covered)
      return fail_tensor(err, e->name, "overlaps tensor \"%s\": its data begins at %" PRIu64 ", expected %" PRIu64,
                         ml_st_name_text(shown, e[-1].name), e->begin, covered);
    covered = e->end;
  }
  if (covered < data_size)
    return ml_fail(err, ML_FORMAT,
                   "%" PRIu64 " bytes of data, but the tensors take %" PRIu64 ": the rest belongs to none", data_size,
                   covered);
  return ML_OK;
}

static ml_status add_metadata(ml_st_header *header, json_t *object, ml_error *err) {
  char shown[ML_ST_NAME_TEXT];
  if (!json_is_object(object)) return ml_fail(err, ML_FORMAT, METADATA " must be an object, got %s", json_kind(object));
  header->metadata = ml_calloc(json_object_size(object) + 1, sizeof *header->metadata);
  if (!header->metadata) return ml_fail(err, ML_NOMEM, "not enough memory for " METADATA);
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    if (!json_is_string(value))
      return ml_fail(err, ML_FORMAT, METADATA " \"%s\" must be a string, got %s", ml_st_name_text(shown, key),
                     json_kind(value));
    ml_text_pair *pair = &header->metadata[header->metadata_count++];
    pair->key = copy_text(key, err);
    if (!pair->key) return ML_NOMEM;
    pair->value = copy_text(json_string_value(value), err);
    if (!pair->value) return ML_NOMEM;
  }
  qsort(header->metadata, (size_t)header->metadata_count, sizeof *header->metadata, ml_st_compare_text);
  return ML_OK;
}

static ml_status fill_header(ml_st_header *header, json_t *root, uint64_t data_size, ml_error *err) {
  if (!json_is_object(root)) return ml_fail(err, ML_FORMAT, "the header must be an object, got %s", json_kind(root));
  header->entries = ml_calloc(json_object_size(root) + 1, sizeof *header->entries);
  if (!header->entries) return ml_fail(err, ML_NOMEM, "not enough memory for %zu tensors", json_object_size(root));
  const char *name;
  json_t *value;
  json_object_foreach(root, name, value) {
    ml_status status =
        strcmp(name, METADATA) == 0 ? add_metadata(header, value, err) : add_entry(header, name, value, data_size, err);
    if (status != ML_OK) return status;
  }
  qsort(header->entries, (size_t)header->count, sizeof *header->entries, compare_entries);
  return check_cover(header, data_size, err);
}

ml_status ml_st_header_parse(ml_st_header *header, const char *text, size_t size, uint64_t data_size, ml_error *err) {
  *header = (ml_st_header){0};
  ml_status status = ml_st_header_scan(text, size, err);
  if (status != ML_OK) return status;
  /* jansson with this program's allocator. The earlier one is put back, because others' values came from it. */
  json_malloc_t old_malloc;
  json_free_t old_free;
  json_get_alloc_funcs(&old_malloc, &old_free);
  json_set_alloc_funcs(json_alloc, ml_free);
  json_t *root = NULL;
  status = parse_json(&root, text, size, err);
  if (status == ML_OK) status = fill_header(header, root, data_size, err);
  json_decref(root);
  json_set_alloc_funcs(old_malloc, old_free);
  if (status != ML_OK) ml_st_header_clear(header);
  return status;
}

void ml_st_header_clear(ml_st_header *header) {
  for (int64_t i = 0; i < header->count; i++) ml_free(header->entries[i].name);
  for (int64_t i = 0; i < header->metadata_count; i++) {
    ml_free(header->metadata[i].key);
    ml_free(header->metadata[i].value);
  }
  ml_free(header->entries);
  ml_free(header->metadata);
  *header = (ml_st_header){0};
}
