/* Counting right predictions: ties, NaN, infinities, labels outside the classes, dtypes, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "ops/accuracy.h"

#define N NAN
#define I INFINITY

/* A row of scores, and the one label that is right for it. */
static const struct row {
  float scores[4];
  int right;
} rows[] = {
    {{0.3f, 2.385f, -1.7f, 0.9f}, 1}, {{2.5f, 0.1f, 2.5f, 2.5f}, 0}, {{-3, -2, -2, -4}, 1}, {{0.0f, -0.0f, 0, 0}, 0},
    {{-1, N, 9, N}, 1},               {{N, N, N, N}, 0},             {{I, 3, N, I}, 2},     {{3, I, I, 1}, 1},
    {{-I, -I, -I, -I}, 0},            {{-I, -I, -9, -I}, 2},         {{1, 2, 3, 4}, 3},     {{4, 4, 4, 4.001f}, 3},
};
enum { ROWS = sizeof rows / sizeof *rows, CLASSES = 4 };

static ml_tensor *tensor(ml_dtype dtype, int ndim, int64_t a, int64_t b) {
  ml_tensor *t = ml_tensor_zeros(dtype, &(ml_shape){ndim, {a, b}}, NULL);
  assert_non_null(t);
  return t;
}

static void set_label(ml_tensor *t, int64_t i, int value) {
  if (t->dtype == ML_U8) t->u8[i] = (uint8_t)value;
  else t->i32[i] = value;
}

static void check_rows(ml_dtype dtype) {
  ml_tensor *scores = tensor(ML_F32, 2, ROWS, CLASSES), *labels = tensor(dtype, 1, ROWS, 0);
  for (int i = 0; i < ROWS; i++) memcpy(scores->f32 + i * CLASSES, rows[i].scores, sizeof rows[i].scores);
  for (int label = dtype == ML_U8 ? 0 : -1; label <= CLASSES; label++) {
    int64_t want = 0, got = -1;
    for (int i = 0; i < ROWS; i++) {
      set_label(labels, i, label);
      want += rows[i].right == label;
    }
    assert_int_equal(ml_count_correct(&got, scores, labels, NULL), ML_OK);
    assert_int_equal(got, want);
  }
  ml_tensor_unref(scores);
  ml_tensor_unref(labels);
}

static void test_rows(void **state) {
  (void)state;
  check_rows(ML_I32);
  check_rows(ML_U8);
}

static void test_empty(void **state) {
  (void)state;
  int64_t count = -1;
  ml_tensor *scores = tensor(ML_F32, 2, 3, 0), *labels = tensor(ML_I32, 1, 3, 0);
  assert_int_equal(ml_count_correct(&count, scores, labels, NULL), ML_OK);
  assert_int_equal(count, 0);
  ml_tensor_unref(scores);
  ml_tensor_unref(labels);
}

static void refuse(ml_tensor *scores, ml_tensor *labels, const char *text) {
  ml_error err;
  int64_t count;
  assert_int_equal(ml_count_correct(&count, scores, labels, &err), ML_MISUSE);
  if (!strstr(err.message, text)) fail_msg("'%s' lacks '%s'", err.message, text);
  ml_tensor_unref(scores);
  ml_tensor_unref(labels);
}

static void test_misuse(void **state) {
  (void)state;
  refuse(tensor(ML_U8, 2, 3, 4), tensor(ML_I32, 1, 3, 0), "expected f32 scores, got u8");
  refuse(tensor(ML_F32, 2, 3, 4), tensor(ML_F32, 1, 3, 0), "expected i32 or u8 labels, got f32");
  refuse(tensor(ML_F32, 2, 3, 4), tensor(ML_I32, 1, 4, 0), "got 3x4 and 4");
  refuse(tensor(ML_F32, 1, 3, 0), tensor(ML_I32, 1, 3, 0), "got 3 and 3");
  refuse(tensor(ML_F32, 2, 3, 4), tensor(ML_I32, 2, 3, 1), "got 3x4 and 3x1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
