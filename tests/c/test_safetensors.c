/* safetensors: round trips, the exact bytes of a tiny file, headers as others write them, what is not written, and a
 * failure of every allocation. Damaged files are in test_safetensors_bad.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "safetensors_aid.h"

static ml_tensor *new_tensor(ml_dtype dtype, int ndim, const int64_t *size) {
  ml_shape shape = {.ndim = ndim};
  for (int i = 0; i < ndim; i++) shape.size[i] = size[i];
  ml_error err;
  ml_tensor *t = ml_tensor_new(dtype, &shape, &err);
  assert_non_null(t);
  unsigned char *bytes = t->data;
  for (size_t i = 0; i < ml_tensor_bytes(t); i++) bytes[i] = (unsigned char)(i * 37 + 11);
  return t;
}

static void check_write(const ml_archive *archive) {
  ml_error err = {0};
  if (ml_safetensors_write(st_path, archive, &err) != ML_OK) fail_msg("%s", err.message);
}

static void check_read(ml_archive *archive) {
  ml_error err = {0};
  if (ml_safetensors_read(archive, st_path, &err) != ML_OK) fail_msg("%s", err.message);
}

/* ---- what is good ---- */

static void check_same(const ml_archive *a, const ml_archive *b) {
  assert_int_equal(a->tensor_count, b->tensor_count);
  for (int64_t i = 0; i < a->tensor_count; i++) {
    const ml_tensor *x = a->tensors[i].tensor, *y = b->tensors[i].tensor;
    assert_string_equal(a->tensors[i].name, b->tensors[i].name);
    assert_int_equal(x->dtype, y->dtype);
    assert_true(ml_shape_equal(&x->shape, &y->shape));
    if (ml_tensor_bytes(x) > 0) assert_memory_equal(x->data, y->data, ml_tensor_bytes(x));
  }
}

