/* IDX files, packed and not: good ones, every damaged header byte, wrong lengths, damaged and hostile gzip, files that
 * are none. Each is refused with a message that says where; none costs memory that the file cannot hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/memory.h"
#include "data_fixtures.h"

#define SAMPLE_BYTES (16 + 2 * 3 * 4)

/* A good file of shape 2x3x4 whose data are 1, 2, 3, ... */
static void make_sample(uint8_t out[SAMPLE_BYTES]) {
  size_t at = data_idx_header(out, 3, (uint32_t[]){2, 3, 4});
  for (size_t i = at; i < SAMPLE_BYTES; i++) out[i] = (uint8_t)(i - at + 1);
}

static void check_sample(const char *path) {
  ml_error err = {0};
  ml_tensor *t = ml_read_idx(path, &err);
  if (!t) fail_msg("%s", err.message);
  assert_int_equal(t->dtype, ML_U8);
  assert_true(ml_shape_equal(&t->shape, &(ml_shape){.ndim = 3, .size = {2, 3, 4}}));
  for (int i = 0; i < 24; i++) assert_int_equal(t->u8[i], i + 1);
  ml_tensor_unref(t);
}

static void check_refused(const void *bytes, size_t size, const char *part) {
  const char *path = data_put("bad", bytes, size);
  ml_error err = {0};
  uint64_t live = ml_memory_get_stats().live_blocks;
  ml_tensor *t = ml_read_idx(path, &err);
  if (t) fail_msg("read, expected \"%s\"", part);
  data_check_error(&err, ML_FORMAT, path, part);
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
  assert_null(ml_read_idx(path, NULL));
}

/* Both as it is and packed. */
static void check_refused_packed_too(const void *bytes, size_t size, const char *part) {
  uint8_t packed[1024];
  check_refused(bytes, size, part);
  check_refused(packed, data_gzip(packed, sizeof packed, bytes, size, NULL), part);
}

static void test_reads_1_to_4_dimensions(void **state) {
  (void)state;
  const uint32_t sizes[4] = {3, 2, 4, 1};
  for (int ndim = 1; ndim <= 4; ndim++) {
    uint8_t file[64];
    size_t size = data_idx_header(file, ndim, sizes);
    ml_shape shape = {.ndim = ndim};
    for (int i = 0; i < ndim; i++) shape.size[i] = sizes[i];
    for (int64_t i = 0; i < ml_shape_count(&shape); i++) file[size++] = (uint8_t)(200 + i);
    ml_tensor *t = ml_read_idx(data_put("good", file, size), NULL);
    assert_non_null(t);
    assert_true(ml_shape_equal(&t->shape, &shape));
    assert_int_equal(t->u8[ml_shape_count(&shape) - 1], 200 + ml_shape_count(&shape) - 1);
    ml_tensor_unref(t);
  }
}

static void test_gzip_goes_by_content(void **state) {
  (void)state;
  uint8_t plain[SAMPLE_BYTES], packed[256];
  make_sample(plain);
  check_sample(data_put("plain", plain, sizeof plain));
  check_sample(data_put("plain-in-name.gz", plain, sizeof plain));
  size_t size = data_gzip(packed, sizeof packed, plain, sizeof plain, NULL);
  check_sample(data_put("packed.gz", packed, size));
  check_sample(data_put("packed", packed, size));
}

