/* What the tests of src/data share: a folder of their own, files written from bytes, gzip made with zlib, and the loop
 * that fails every allocation in turn. */
#ifndef ML_TESTS_DATA_FIXTURES_H
#define ML_TESTS_DATA_FIXTURES_H

#include <stddef.h>
#include <stdint.h>

#include "data/readers.h"

/* Group set-up and tear-down: a new folder and a pool of two threads; both are gone afterwards. */
int data_make_folder(void **state);
int data_remove_folder(void **state);

/* The path of a file in that folder (valid until the next call). */
const char *data_path(const char *name);
/* Writes a file there and returns its path. */
const char *data_put(const char *name, const void *bytes, size_t size);

/* Appends a gzip member that holds bytes to out; returns its size. header may be NULL. */
struct gz_header_s;
size_t data_gzip(uint8_t *out, size_t room, const void *bytes, size_t size, struct gz_header_s *header);

/* Writes an IDX header of type u8 and returns its size. */
size_t data_idx_header(uint8_t *out, int ndim, const uint32_t *sizes);

/* err has this status, and a message that begins with path (unless NULL) and has `part` in it. */
void data_check_error(const ml_error *err, ml_status status, const char *path, const char *part);

/* Calls make with the 1st, 2nd, ... allocation failing until it succeeds. Every failure must be NULL with ML_NOMEM and
 * leave no block behind. */
typedef void *(*data_make_fn)(void *ctx, ml_error *err);
typedef void (*data_drop_fn)(void *made);
void data_fail_allocations(data_make_fn make, data_drop_fn drop, void *ctx);

/* For data_fail_allocations. */
void data_drop_dataset(void *made);
void data_drop_tensor(void *made);

/* A dataset of n u8 images of height x width: pixel j of image i is (7 i + 3 j) mod 256, label i is i mod classes. */
ml_dataset *data_small_set(int64_t n, int64_t height, int64_t width, int classes);

#endif
