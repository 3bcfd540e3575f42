/* CSV files: what is accepted (line ends, a byte order mark, headers, every way to write a number, any locale), the
 * shapes that come out, and for each kind of damage the line and column that the message names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data_fixtures.h"

static ml_dataset *read_text(ml_csv_info *info, const char *text, int label, ml_csv_header header) {
  ml_error err = {0};
  ml_dataset *d = ml_read_csv(info, data_put("good.csv", text, strlen(text)), label, header, &err);
  if (!d) fail_msg("%s: %s", text, err.message);
  return d;
}

/* Each gives the samples (label 7; 10, 20) and (label 8; 30, 40). */
static void test_accepted_forms(void **state) {
  (void)state;
  static const struct {
    const char *text;
    ml_csv_header mode;
    int label;
    bool header;
  } good[] = {
      {"7,10,20\n8,30,40\n", ML_CSV_AUTO, 0, false},
      {"7,10,20\n8,30,40", ML_CSV_AUTO, 0, false},
      {"7,10,20\r\n8,30,40\r\n", ML_CSV_AUTO, 0, false},
      {"7,10,20\r8,30,40\r", ML_CSV_AUTO, 0, false},
      {"7,10,20\r8,30,40", ML_CSV_AUTO, 0, false},
      {"\xef\xbb\xbf" "7,10,20\n8,30,40\n", ML_CSV_AUTO, 0, false},
      {"7,10,20\n8,30,40\n\n", ML_CSV_AUTO, 0, false},
      {"7,10,20\n8,30,40\n \t\r\n\r\n  ", ML_CSV_AUTO, 0, false},
      {" 7 ,\t10,20 \n8 , 30, 40\t\n", ML_CSV_AUTO, 0, false},
      {"7.0,1e1,+20\n8e0,.3e2,400e-1\n", ML_CSV_AUTO, 0, false},
      {"00007,0010,00020\n08,0000000000030,40.\n", ML_CSV_AUTO, 0, false},
      {"10,7,20\n30,8,40\n", ML_CSV_NO, 1, false},
      {"10,20,7\n30,40,8\n", ML_CSV_AUTO, 2, false},
      {"label,p0,p1\n7,10,20\n8,30,40\n", ML_CSV_AUTO, 0, true},
      {"\xef\xbb\xbflabel,p0,p1\r\n7,10,20\r\n8,30,40", ML_CSV_AUTO, 0, true},
      {"\"label, or so\",\"p0\",\"p1\"\n7,10,20\n8,30,40\n", ML_CSV_AUTO, 0, true},
      {"0,1,2x\n7,10,20\n8,30,40\n", ML_CSV_AUTO, 0, true},
      {"0,1,2\n7,10,20\n8,30,40\n", ML_CSV_YES, 0, true},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ml_csv_info info;
    ml_dataset *d = read_text(&info, good[i].text, good[i].label, good[i].mode);
    assert_int_equal(info.header, good[i].header);
    assert_int_equal(info.rows, 2);
    assert_int_equal(info.columns, 3);
    assert_int_equal(d->count, 2);
    assert_int_equal(d->classes, 9);
    assert_int_equal(d->labels->i32[0], 7);
    assert_int_equal(d->labels->i32[1], 8);
    assert_int_equal(d->images->dtype, ML_U8);
    assert_true(ml_shape_equal(&d->images->shape, &(ml_shape){.ndim = 2, .size = {2, 2}}));
    assert_memory_equal(d->images->u8, ((uint8_t[]){10, 20, 30, 40}), 4);
    ml_dataset_unref(d);
  }
}

