/* safetensors files that are damaged, hostile or no such file: each is refused with a message that says why, and a flip
 * of any header byte or a cut at any byte ends with an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/safetensors.h"
#include "safetensors_aid.h"

/* Reading the file is refused, with the path in front of a message that has `part` in it. */
static void check_refused(const char *label, ml_status status, const char *part) {
  ml_archive archive;
  ml_error err = {0};
  ml_status got = ml_safetensors_read(&archive, st_path, &err);
  if (got != status) fail_msg("%.60s: status %d, expected %d (%s)", label, got, status, err.message);
  assert_int_equal(err.status, status);
  if (strncmp(err.message, st_path, strlen(st_path)) != 0) fail_msg("no path in front: %s", err.message);
  if (!strstr(err.message, part)) fail_msg("%.60s: expected \"%s\" in: %s", label, part, err.message);
  assert_null(strchr(err.message, '\n'));
  assert_null(archive.tensors);
  assert_int_equal(archive.tensor_count, 0);
}

#define X(fields)              "{\"x\":{" fields "}}"
#define F32(shape, begin, end) "\"dtype\":\"F32\",\"shape\":[" #shape "],\"data_offsets\":[" #begin "," #end "]"

static const struct bad_header {
  const char *header;
  size_t data;
  const char *message;
} bad[] = {
    /* JSON */
    {"[]", 0, "begins with '{' at byte 8"},
    {" {}", 0, "begins with '{'"},
    {"{", 0, "not valid JSON"},
    {"{} x", 0, "not valid JSON"},
    {"{}{}", 0, "not valid JSON"},
    {"{\"x\":1", 0, "not valid JSON"},
    {"{\"a\\u0000b\":1}", 0, "not valid JSON"},
    {"{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "not valid JSON"},
    {"{\"\xff\":1}", 0, "not valid JSON"},
    {"{\"\xed\xa0\x80\":1}", 0, "not valid JSON"},
    {"{\"a\nb\":1}", 0, "not valid JSON"},
    {"{\"a\":NaN}", 0, "not valid JSON"},
    {"{'a':1}", 0, "not valid JSON"},
    {"{\"a\":1,}", 0, "not valid JSON"},
    {"{\"x\":{" F32(1, 0, 4) "},\"x\":{" F32(1, 4, 8) "}}", 8, "duplicate object key"},
    {X("\"dtype\":\"F32\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,4]"), 4, "duplicate object key"},
    {"{\"x\":{\"y\":{\"z\":{}}}}", 0, "deeper than 3 levels at byte 23"},
    {X("\"shape\":[[1]]"), 0, "deeper than 3 levels"},
    /* the shape of an entry */
    {"{\"x\":3}", 0, "tensor \"x\": must be an object, got a whole number"},
    {"{\"x\":null}", 0, "got null"},
    {X(""), 0, "tensor \"x\": dtype is missing"},
    {X("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "shape is missing"},
    {X("\"dtype\":\"F32\",\"shape\":[1]"), 4, "data_offsets is missing"},
    {X(F32(1, 0, 4) ",\"strides\":[1]"), 4, "unknown field \"strides\""},
    /* dtype */
    {X("\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "dtype F16 is not read, only F32, U8 and I32 are"},
    {X("\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "dtype f32 is not read"},
    {X("\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "dtype must be a string, got a whole number"},
    /* shape */
    {X("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]"), 4, "shape must be an array, got a whole number"},
    {X(F32(-1, 0, 4)), 4, "shape[0] must be at least 0, got -1"},
    {X("\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]"), 4, "shape[1] must be a whole number, got a frac"},
    {X("\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]"), 4, "got a fractional number"},
    {X("\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]"), 4,
     "shape[0] must be a whole number, got a string"},
    {X("\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]"), 4, "got a boolean"},
    {X("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4, "shape has 7 dimensions, at most 6"},
    {X("\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,4]"), 4,
     "not valid JSON: too big integer"},
    {X("\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]"), 4, "more elements than 63 bits"},
    {X("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0, "more elements than 63 bits"},
    {X("\"dtype\":\"U8\",\"shape\":[4611686018427387904,2,0],\"data_offsets\":[0,0]"), 0, "more elements than 63 bits"},
    {X("\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,4]"), 4,
     "takes 9223372036854775807 bytes"},
    /* data_offsets */
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4"), 4, "data_offsets must be an array, got a whole number"},
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"), 4, "data_offsets must hold 2 numbers, got 1"},
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "must hold 2 numbers, got 3"},
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0.0,4]"), 4, "data_offsets[0] must be a whole number"},
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "data_offsets[0] must be at least 0, got -4"},
    {X(F32(1, 4, 0)), 4, "data_offsets [4, 0] end before they begin"},
    {X(F32(1, 0, 4)), 3, "data_offsets [0, 4] go beyond the file, which has 3 bytes of data"},
    {X("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]"), 4,
     "go beyond the file"},
    {X("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,20]"), 24,
     "2x3 of F32 takes 24 bytes, but data_offsets [0, 20] span 20"},
    {X("\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]"), 0, "scalar of F32 takes 4 bytes"},
    {X(F32(0, 0, 4)), 4, "takes 0 bytes"},
    /* all tensors together */
    {X(F32(1, 4, 8)), 8, "tensor \"x\": a hole before it: its data begins at 4, expected 0"},
    {"{\"x\":{" F32(1, 0, 4) "},\"y\":{" F32(1, 8, 12) "}}", 12,
     "tensor \"y\": a hole before it: its data begins at 8, expected 4"},
    {"{\"x\":{" F32(2, 0, 8) "},\"y\":{" F32(1, 4, 8) "}}", 8,
     "tensor \"y\": overlaps tensor \"x\": its data begins at 4"},
    {"{\"x\":{" F32(1, 0, 4) "},\"y\":{" F32(1, 0, 4) "}}", 4, "overlaps"},
    {X(F32(1, 0, 4)), 5, "5 bytes of data, but the tensors take 4"},
    {"{}", 1, "1 bytes of data, but the tensors take 0"},
    {"{\"x\":{" F32(1, 0, 4) "},\"y\":{" F32(0, 2, 2) "}}", 4, "overlaps"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, "__metadata__ must be an object, got an array"},
    {"{\"__metadata__\":{\"step\":12}}", 0, "__metadata__ \"step\" must be a string, got a whole number"},
    {"{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__ \"a\" must be a string, got an object"},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate object key"},
    /* names of strangers in messages */
    {"{\"a\\u001b[31m\\n\":3}", 0, "tensor \"a\\x1b[31m\\x0a\": must be an object"},
    {"{\"%n%s\":3}", 0, "tensor \"%n%s\": must be"},
};

static void test_bad_headers(void **state) {
  (void)state;
  for (size_t c = 0; c < sizeof bad / sizeof bad[0]; c++) {
    st_put_header(bad[c].header, bad[c].data);
    check_refused(bad[c].header, ML_FORMAT, bad[c].message);
  }
}

#define BYTES(text) text, sizeof text - 1

static const struct bad_file {
  const char *bytes;
  size_t size;
  const char *message;
} bad_files[] = {
    {BYTES(""), "has 0 bytes, too few"},
    {BYTES("\0"), "has 1 bytes, too few"},
    {BYTES("\2\0\0\0\0\0\0\0"), "has 8 bytes, too few"},
    {BYTES("\2\0\0\0\0\0\0\0{"), "a header of 2 bytes does not fit in a file of 9"},
    {BYTES("\0\0\0\0\0\0\0\0{}"), "not a safetensors file"},
    {BYTES("\x02\0\0\0\0\0\0\x80{}"), "a header of 9223372036854775810 bytes does not fit"},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "a header of 18446744073709551615 bytes does not fit"},
    {BYTES("\xf8\xff\xff\xff\xff\xff\xff\xff{}"), "does not fit"},
    {BYTES("\x80\x02\x8a\x0al\xfc\x9c"
           "F\xf9 j\xa8P\x19.\x80\x02"),
     "looks like a PyTorch pickle; refused: save it as safetensors"},
    {BYTES("\x80\x04\x95\x0a"), "looks like a PyTorch pickle"},
    {BYTES("PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0"), "looks like a PyTorch zip; refused: save it as safetensors"},
    {BYTES("PK\x03\x04"), "looks like a PyTorch zip"},
};

static void test_bad_files(void **state) {
  (void)state;
  for (size_t c = 0; c < sizeof bad_files / sizeof bad_files[0]; c++) {
    st_put_file(bad_files[c].bytes, bad_files[c].size);
    check_refused(bad_files[c].message, ML_FORMAT, bad_files[c].message);
  }
}

/* A sparse file can be as long as its header claims. */
static void test_header_limit(void **state) {
  (void)state;
  st_put_file("\x01\xe1\xf5\x05\0\0\0\0{}", 10); /* 100,000,001 */
  assert_int_equal(truncate(st_path, 100000200), 0);
  check_refused("a header of 100,000,001 bytes", ML_FORMAT, "a header of 100000001 bytes, at most 100000000");
}

static void test_not_a_file(void **state) {
  (void)state;
  check_refused("no such file", ML_IO, unlink(st_path) == 0 ? "No such file" : "?");
  assert_int_equal(mkdir(st_path, 0700), 0);
  check_refused("a folder", ML_IO, "expected a file, got a folder");
  assert_int_equal(rmdir(st_path), 0);
  assert_int_equal(mkfifo(st_path, 0600), 0);
  check_refused("a FIFO", ML_IO, "expected a file, got a FIFO");
  assert_int_equal(unlink(st_path), 0);
  ml_archive archive;
  ml_error err;
  assert_int_equal(ml_safetensors_read(&archive, "/dev/zero", &err), ML_IO);
}

/* Appends text to a growing header of `capacity` bytes at *used. */
static void append(char *header, size_t *used, const char *text) {
  size_t length = strlen(text);
  memcpy(header + *used, text, length + 1);
  *used += length;
}

static void check_repeated(const char *first, const char *format, int count, const char *last, size_t data,
                           const char *message) {
  char *header = malloc(strlen(first) + (strlen(format) + 12) * (size_t)count + strlen(last) + 1), one[256];
  assert_non_null(header);
  size_t used = 0;
  append(header, &used, first);
  for (int i = 0; i < count; i++) {
    snprintf(one, sizeof one, format, i);
    append(header, &used, one);
  }
  append(header, &used, last);
  st_put_header(header, data);
  free(header);
  check_refused(message, ML_FORMAT, message);
}

static void test_masses(void **state) {
  (void)state;
  static const char same[] = "\"t%d\":{\"dtype\":\"U8\",\"shape\":[1000],\"data_offsets\":[0,1000]},";
  static const char last[] = "\"u\":{\"dtype\":\"U8\",\"shape\":[1000],\"data_offsets\":[0,1000]}}";
  check_repeated("{\"a\":", "[", 1000000, "}", 0, "deeper than 3 levels at byte 15");
  check_repeated("{\"a\":{\"shape\":[", "%d,", 1000000, "0]}}", 0, "holds more values than the 1000000");
  check_repeated("{", same, 60000, last, 1000, "overlaps tensor");
  check_repeated("{", same, 100000, last, 1000, "holds more values than the 1000000");
}

/* A name of 3000 bytes does not push the reason out of the message. */
static void test_long_name(void **state) {
  (void)state;
  char header[3100] = "{\"";
  for (int i = 0; i < 1000; i++) memcpy(header + 2 + 3 * i, "\xe2\x82\xac", 3);
  strcpy(header + 3002, "\":3}");
  st_put_header(header, 0);
  check_refused("long name", ML_FORMAT, "\xe2\x82\xac...\": must be an object");
}

/* ---- every byte ---- */

/* Whatever the byte becomes, reading ends with an answer, and an answer of OK has tensors that lie in the data. */
static void test_flipped_bytes(void **state) {
  (void)state;
  static const unsigned char flips[] = {0x01, 0x10, 0x20, 0x80, 0xff};
  unsigned char bytes[8 + sizeof ST_SAMPLE - 1 + ST_SAMPLE_DATA];
  st_put_header(ST_SAMPLE, ST_SAMPLE_DATA);
  FILE *f = fopen(st_path, "rb");
  assert_non_null(f);
  assert_int_equal(fread(bytes, 1, sizeof bytes, f), sizeof bytes);
  fclose(f);
  for (size_t at = 0; at < 8 + sizeof ST_SAMPLE - 1; at++) {
    for (size_t k = 0; k < sizeof flips; k++) {
      bytes[at] ^= flips[k];
      st_put_file(bytes, sizeof bytes);
      bytes[at] ^= flips[k];
      ml_archive archive;
      ml_error err = {0};
      if (ml_safetensors_read(&archive, st_path, &err) == ML_OK)
        assert_true(archive.tensor_count <= 2);
      else
        assert_true(strlen(err.message) > strlen(st_path) + 2);
      ml_archive_clear(&archive);
    }
  }
}

static void test_truncated(void **state) {
  (void)state;
  st_put_header(ST_SAMPLE, ST_SAMPLE_DATA);
  for (long size = 8 + (long)sizeof ST_SAMPLE - 1 + ST_SAMPLE_DATA - 1; size >= 0; size--) {
    assert_int_equal(truncate(st_path, size), 0);
    check_refused("truncated", ML_FORMAT, "");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_bad_files),  cmocka_unit_test(test_header_limit),
      cmocka_unit_test(test_masses),      cmocka_unit_test(test_long_name),  cmocka_unit_test(test_flipped_bytes),
      cmocka_unit_test(test_truncated),   cmocka_unit_test(test_not_a_file),
  };
  return cmocka_run_group_tests_name("safetensors_bad", tests, st_make_folder, st_remove_folder);
}
