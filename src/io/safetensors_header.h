/* The JSON header of a safetensors file, for the reader and the writer of that format only: which limits it keeps, and
 * what it says about the tensors. No file is touched here. */
#ifndef ML_IO_SAFETENSORS_HEADER_H
#define ML_IO_SAFETENSORS_HEADER_H

#include "io/safetensors.h"

#define ML_ST_PREFIX     8         /* bytes of the header's length, before it */
#define ML_ST_MAX_HEADER 100000000 /* bytes of the header, by the format */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they lie in memory");

/* One tensor as the header describes it; its bytes are begin..end-1 of the data. */
typedef struct ml_st_entry {
  char *name; /* from ml_alloc */
  ml_dtype dtype;
  ml_shape shape;
  uint64_t begin, end;
  int64_t order; /* its place in the header */
} ml_st_entry;

typedef struct ml_st_header {
  ml_st_entry *entries; /* sorted by begin; together they cover the data without hole or overlap */
  int64_t count;
  ml_text_pair *metadata; /* sorted by key */
  int64_t metadata_count;
} ml_st_header;

/* "F32", "U8", "I32". */
const char *ml_st_dtype_text(ml_dtype dtype);

/* Parses text[size] and checks everything that the format demands of a header in front of data_size bytes. On failure
 * *header is empty. Byte numbers in messages count from the file's first byte. */
ml_status ml_st_header_parse(ml_st_header *header, const char *text, size_t size, uint64_t data_size, ml_error *err);
void ml_st_header_clear(ml_st_header *header);

/* ML_FORMAT if text[size] nests deeper or holds more values than a header may: what bounds the parser's memory. */
ml_status ml_st_header_scan(const char *text, size_t size, ml_error *err);

/* A name as messages show it: cut, with "...", where it is long. */
#define ML_ST_NAME_TEXT 100
const char *ml_st_name_text(char text[ML_ST_NAME_TEXT], const char *name);

/* Sorts by key, for looking at neighbours. */
int ml_st_compare_text(const void *a, const void *b);

#endif