static void test_refused_files(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *message;
  } bad[] = {
      {"", "is empty, expected rows of a label and features"},
      {"\xef\xbb\xbf", "is empty"},
      {"\n\r\n \n", "is empty"},
      {"label,p0\n", "has a header but no rows"},
      {"label,p0\n\n\n", "has a header but no rows"},
      {"\n1,2\n", "line 1 is blank"},
      {"1\n2\n", "line 1 has 1 column, expected 2 (a label and a feature) to"},
      {"1,2,3\n4,5\n", "line 2 has 2 columns, expected 3 as in line 1"},
      {"1,2,3\n4,5,6\r\n7,8,9,10\n", "line 3 has 4 columns, expected 3 as in line 1"},
      {"a,b\n4,5,6\n", "line 2 has 3 columns, expected 2 as in line 1"},
      {"1,2,3\n4,5,6,\n", "line 2 has 4 columns, expected 3"},
      {"1,2\n\n3,4\n", "line 2 is blank, expected 2 columns"},
      {"1,2\r\r3,4\r", "line 2 is blank, expected 2 columns"},
      {"1,2\n3,nan\n", "line 2, column 2: 'nan' is not a finite number"},
      {"1,NaN\n3,4\n", "line 1, column 2: 'NaN' is not a finite number"},
      {"1,-inf\n", "line 1, column 2: '-inf' is not a finite number"},
      {"1,Infinity \n", "line 1, column 2: 'Infinity ' is not a finite number"},
      {"1,1e400\n", "line 1, column 2: '1e400' is too large for a 32-bit float"},
      {"1,2\n1,-1e39\n", "line 2, column 2: '-1e39' is too large"},
      {"1,2\n3,x\n", "line 2, column 2: 'x' is not a number"},
      {"1,2\n3,0x10\n", "line 2, column 2: '0x10' is not a number"},
      {"1,2\n3,1e\n", "line 2, column 2: '1e' is not a number"},
      {"1,2\n3,.\n", "line 2, column 2: '.' is not a number"},
      {"1,2\n3,-\n", "line 2, column 2: '-' is not a number"},
      {"1,2\n3,4 5\n", "line 2, column 2: '4 5' is not a number"},
      {"1,2\n3,\"4\"\n", "line 2, column 2: '\"4\"' is not a number"},
      {"1,2\n3,\n", "line 2, column 2: '' is empty, expected a number"},
      {"1,,3\n4,5,6\n", "line 1, column 2: '' is empty"},
      {"1,2\n3,abcdefghijklmnopqrstuvwxyz\n", "'abcdefghijklmnopqrstuvwx...' is not a number"},
      {"1,2\n3,\x1b[31m\n", "'\\x1b[31m' is not a number"},
      {"1.5,2\n", "line 1, column 1: '1.5' is no label, expected a whole number from 0 to 65535"},
      {"1,2\n-1,2\n", "line 2, column 1: '-1' is no label"},
      {"65536,2\n", "line 1, column 1: '65536' is no label"},
      {"1e30,2\n", "line 1, column 1: '1e30' is no label"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_error err = {0};
    ml_csv_info info;
    uint64_t live = ml_memory_get_stats().live_blocks;
    const char *path = data_put("bad.csv", bad[i].text, strlen(bad[i].text));
    assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
    data_check_error(&err, ML_FORMAT, path, bad[i].message);
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
}

static void test_nul_bytes(void **state) {
  (void)state;
  static const char text[] = "1,2\n3,4\r\n5,\0006\n", alone[] = "\0";
  ml_error err = {0};
  ml_csv_info info;
  const char *path = data_put("nul.csv", text, sizeof text - 1);
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 3 has a NUL byte, expected text");
  assert_null(ml_read_csv(&info, data_put("nul.csv", alone, 1), 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 1 has a NUL byte");
}

static void test_label_column_and_header_mode(void **state) {
  (void)state;
  static const struct {
    int label;
    const char *message;
  } labels[] = {
      {-1, ": the label should be column 0, but there are columns 1 to 3"},
      {3, ": the label should be column 4, but there are columns 1 to 3"},
      {INT32_MAX, ": the label should be column 2147483648, but there are columns 1 to 3"},
  };
  ml_error err = {0};
  ml_csv_info info;
  const char *path = data_put("three.csv", "1,2,3\n", 6);
  for (size_t i = 0; i < 3; i++) {
    assert_null(ml_read_csv(&info, path, labels[i].label, ML_CSV_AUTO, &err));
    data_check_error(&err, ML_MISUSE, path, labels[i].message);
  }
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_YES, &err));
  data_check_error(&err, ML_FORMAT, path, "has a header but no rows");
  path = data_put("named.csv", "label,b\n1,2\n", 12);
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_NO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 1, column 1: 'label' is not a number");
}

static void check_shape(const char *row, const ml_shape *shape, ml_dtype dtype) {
  ml_csv_info info;
  ml_dataset *d = read_text(&info, row, 0, ML_CSV_AUTO);
  assert_int_equal(d->images->dtype, dtype);
  assert_true(ml_shape_equal(&d->images->shape, shape));
  ml_dataset_unref(d);
}

static void test_shapes(void **state) {
  (void)state;
  check_shape("0,1,2,3,4\n", &(ml_shape){.ndim = 3, .size = {1, 2, 2}}, ML_U8);
  check_shape("0,1,2,3\n", &(ml_shape){.ndim = 2, .size = {1, 3}}, ML_U8);
  check_shape("0,1,2,3,4.5\n", &(ml_shape){.ndim = 2, .size = {1, 4}}, ML_F32);
  check_shape("0,1,2,3,256\n", &(ml_shape){.ndim = 2, .size = {1, 4}}, ML_F32);
  check_shape("0,1,2,3,-1\n", &(ml_shape){.ndim = 2, .size = {1, 4}}, ML_F32);
  char row[2000] = "9";
  for (int i = 0; i < 784; i++) strcat(row, ",0");
  check_shape(row, &(ml_shape){.ndim = 3, .size = {1, 28, 28}}, ML_U8);
}

/* A value in the middle that is no byte turns what was read before it into floats. */
static void test_bytes_become_floats(void **state) {
  (void)state;
  ml_csv_info info;
  ml_dataset *d = read_text(&info, "0,1,2\n1,3,-0.5\n2,5,1e-3\n", 0, ML_CSV_AUTO);
  static const float expected[] = {1, 2, 3, -0.5f, 5, 1e-3f};
  assert_int_equal(d->images->dtype, ML_F32);
  for (int i = 0; i < 6; i++) assert_true(d->images->f32[i] == expected[i]);
  ml_dataset_unref(d);
}

/* Floats printed in several ways come back the same, whatever the locale. */
static void check_numbers(const char *format) {
  ml_rng rng = ml_rng_make(11, ML_STREAM_NOISE);
  char text[32 * 256] = "";
  float expected[256];
  ml_rng_normal(expected, 256, &rng, 0, 3e4f);
  expected[0] = 0.1f;
  expected[1] = 3.4028234e38f;
  expected[2] = 1.17549435e-38f;
  for (int i = 0; i < 256; i++) {
    char number[64];
    snprintf(number, sizeof number, format, (double)expected[i]);
    for (char *c = number; *c; c++)
      if (*c == ',') *c = '.';
    snprintf(text + strlen(text), sizeof text - strlen(text), "0,%s\n", number);
  }
  ml_csv_info info;
  ml_dataset *d = read_text(&info, text, 0, ML_CSV_AUTO);
  for (int i = 0; i < 256; i++) assert_true(d->images->f32[i] == expected[i]);
  ml_dataset_unref(d);
}

static void test_numbers_in_any_locale(void **state) {
  (void)state;
  static const char *const locales[] = {"C", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"};
  for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
    if (!setlocale(LC_ALL, locales[i])) continue;
    check_numbers("%.9g");
    check_numbers("%.17e");
  }
  setlocale(LC_ALL, "C");
}

static void test_gzip(void **state) {
  (void)state;
  uint8_t packed[256];
  ml_csv_info info;
  ml_error err = {0};
  size_t size = data_gzip(packed, sizeof packed, "1,2\n3,4\n", 8, NULL);
  ml_dataset *d = ml_read_csv(&info, data_put("packed", packed, size), 0, ML_CSV_AUTO, &err);
  assert_non_null(d);
  assert_int_equal(d->images->u8[1], 4);
  ml_dataset_unref(d);
  packed[size - 8] ^= 1;
  const char *path = data_put("packed", packed, size);
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "incorrect data check");
}

