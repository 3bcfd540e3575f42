/* Messages: formatting, prefixes, cutting, and the cleaning of names that come from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_fail_fills_and_returns(void **state) {
  (void)state;
  ml_error err;
  assert_int_equal(ml_fail(&err, ML_FORMAT, "%s: expected %d, got %d", "a.idx", 2051, 7), ML_FORMAT);
  assert_int_equal(err.status, ML_FORMAT);
  assert_string_equal(err.message, "a.idx: expected 2051, got 7");
}

static void test_null_error_is_allowed(void **state) {
  (void)state;
  assert_int_equal(ml_fail(NULL, ML_MISUSE, "x"), ML_MISUSE);
  assert_int_equal(ml_fail_errno(NULL, ENOSPC, "x"), ML_IO);
  ml_error_prefix(NULL, "x");
}

static void test_errno_is_told_in_words(void **state) {
  (void)state;
  ml_error err;
  assert_int_equal(ml_fail_errno(&err, ENOSPC, "%s: cannot be written", "out"), ML_IO);
  assert_string_equal(err.message, "out: cannot be written: No space left on device");
}

static void test_prefixes_stack(void **state) {
  (void)state;
  ml_error err;
  ml_fail(&err, ML_MISUSE, "expected 784, got 1568");
  ml_error_prefix(&err, "layer %d", 3);
  ml_error_prefix(&err, "configs/mlp.lua");
  assert_string_equal(err.message, "configs/mlp.lua: layer 3: expected 784, got 1568");
  assert_int_equal(err.status, ML_MISUSE);
}

static void test_escapes(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
    {"a\nb", "a\\x0ab"},
    {"\x1b[31m", "\\x1b[31m"},
    {"tab\there", "tab\\x09here"},
    {"\x7f", "\\x7f"},
    {"100%n", "100%n"},
    {"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8d\x8e", "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8d\x8e"},
    {"\xff\xfe", "\\xff\\xfe"},
    {"lone \x80", "lone \\x80"},
    {"cut \xe2\x82", "cut \\xe2\\x82"},
    {"overlong \xc0\xaf", "overlong \\xc0\\xaf"},
    {"overlong \xe0\x80\xaf", "overlong \\xe0\\x80\\xaf"},
    {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
    {"beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80"},
    {"C1 \xc2\x9b", "C1 \\xc2\\x9b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err;
    ml_fail(&err, ML_IO, "%s", cases[i].text);
    assert_string_equal(err.message, cases[i].expected);
    ml_error_prefix(&err, "%s", cases[i].text); /* the old part is not escaped twice */
    char twice[256];
    strcpy(twice, cases[i].expected);
    strcat(twice, ": ");
    strcat(twice, cases[i].expected);
    assert_string_equal(err.message, twice);
  }
}

static void test_long_messages_are_cut(void **state) {
  (void)state;
  char name[3000];
  ml_error err;
  for (int fill = 0; fill < 2; fill++) {
    memset(name, fill == 0 ? 'x' : '\n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    ml_fail(&err, ML_IO, "%s", name);
    assert_in_range(strlen(err.message), 1000, sizeof err.message - 1);
    ml_error_prefix(&err, "%s", name);
    assert_in_range(strlen(err.message), 1000, sizeof err.message - 1);
  }
  memset(name, 'x', sizeof name - 1);
  ml_fail_errno(&err, EIO, "%s", name); /* the reason survives a long name */
  assert_non_null(strstr(err.message, ": Input/output error"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fail_fills_and_returns), cmocka_unit_test(test_null_error_is_allowed),
    cmocka_unit_test(test_errno_is_told_in_words), cmocka_unit_test(test_prefixes_stack),
    cmocka_unit_test(test_escapes),                cmocka_unit_test(test_long_messages_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
