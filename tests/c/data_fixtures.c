/* Shared by the tests of src/data; see the header. Any failure here fails the test that asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data_fixtures.h"

static char folder[64];

int data_make_folder(void **state) {
  (void)state;
  ml_error err = {0};
  snprintf(folder, sizeof folder, "/tmp/mnistlua-data-XXXXXX");
  assert_non_null(mkdtemp(folder));
  assert_int_equal(ml_pool_start(2, &err), ML_OK);
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *level) {
  (void)st, (void)kind, (void)level;
  return remove(path);
}

int data_remove_folder(void **state) {
  (void)state;
  ml_pool_stop();
  return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *data_path(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

const char *data_put(const char *name, const void *bytes, size_t size) {
  const char *path = data_path(name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
  return path;
}

size_t data_gzip(uint8_t *out, size_t room, const void *bytes, size_t size, gz_header *header) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  if (header) assert_int_equal(deflateSetHeader(&z, header), Z_OK);
  z.next_in = (Bytef *)(uintptr_t)bytes;
  z.avail_in = (uInt)size;
  z.next_out = out;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  return room - z.avail_out;
}

size_t data_idx_header(uint8_t *out, int ndim, const uint32_t *sizes) {
  out[0] = out[1] = 0;
  out[2] = 8;
  out[3] = (uint8_t)ndim;
  for (int i = 0; i < ndim; i++)
    for (int k = 0; k < 4; k++) out[4 + 4 * i + k] = (uint8_t)(sizes[i] >> (24 - 8 * k));
  return 4 + 4 * (size_t)ndim;
}

void data_check_error(const ml_error *err, ml_status status, const char *path, const char *part) {
  if (err->status != status) fail_msg("status %d, expected %d: %s", err->status, status, err->message);
  if (path && strncmp(err->message, path, strlen(path)) != 0) fail_msg("no path in front: %s", err->message);
  if (!strstr(err->message, part)) fail_msg("expected \"%s\" in: %s", part, err->message);
  assert_null(strchr(err->message, '\n'));
}

void data_fail_allocations(data_make_fn make, data_drop_fn drop, void *ctx) {
  uint64_t live = ml_memory_get_stats().live_blocks;
  for (uint64_t n = 1; n < 10000; n++) {
    ml_error err = {0};
    ml_memory_fail_from(n);
    void *made = make(ctx, &err);
    ml_memory_fail_from(0);
    if (made) {
      drop(made);
      assert_int_equal(ml_memory_get_stats().live_blocks, live);
      assert_true(n > 1);
      return;
    }
    if (err.status != ML_NOMEM) fail_msg("allocation %d: status %d: %s", (int)n, err.status, err.message);
    assert_true(err.message[0] != 0);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
  fail_msg("never succeeds");
}

void data_drop_dataset(void *made) { ml_dataset_unref(made); }
void data_drop_tensor(void *made) { ml_tensor_unref(made); }

ml_dataset *data_small_set(int64_t n, int64_t height, int64_t width, int classes) {
  ml_error err = {0};
  ml_shape shape = {.ndim = 3, .size = {n, height, width}};
  ml_tensor *images = ml_tensor_new(ML_U8, &shape, &err);
  shape.ndim = 1;
  ml_tensor *labels = ml_tensor_new(ML_I32, &shape, &err);
  assert_non_null(images);
  assert_non_null(labels);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < height * width; j++) images->u8[i * height * width + j] = (uint8_t)(7 * i + 3 * j);
    labels->i32[i] = (int32_t)(i % classes);
  }
  ml_dataset *d = ml_dataset_new(images, labels, classes, &err);
  assert_non_null(d);
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
  return d;
}