/* Packs `size` bytes that repeat `piece` and reads them. */
static void refuse_packed(const char *piece, size_t size, const char *message) {
  char *text = malloc(size);
  uint8_t *packed = malloc(size / 100);
  assert_true(text && packed);
  size_t period = strlen(piece) > 0 ? strlen(piece) : 1;
  for (size_t i = 0; i < size; i++) text[i] = piece[i % period];
  const char *path = data_put("bomb", packed, data_gzip(packed, size / 100, text, size, NULL));
  free(text);
  free(packed);
  ml_error err = {0};
  ml_csv_info info;
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, message);
}

enum { MIB = 1 << 20 };

/* What is no text is refused after its first piece. */
static void test_memory_of_packed_files(void **state) {
  (void)state;
  uint64_t live = ml_memory_get_stats().live_bytes;
  refuse_packed("", 40 * MIB, "line 1 has a NUL byte, expected text");
  assert_true(ml_memory_get_stats().peak_bytes < live + MIB);
}

/* A file of some KiB that unpacks to more than text does. */
static void test_text_that_packs_too_well(void **state) {
  (void)state;
  uint64_t live = ml_memory_get_stats().live_bytes;
  refuse_packed("1,1\n", 65 * MIB, "unpacks to more than 67108864 bytes from ");
  assert_int_equal(ml_memory_get_stats().live_bytes, live);
  assert_true(ml_memory_get_stats().peak_bytes < live + 200 * (uint64_t)MIB);
}

