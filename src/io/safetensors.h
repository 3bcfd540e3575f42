/* safetensors files: named tensors behind a JSON header (the byte-level rules are in the format's public description
 * and in src/io/README.md). Reading is strict: anything the format forbids is refused, within time and memory that the
 * file's own size bounds. Writing is atomic (ml_writer) and deterministic: the same tensors and metadata in the same
 * order give the same bytes. */
#ifndef ML_IO_SAFETENSORS_H
#define ML_IO_SAFETENSORS_H

#include "tensor/tensor.h"

typedef struct ml_named_tensor {
  char *name;            /* ml_alloc'ed when read; the caller's when written */
  ml_tensor *tensor;
} ml_named_tensor;

typedef struct ml_text_pair {
  char *key, *value;
} ml_text_pair;

typedef struct ml_archive {
  ml_named_tensor *tensors;   /* in the order of their bytes in the file */
  int64_t tensor_count;
  ml_text_pair *metadata;     /* sorted by key */
  int64_t metadata_count;
} ml_archive;

/* F32, U8 and I32 tensors; another dtype is refused by name. ML_IO or ML_FORMAT with the path, and the byte where it
 * helps. On success the caller frees the archive with ml_archive_clear. */
ml_status ml_safetensors_read(ml_archive *archive, const char *path, ml_error *err);

/* The same for a file's bytes in memory; the message lacks a path. */
ml_status ml_safetensors_decode(ml_archive *archive, const void *bytes, size_t size, ml_error *err);

/* Writes at least one tensor, in the order given; names and keys are unique UTF-8. ML_MISUSE otherwise. */
ml_status ml_safetensors_write(const char *path, const ml_archive *archive, ml_error *err);

/* The bytes that ml_safetensors_write would write, in a block from ml_alloc. The message lacks a path. */
ml_status ml_safetensors_image(uint8_t **image, size_t *size, const ml_archive *archive, ml_error *err);

void ml_archive_clear(ml_archive *archive);   /* frees what ml_safetensors_read made */

#endif