static void test_round_trip(void **state) {
  (void)state;
  ml_named_tensor tensors[] = {
      {"0.weight", new_tensor(ML_F32, 2, (int64_t[]){5, 7})},
      {"scalar", new_tensor(ML_I32, 0, NULL)},
      {"image", new_tensor(ML_U8, 3, (int64_t[]){1, 3, 11})}, /* odd bytes: what follows is not aligned in the file */
      {"nothing", new_tensor(ML_F32, 2, (int64_t[]){3, 0})},
      {"nothing else", new_tensor(ML_U8, 1, (int64_t[]){0})},
      {"six", new_tensor(ML_F32, 6, (int64_t[]){1, 2, 1, 3, 1, 2})},
      {"", new_tensor(ML_I32, 1, (int64_t[]){1})},
      {"quote\" back\\slash\n\x01 caf\xc3\xa9 \xf0\x9f\x99\x82 /", new_tensor(ML_F32, 1, (int64_t[]){2})},
  };
  ml_text_pair metadata[] = {{"format", "pt"}, {"a\tb", ""}, {"", "{\"x\": [1,2]}"}};
  ml_archive out = {tensors, 8, metadata, 3}, in;
  check_write(&out);
  check_read(&in);
  check_same(&out, &in);
  assert_int_equal(in.metadata_count, 3); /* comes back sorted by key */
  static const int sorted[] = {2, 1, 0};
  for (int i = 0; i < 3; i++) {
    assert_string_equal(in.metadata[i].key, metadata[sorted[i]].key);
    assert_string_equal(in.metadata[i].value, metadata[sorted[i]].value);
  }
  ml_archive_clear(&in);

  uint8_t *bytes;
  size_t size;
  assert_int_equal(ml_file_read(&bytes, &size, st_path, SIZE_MAX - 1, NULL), ML_OK);
  assert_int_equal(ml_safetensors_decode(&in, bytes, size, NULL), ML_OK);
  check_same(&out, &in);
  ml_archive_clear(&in);
  for (size_t cut = 0; cut < size; cut++) {
    uint64_t live = ml_memory_get_stats().live_blocks;
    assert_int_equal(ml_safetensors_decode(&in, bytes, cut, NULL), ML_FORMAT);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
  ml_free(bytes);
  for (int i = 0; i < 8; i++) ml_tensor_unref(tensors[i].tensor);
}

static ml_tensor *two_floats(void) {
  ml_tensor *t = new_tensor(ML_F32, 1, (int64_t[]){2});
  t->f32[0] = 1.0f;
  t->f32[1] = -2.5f;
  return t;
}

static void test_exact_bytes(void **state) {
  (void)state;
  static const char golden[] = "\x90\0\0\0\0\0\0\0"
                               "{\"__metadata__\":{\"format\":\"pt\"},"
                               "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                               "\"a\\u000a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}  "
                               "\0\0\x80\x3f\0\0\x20\xc0\xc8";
  ml_tensor *b = two_floats(), *a = new_tensor(ML_U8, 0, NULL);
  a->u8[0] = 200;
  ml_named_tensor tensors[] = {{"b", b}, {"a\n", a}};
  ml_text_pair metadata[] = {{"format", "pt"}};
  check_write(&(ml_archive){tensors, 2, metadata, 1});
  uint8_t *bytes;
  size_t size;
  ml_error err;
  assert_int_equal(ml_file_read(&bytes, &size, st_path, 4096, &err), ML_OK);
  assert_int_equal(size, sizeof golden - 1);
  assert_memory_equal(bytes, golden, size);
  ml_free(bytes);
  ml_tensor_unref(a);
  ml_tensor_unref(b);
}

/* Headers as others write them: other orders of keys and tensors, spaces, numbers of tensors. */
static const struct good_case {
  const char *header;
  size_t data;
  const char *names; /* in the order of their bytes */
} good[] = {
    {"{}", 0, ""},
    {"{\"__metadata__\":{}}   ", 0, ""},
    {"{ \"y\" : { \"data_offsets\" : [ 4 , 8 ] , \"shape\" : [ 1 ] , \"dtype\" : \"I32\" } ,\n"
     "\"x\":{\"shape\":[1,1],\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
     8, "xy"},
    {"{\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
     "\"x\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
     "\"w\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[3,3]},"
     "\"v\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
     3, "zvxw"},
    {"{\"\\u0078\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "x"},
};

static void test_good_headers(void **state) {
  (void)state;
  for (size_t c = 0; c < sizeof good / sizeof good[0]; c++) {
    ml_archive archive;
    st_put_header(good[c].header, good[c].data);
    check_read(&archive);
    char names[16] = "";
    unsigned char next = 1;
    for (int64_t i = 0; i < archive.tensor_count; i++) {
      const ml_tensor *t = archive.tensors[i].tensor;
      strcat(names, archive.tensors[i].name);
      for (size_t b = 0; b < ml_tensor_bytes(t); b++) assert_int_equal(((const uint8_t *)t->data)[b], next++);
    }
    assert_string_equal(names, good[c].names);
    ml_archive_clear(&archive);
  }
}

/* ---- every allocation ---- */

static void test_read_without_memory(void **state) {
  (void)state;
  st_put_header(ST_SAMPLE, ST_SAMPLE_DATA);
  uint64_t live = ml_memory_get_stats().live_blocks;
  ml_status status = ML_NOMEM;
  for (uint64_t n = 1; status != ML_OK; n++) {
    ml_archive archive;
    ml_error err = {0};
    ml_memory_fail_from(n);
    status = ml_safetensors_read(&archive, st_path, &err);
    ml_memory_fail_from(0);
    if (status != ML_OK && status != ML_NOMEM) fail_msg("allocation %d: %s", (int)n, err.message);
    if (status != ML_OK) assert_true(strlen(err.message) > strlen(st_path) + 2);
    ml_archive_clear(&archive);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
    assert_true(n < 1000);
  }
}

static void test_write_without_memory(void **state) {
  (void)state;
  st_put_file("old", 3);
  ml_tensor *t = two_floats();
  ml_named_tensor tensors[] = {{"w", t}};
  ml_archive archive = {tensors, 1, NULL, 0};
  uint64_t live = ml_memory_get_stats().live_blocks;
  ml_status status = ML_NOMEM;
  for (uint64_t n = 1; status != ML_OK; n++) {
    ml_error err = {0};
    ml_memory_fail_from(n);
    status = ml_safetensors_write(st_path, &archive, &err);
    ml_memory_fail_from(0);
    if (status != ML_OK && status != ML_NOMEM) fail_msg("allocation %d: %s", (int)n, err.message);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
    struct stat info;
    assert_int_equal(stat(st_path, &info), 0);
    assert_true((info.st_size == 3) == (status != ML_OK));
    assert_true(n < 1000);
  }
  ml_tensor_unref(t);
}

/* ---- what is not written ---- */

static void check_not_written(const ml_archive *archive, const char *part) {
  ml_error err = {0};
  st_put_file("old", 3);
  assert_int_equal(ml_safetensors_write(st_path, archive, &err), ML_MISUSE);
  assert_int_equal(err.status, ML_MISUSE);
  assert_int_equal(strncmp(err.message, st_path, strlen(st_path)), 0);
  if (!strstr(err.message, part)) fail_msg("expected \"%s\" in: %s", part, err.message);
  struct stat info;
  assert_int_equal(stat(st_path, &info), 0);
  assert_int_equal(info.st_size, 3);
}

static void test_write_misuse(void **state) {
  (void)state;
  ml_tensor *t = two_floats(), *gone = two_floats();
  ml_tensor_expire(gone);
  ml_text_pair none[1];
  check_not_written(&(ml_archive){NULL, 0, none, 0}, "no tensor to write");

  static const char *const not_utf8[] = {
      "a\xff", "\x80",     "\xc0\x80",    "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
      "\xc3",  "\xe2\x82", "\xf0\x9f\x99"};
  for (size_t i = 0; i < sizeof not_utf8 / sizeof not_utf8[0]; i++) {
    ml_named_tensor named = {(char *)not_utf8[i], t};
    check_not_written(&(ml_archive){&named, 1, none, 0}, "is not UTF-8 at byte");
    ml_named_tensor fine = {"w", t};
    check_not_written(&(ml_archive){&fine, 1, &(ml_text_pair){"k", (char *)not_utf8[i]}, 1}, "metadata value");
  }

  ml_named_tensor twice[] = {{"w", t}, {"b", t}, {"w", t}};
  check_not_written(&(ml_archive){twice, 3, none, 0}, "tensor name \"w\" is given twice");
  ml_named_tensor reserved = {"__metadata__", t}, expired = {"w", gone}, fine = {"w", t};
  check_not_written(&(ml_archive){&reserved, 1, none, 0}, "cannot be named __metadata__");
  check_not_written(&(ml_archive){&expired, 1, none, 0}, "tensor \"w\" was computed in an earlier step");
  ml_text_pair keys[] = {{"k", "1"}, {"k", "2"}};
  check_not_written(&(ml_archive){&fine, 1, keys, 2}, "metadata key \"k\" is given twice");
  ml_tensor_unref(t);
  ml_tensor_unref(gone);
}

static void test_write_to_nowhere(void **state) {
  (void)state;
  ml_tensor *t = two_floats();
  ml_named_tensor named = {"w", t};
  ml_error err;
  char nowhere[160];
  snprintf(nowhere, sizeof nowhere, "%s/no/such/folder", st_folder);
  assert_int_equal(ml_safetensors_write(nowhere, &(ml_archive){&named, 1, NULL, 0}, &err), ML_IO);
  ml_tensor_unref(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),           cmocka_unit_test(test_exact_bytes),
      cmocka_unit_test(test_good_headers),         cmocka_unit_test(test_read_without_memory),
      cmocka_unit_test(test_write_without_memory), cmocka_unit_test(test_write_misuse),
      cmocka_unit_test(test_write_to_nowhere),
  };
  return cmocka_run_group_tests_name("safetensors", tests, st_make_folder, st_remove_folder);
}