/* Zero bytes wherever pieces of the unpacked text begin and end. */
static void test_nul_bytes_in_packed_files(void **state) {
  (void)state;
  enum { PIECE = 1 << 16, SIZE = 4 * PIECE };
  static const size_t places[] = {0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, SIZE - 2, SIZE - 1};
  static char text[SIZE];
  static uint8_t packed[SIZE];
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    for (size_t at = 0; at < SIZE; at++) text[at] = "1,2\n"[at % 4];
    text[places[i]] = 0;
    const char *path = data_put("packed", packed, data_gzip(packed, sizeof packed, text, SIZE, NULL));
    char expected[80];
    snprintf(expected, sizeof expected, "line %zu has a NUL byte, expected text", places[i] / 4 + 1);
    ml_error err = {0};
    ml_csv_info info;
    assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
    data_check_error(&err, ML_FORMAT, path, expected);
  }
}

/* Memory follows the bytes of a file, not rows times columns: a wide row and many short ones. */
static void test_memory_of_ragged_files(void **state) {
  (void)state;
  enum { SIZE = 1 << 20 };
  char *text = malloc(SIZE);
  assert_non_null(text);
  for (int i = 0; i < SIZE; i++) text[i] = i < SIZE / 2 ? "1,"[i % 2] : "1\n"[i % 2];
  text[SIZE / 2 - 1] = '\n';
  ml_error err = {0};
  ml_csv_info info;
  const char *path = data_put("wide.csv", text, SIZE);
  uint64_t live = ml_memory_get_stats().live_bytes;
  assert_null(ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 2 has 1 column, expected 262144 as in line 1");
  assert_true(ml_memory_get_stats().peak_bytes < live + 8 * SIZE);
  memset(text, '1', SIZE);
  assert_null(ml_read_csv(&info, data_put("wide.csv", text, SIZE), 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 1 has 1 column,");
  memset(text, ',', SIZE);
  assert_null(ml_read_csv(&info, data_put("wide.csv", text, SIZE), 0, ML_CSV_AUTO, &err));
  data_check_error(&err, ML_FORMAT, path, "line 1 has 1048577 columns, expected 2 (a label and a feature) to 1048576");
  free(text);
}

/* Cut anywhere, a file gives an answer: what is left of its rows, or a refusal that names the path. */
static void test_cut_and_flipped_everywhere(void **state) {
  (void)state;
  static const char text[] = "label,p0,p1\r\n1,2,3\r\n4,5e1,6.5\r\n7,-8,9\n";
  for (size_t i = 0; i < (sizeof text - 1) * 9; i++) {
    char copy[sizeof text];
    size_t at = i / 9, size = i % 9 == 8 ? at : sizeof text - 1;
    memcpy(copy, text, sizeof text);
    if (i % 9 < 8) copy[at] = (char)(copy[at] ^ (1 << (i % 9)));
    ml_error err = {0};
    ml_csv_info info;
    const char *path = data_put("cut.csv", copy, size);
    ml_dataset *d = ml_read_csv(&info, path, 0, ML_CSV_AUTO, &err);
    if (!d) data_check_error(&err, ML_FORMAT, path, "");
    ml_dataset_unref(d);
  }
}

static void *read_path(void *ctx, ml_error *err) {
  ml_csv_info info;
  return ml_read_csv(&info, ctx, 0, ML_CSV_AUTO, err);
}

static void test_every_failing_allocation(void **state) {
  (void)state;
  static const char text[] = "label,p0\n1,2\n3,4.5\n";
  char path[256];
  snprintf(path, sizeof path, "%s", data_put("oom.csv", text, sizeof text - 1));
  data_fail_allocations(read_path, data_drop_dataset, path);
  uint8_t packed[256];
  size_t size = data_gzip(packed, sizeof packed, text, sizeof text - 1, NULL);
  snprintf(path, sizeof path, "%s", data_put("oom", packed, size));
  data_fail_allocations(read_path, data_drop_dataset, path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accepted_forms),
      cmocka_unit_test(test_memory_of_packed_files), /* early: these three read the peak, which only rises */
      cmocka_unit_test(test_memory_of_ragged_files),
      cmocka_unit_test(test_text_that_packs_too_well),
      cmocka_unit_test(test_refused_files),
      cmocka_unit_test(test_nul_bytes),
      cmocka_unit_test(test_label_column_and_header_mode),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_bytes_become_floats),
      cmocka_unit_test(test_numbers_in_any_locale),
      cmocka_unit_test(test_gzip),
      cmocka_unit_test(test_nul_bytes_in_packed_files),
      cmocka_unit_test(test_cut_and_flipped_everywhere),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
