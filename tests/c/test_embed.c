/* Base64 and rows of 16-bit numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "io/embed.h"

/* RFC 4648, section 10, and bytes that need every digit. */
static void test_base64(void **state) {
  (void)state;
  static const struct { const char *bytes; size_t size; const char *text; } cases[] = {
    { "", 0, "" }, { "f", 1, "Zg==" }, { "fo", 2, "Zm8=" }, { "foo", 3, "Zm9v" }, { "foob", 4, "Zm9vYg==" },
    { "fooba", 5, "Zm9vYmE=" }, { "foobar", 6, "Zm9vYmFy" }, { "\xff\xfe\xfd\0", 4, "//79AA==" },
    { "\xfb\xef\xbe", 3, "++++" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[16];
    memset(text, '#', sizeof text);
    assert_int_equal(ml_base64_size(cases[i].size), strlen(cases[i].text));
    ml_base64(text, cases[i].bytes, cases[i].size);
    assert_memory_equal(text, cases[i].text, strlen(cases[i].text));
    assert_int_equal(text[strlen(cases[i].text)], '#');
  }
  assert_int_equal(ml_base64_size(SIZE_MAX), 0);
}

static void test_rows(void **state) {
  (void)state;
  enum { ROWS = 4, WIDTH = 5 };
  const float x[ROWS * WIDTH] = {
    0.1f, -0.25f, 0.03f, 0.2f, -1e-5f,   0, 0, 0, 0, 0,   3e38f, -3e38f, 1e30f, 0, 2,   1e-40f, 0, 0, -2e-40f, 0,
  };
  int16_t values[ROWS * WIDTH];
  float scales[ROWS];
  assert_true(ml_rows_to_int16(values, scales, x, ROWS, WIDTH));
  assert_int_equal(values[1], -32767);
  assert_int_equal(values[5], 0);
  assert_int_equal(values[10], 32767);
  assert_int_equal(values[11], -32767);
  assert_true(scales[1] == 1);
  for (int i = 0; i < ROWS * WIDTH; i++) {
    const float scale = scales[i / WIDTH];
    assert_true(fabs((double)values[i] * scale - x[i]) <= 0.502 * scale);
  }
}

static void test_rows_that_are_no_numbers(void **state) {
  (void)state;
  const float wrong[] = { NAN, INFINITY, -INFINITY };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const float x[] = { 1, 2, 3, wrong[i] };
    int16_t values[4];
    float scales[2];
    assert_false(ml_rows_to_int16(values, scales, x, 2, 2));
  }
  assert_true(ml_rows_to_int16(NULL, NULL, NULL, 0, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_base64), cmocka_unit_test(test_rows), cmocka_unit_test(test_rows_that_are_no_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