static void test_bad_headers(void **state) {
  (void)state;
  static const struct {
    uint8_t header[4];
    const char *message;
  } bad[] = {
      {{1, 0, 8, 1}, "begins with 01 00, expected 00 00 at byte 0"},
      {{0x89, 'P', 'N', 'G'}, "begins with 89 50"},
      {{0, 0, 0x09, 1}, "type i8 (0x09), expected u8 (0x08) at byte 2"},
      {{0, 0, 0x0b, 1}, "type i16 (0x0b)"},
      {{0, 0, 0x0c, 1}, "type i32 (0x0c)"},
      {{0, 0, 0x0d, 1}, "type f32 (0x0d)"},
      {{0, 0, 0x0e, 1}, "type f64 (0x0e)"},
      {{0, 0, 0x42, 1}, "type unknown (0x42)"},
      {{0, 0, 8, 0}, "0 dimensions, expected 1 to 4 at byte 3"},
      {{0, 0, 8, 5}, "5 dimensions, expected 1 to 4"},
      {{0, 0, 8, 255}, "255 dimensions"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint8_t file[64] = {0};
    memcpy(file, bad[i].header, 4);
    check_refused_packed_too(file, sizeof file, bad[i].message);
    check_refused_packed_too(file, 4, bad[i].message);
  }
}

static void test_bad_sizes(void **state) {
  (void)state;
  static const struct {
    uint32_t size[4];
    const char *message;
  } bad[] = {
      {{0, 28, 28, 1}, "dimension 1 is 0, expected 1 or more at byte 4"},
      {{2, 3, 4, 0}, "dimension 4 is 0, expected 1 or more at byte 16"},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       "has 4294967295x4294967295x4294967295x4294967295 bytes by its header at byte 4, expected at most 2147483647"},
      {{1u << 31, 2, 1u << 31, 4}, "expected at most 2147483647"}, /* the product is 0 in 64 bits */
      {{0x80000000, 1, 1, 1}, "expected at most 2147483647"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint8_t file[64] = {0};
    data_idx_header(file, 4, bad[i].size);
    check_refused_packed_too(file, sizeof file, bad[i].message);
  }
}

static void test_cut_at_every_byte(void **state) {
  (void)state;
  uint8_t file[SAMPLE_BYTES];
  make_sample(file);
  for (size_t size = 0; size < sizeof file; size++) {
    char message[128];
    if (size < 4)
      snprintf(message, sizeof message, "the data end at byte %zu, expected 4 bytes of an IDX header", size);
    else if (size < 16)
      snprintf(message, sizeof message, "the data end at byte %zu, expected 16 bytes of sizes", size);
    else
      snprintf(message, sizeof message, "expected 24 bytes of data (2x3x4) after the header, found %zu; the data end "
               "at byte %zu", size - 16, size);
    check_refused_packed_too(file, size, message);
  }
}

static void test_flip_in_every_header_byte(void **state) {
  (void)state;
  for (int bit = 0; bit < 16 * 8; bit++) {
    uint8_t file[SAMPLE_BYTES];
    make_sample(file);
    file[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    check_refused_packed_too(file, sizeof file, "expected");
  }
}

static void test_data_longer_than_stated(void **state) {
  (void)state;
  static uint8_t file[SAMPLE_BYTES + 5000], packed[1024];
  make_sample(file);
  check_refused_packed_too(file, SAMPLE_BYTES + 1, "expected 24 bytes of data (2x3x4) after the header, found 25; they "
                           "should end at byte 40");
  check_refused(file, sizeof file, "found 4120 or more; they should end at byte 40");
  check_refused(packed, data_gzip(packed, sizeof packed, file, sizeof file, NULL), "found 4120 or more");
}

static void test_gzip_members_and_fields(void **state) {
  (void)state;
  uint8_t plain[SAMPLE_BYTES], packed[1024];
  make_sample(plain);
  for (size_t cut = 0; cut <= sizeof plain; cut++) {
    size_t size = data_gzip(packed, sizeof packed, plain, cut, NULL);
    size += data_gzip(packed + size, sizeof packed - size, plain, 0, NULL);
    size += data_gzip(packed + size, sizeof packed - size, plain + cut, sizeof plain - cut, NULL);
    check_sample(data_put("members", packed, size));
  }
  uint8_t extra[100] = {3}, name[] = "a name", comment[] = "a comment";
  gz_header header = {.extra = extra, .extra_len = sizeof extra, .name = name, .comment = comment, .hcrc = 1};
  size_t size = data_gzip(packed, sizeof packed, plain, sizeof plain, &header);
  check_sample(data_put("fields", packed, size));
  packed[12]++; /* the extra field's first byte: only the header's own checksum notices */
  check_refused(packed, size, "header crc mismatch");
}

static void test_damaged_gzip(void **state) {
  (void)state;
  uint8_t plain[SAMPLE_BYTES], good[256], bad[256];
  make_sample(plain);
  size_t size = data_gzip(good, sizeof good, plain, sizeof plain, NULL);
  memcpy(bad, good, size);
  bad[size - 5] ^= 1;
  check_refused(bad, size, "incorrect data check");
  memcpy(bad, good, size);
  bad[size - 1] ^= 1;
  check_refused(bad, size, "incorrect length check");
  static const char *const garbage[] = {"x", "\x1f", "\x1f\x8c", "garbage"};
  for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
    char message[80];
    memcpy(bad, good, size);
    memcpy(bad + size, garbage[i], strlen(garbage[i]));
    snprintf(message, sizeof message, "expected the end of the gzip data at byte %zu, found %zu more", size,
             strlen(garbage[i]));
    check_refused(bad, size + strlen(garbage[i]), message);
  }
  memcpy(bad, good, size);
  memcpy(bad + size, "\x1f\x8b", 2);
  check_refused(bad, size + 2, "the gzip data are cut off, expected more at byte");
  for (size_t cut = 2; cut < size; cut++) check_refused(good, cut, "the gzip data are cut off");
  check_refused("\x1f\x8b", 2, "the gzip data are cut off, expected more at byte 2");
}

/* A flip may be harmless (time stamp, operating system); then the data are the same. */
static void test_flip_in_every_gzip_byte(void **state) {
  (void)state;
  uint8_t plain[SAMPLE_BYTES], file[256];
  make_sample(plain);
  size_t size = data_gzip(file, sizeof file, plain, sizeof plain, NULL);
  int harmless = 0;
  for (size_t bit = 0; bit < size * 8; bit++) {
    ml_error err = {0};
    file[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    const char *path = data_put("flipped", file, size);
    ml_tensor *t = ml_read_idx(path, &err);
    file[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    if (!t) {
      data_check_error(&err, ML_FORMAT, path, "");
      continue;
    }
    harmless++;
    assert_memory_equal(t->u8, plain + 16, 24);
    ml_tensor_unref(t);
  }
  assert_true(harmless <= 8 * 8);
}

/* 32 MiB of zeros behind a header that promises 10 bytes, and a few bytes that promise 2 GB: neither is unpacked. */
static void test_bombs(void **state) {
  (void)state;
  size_t size = 32 << 20, room = 1 << 16;
  uint8_t *plain = calloc(1, size), *packed = malloc(room);
  assert_non_null(plain);
  assert_non_null(packed);
  data_idx_header(plain, 1, (uint32_t[]){10});
  uint64_t peak = ml_memory_get_stats().peak_bytes;
  check_refused(packed, data_gzip(packed, room, plain, size, NULL), "expected 10 bytes of data (10) after the header, "
                "found 4106 or more");
  data_idx_header(plain, 1, (uint32_t[]){0x7fffffff});
  size = data_gzip(packed, room, plain, 100, NULL);
  check_refused(packed, size, "expected 2147483647 bytes of data after the header, found");
  check_refused(plain, 100, "expected 2147483647 bytes of data (2147483647) after the header, found 92");
  assert_true(ml_memory_get_stats().peak_bytes < peak + (1 << 20));
  free(plain);
  free(packed);
}

static void test_not_a_regular_file(void **state) {
  (void)state;
  ml_error err = {0};
  assert_null(ml_read_idx(data_path("absent"), &err));
  data_check_error(&err, ML_IO, data_path("absent"), "");
  assert_int_equal(mkfifo(data_path("fifo"), 0600), 0);
  assert_int_equal(mkdir(data_path("folder"), 0700), 0);
  static const char *const names[] = {"fifo", "folder"};
  for (size_t i = 0; i < 2; i++) {
    err = (ml_error){0};
    assert_null(ml_read_idx(data_path(names[i]), &err));
    assert_true(err.status == ML_IO || err.status == ML_FORMAT);
  }
  assert_null(ml_read_idx("/dev/zero", &err));
}

static void *read_sample(void *ctx, ml_error *err) { return ml_read_idx(ctx, err); }

static void test_every_failing_allocation(void **state) {
  (void)state;
  uint8_t plain[SAMPLE_BYTES], packed[256];
  char path[256];
  make_sample(plain);
  snprintf(path, sizeof path, "%s", data_put("plain", plain, sizeof plain));
  data_fail_allocations(read_sample, data_drop_tensor, path);
  size_t size = data_gzip(packed, sizeof packed, plain, sizeof plain, NULL);
  snprintf(path, sizeof path, "%s", data_put("packed", packed, size));
  data_fail_allocations(read_sample, data_drop_tensor, path);
}

/* ---- ml_read_text ---- */

static void test_bytes_are_bounded(void **state) {
  (void)state;
  static uint8_t plain[10000], packed[4096];
  memset(plain, 'a', sizeof plain);
  size_t size = data_gzip(packed, sizeof packed, plain, sizeof plain, NULL), got;
  /* several members: the last one's length is no good guess of the whole */
  size += data_gzip(packed + size, sizeof packed - size, plain, 1, NULL);
  uint8_t *data;
  ml_error err = {0};
  const char *path = data_put("packed", packed, size);
  for (size_t max = 10001; max < 10003; max++) {
    assert_int_equal(ml_read_text(&data, &got, path, max, &err), ML_OK);
    assert_int_equal(got, 10001);
    assert_memory_equal(data, plain, 10000);
    assert_int_equal(data[10000], 'a');
    assert_int_equal(data[10001], 0);
    ml_free(data);
  }
  assert_int_equal(ml_read_text(&data, &got, path, 10000, &err), ML_FORMAT);
  data_check_error(&err, ML_FORMAT, path, "unpacks to more than 10000 bytes");
  path = data_put("plain", plain, sizeof plain);
  assert_int_equal(ml_read_text(&data, &got, path, 9999, &err), ML_FORMAT);
  assert_int_equal(ml_read_text(&data, &got, path, 10000, &err), ML_OK);
  assert_int_equal(got, 10000);
  assert_int_equal(data[10000], 0);
  ml_free(data);
}

/* ---- the real thing, where it is ---- */

static void test_mnist(void **state) {
  (void)state;
  const char *root = getenv("MNISTLUA_DATA");
  char path[1024];
  ml_error err = {0};
  if (!root) skip();
  snprintf(path, sizeof path, "%s/mnist/train-images-idx3-ubyte.gz", root);
  ml_tensor *images = ml_read_idx(path, &err);
  snprintf(path, sizeof path, "%s/mnist/train-labels-idx1-ubyte.gz", root);
  ml_tensor *labels = ml_read_idx(path, &err);
  if (!images || !labels) fail_msg("%s", err.message);
  assert_true(ml_shape_equal(&images->shape, &(ml_shape){.ndim = 3, .size = {60000, 28, 28}}));
  ml_dataset *d = ml_dataset_new(images, labels, 0, &err);
  assert_non_null(d);
  double mean, std;
  ml_dataset_moments(d, &mean, &std);
  assert_int_equal(d->classes, 10);
  assert_int_equal(d->labels->i32[0], 5);
  assert_true(mean > 0.13065 && mean < 0.13067 && std > 0.30810 && std < 0.30812);
  ml_dataset_unref(d);
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads_1_to_4_dimensions),
      cmocka_unit_test(test_gzip_goes_by_content),
      cmocka_unit_test(test_bad_headers),
      cmocka_unit_test(test_bad_sizes),
      cmocka_unit_test(test_cut_at_every_byte),
      cmocka_unit_test(test_flip_in_every_header_byte),
      cmocka_unit_test(test_data_longer_than_stated),
      cmocka_unit_test(test_gzip_members_and_fields),
      cmocka_unit_test(test_damaged_gzip),
      cmocka_unit_test(test_flip_in_every_gzip_byte),
      cmocka_unit_test(test_bombs),
      cmocka_unit_test(test_not_a_regular_file),
      cmocka_unit_test(test_every_failing_allocation),
      cmocka_unit_test(test_bytes_are_bounded),
      cmocka_unit_test(test_mnist),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
