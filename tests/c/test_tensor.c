/* Shapes, dtypes, making, viewing and owning tensors; every refusal with its message; every allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "ops_aid.h"
#include "tensor/tensor.h"

static void test_shape_text(void **state) {
  (void)state;
  char text[ML_SHAPE_TEXT], small[6];
  assert_string_equal(ml_shape_text(text, sizeof text, AID_SCALAR), "scalar");
  assert_string_equal(ml_shape_text(text, sizeof text, AID_SHAPE(128)), "128");
  assert_string_equal(ml_shape_text(text, sizeof text, AID_SHAPE(128, 784)), "128x784");
  assert_string_equal(ml_shape_text(small, sizeof small, AID_SHAPE(128, 784)), "128x7");
  int64_t huge = INT64_MIN;
  const ml_shape *worst = AID_SHAPE(huge, huge, huge, huge, huge, huge);
  ml_shape_text(text, sizeof text, worst);
  assert_int_equal(strlen(text), 6 * 20 + 5);
}

static void test_shape_broadcast(void **state) {
  (void)state;
  const struct {
    ml_shape a, b, out;
    bool fits;
  } cases[] = {
      {{0}, {0}, {0}, true},
      {{0}, {2, {3, 5}}, {2, {3, 5}}, true},
      {{2, {3, 5}}, {1, {5}}, {2, {3, 5}}, true},
      {{2, {3, 1}}, {1, {5}}, {2, {3, 5}}, true},
      {{1, {5}}, {3, {2, 3, 1}}, {3, {2, 3, 5}}, true},
      {{2, {0, 5}}, {2, {1, 5}}, {2, {0, 5}}, true},
      {{2, {3, 5}}, {1, {3}}, {0}, false},
      {{2, {3, 5}}, {2, {2, 5}}, {0}, false},
      {{2, {0, 5}}, {2, {3, 5}}, {0}, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_shape out;
    assert_int_equal(ml_shape_broadcast(&out, &cases[i].a, &cases[i].b), cases[i].fits);
    if (cases[i].fits) assert_true(ml_shape_equal(&out, &cases[i].out));
    assert_int_equal(ml_shape_broadcast(&out, &cases[i].b, &cases[i].a), cases[i].fits);
  }
}

static void test_dtypes(void **state) {
  (void)state;
  const struct {
    ml_dtype dtype;
    const char *name;
    size_t size;
  } cases[] = {{ML_F32, "f32", 4}, {ML_U8, "u8", 1}, {ML_I32, "i32", 4}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_string_equal(ml_dtype_name(cases[i].dtype), cases[i].name);
    assert_int_equal(ml_dtype_size(cases[i].dtype), cases[i].size);
    ml_tensor *t = ml_tensor_zeros(cases[i].dtype, AID_SHAPE(3, 5), NULL);
    assert_int_equal(ml_tensor_bytes(t), 15 * cases[i].size);
    assert_true((uintptr_t)t->data % ML_ALIGNMENT == 0);
    for (int64_t k = 0; k < 15; k++) assert_true(ml_tensor_get(t, k) == 0.0);
    ml_tensor_unref(t);
  }
}

static void test_bad_shapes(void **state) {
  (void)state;
  const int64_t most = INT64_MAX;
  const struct {
    ml_shape shape;
    const char *message;
  } cases[] = {
      {{2, {3, -1}}, "a dimension cannot be negative, as in 3x-1"},
      {{7, {1}}, "a tensor has 0 to 6 dimensions, not 7"},
      {{1, {most}}, "an f32 tensor of 9223372036854775807 has more elements than can be counted"},
      {{2, {most / 2, 3}}, "an f32 tensor of 4611686018427387903x3 has more elements than can be counted"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_error err = {0};
    assert_null(ml_tensor_new(ML_F32, &cases[i].shape, &err));
    assert_int_equal(err.status, ML_MISUSE);
    assert_string_equal(err.message, cases[i].message);
  }
}

static void test_too_large_to_have(void **state) {
  (void)state;
  ml_error err = {0};
  assert_null(ml_tensor_new(ML_U8, AID_SHAPE((int64_t)1 << 62), &err));
  assert_int_equal(err.status, ML_NOMEM);
  assert_string_equal(err.message, "out of memory: a u8 tensor of 4611686018427387904 needs 4611686018427387904 bytes");
}

static void test_views(void **state) {
  (void)state;
  ml_tensor *t = aid_f32(AID_SHAPE(3, 2), (float[]){0, 1, 2, 3, 4, 5});
  ml_tensor *rows = ml_tensor_rows(t, 1, 2, NULL), *flat = ml_tensor_reshape(rows, AID_SHAPE(4), NULL);
  ml_tensor *none = ml_tensor_rows(t, 3, 0, NULL), *row = ml_tensor_view(t, AID_SHAPE(2), 4, NULL);
  ml_tensor_unref(t);
  ml_tensor_unref(rows);
  assert_true(flat->storage == row->storage);
  for (int64_t i = 0; i < 4; i++) assert_true(flat->f32[i] == (float)(i + 2));
  assert_int_equal(ml_tensor_count(none), 0);
  assert_int_equal(ml_tensor_row_count(none), 2);
  assert_true(row->f32[1] == 5.0f);
  aid_unref((ml_tensor *[]){flat, none, row}, 3);
}

static void refuses(const char *message, ml_tensor *t, const ml_error *err) {
  assert_null(t);
  assert_int_equal(err->status, ML_MISUSE);
  assert_string_equal(err->message, message);
}

static void test_bad_views(void **state) {
  (void)state;
  ml_error err;
  ml_tensor *t = aid_random(AID_SHAPE(3, 2), 1), *scalar = aid_random(AID_SCALAR, 1);
  const char *beyond = "2 rows after the first 2 reach beyond the 3 rows of a tensor of 3x2";
  refuses(beyond, ml_tensor_rows(t, 2, 2, &err), &err);
  refuses("-1 rows after the first 0 reach beyond the 3 rows of a tensor of 3x2", ml_tensor_rows(t, 0, -1, &err), &err);
  assert_null(ml_tensor_rows(t, INT64_MAX, INT64_MAX, &err));
  assert_null(ml_tensor_rows(t, INT64_MIN, 1, &err));
  refuses("a scalar has no rows", ml_tensor_rows(scalar, 0, 0, &err), &err);
  refuses("3x2 has 6 elements, 5 has 5", ml_tensor_reshape(t, AID_SHAPE(5), &err), &err);
  refuses("a dimension cannot be negative, as in -2x-3", ml_tensor_reshape(t, AID_SHAPE(-2, -3), &err), &err);
  refuses("a view of 2 at element 5 reaches beyond a tensor of 3x2", ml_tensor_view(t, AID_SHAPE(2), 5, &err), &err);
  aid_unref((ml_tensor *[]){t, scalar}, 2);
}

static void test_clone_and_expire(void **state) {
  (void)state;
  ml_error err;
  ml_tensor *t = aid_leaf(AID_SHAPE(3, 2), 1), *view = ml_tensor_rows(t, 1, 1, NULL), *kept = ml_tensor_clone(t, NULL);
  assert_true(kept->storage != t->storage && !kept->requires_grad);
  assert_memory_equal(kept->data, t->data, ml_tensor_bytes(t));
  ml_tensor_expire(t);
  ml_tensor_expire(t);
  assert_null(t->data);
  assert_true(view->f32[0] == kept->f32[2]);
  const char *message = "the tensor was computed in an earlier step and has expired; keep it with :clone() or :item()";
  refuses(message, ml_tensor_clone(t, &err), &err);
  refuses(message, ml_tensor_rows(t, 0, 1, &err), &err);
  aid_unref((ml_tensor *[]){t, view, kept}, 3);
}

static void test_references(void **state) {
  (void)state;
  uint64_t before = ml_memory_get_stats().live_blocks;
  ml_tensor *t = aid_random(AID_SHAPE(3, 2), 1);
  t->grad = aid_random(AID_SHAPE(3, 2), 2);
  assert_ptr_equal(ml_tensor_ref(t), t);
  ml_tensor_unref(t);
  assert_int_equal(t->refs, 1);
  assert_null(ml_tensor_ref(NULL));
  ml_tensor_unref(NULL);
  ml_tensor_unref(t);
  assert_int_equal(ml_memory_get_stats().live_blocks, before);
}

/* new, a view and a clone: false if one of them failed. */
static bool try_all(ml_error *err) {
  ml_tensor *t = ml_tensor_new(ML_F32, AID_SHAPE(3, 2), err);
  ml_tensor *view = t ? ml_tensor_rows(t, 0, 1, err) : NULL, *copy = view ? ml_tensor_clone(view, err) : NULL;
  bool done = copy != NULL;
  aid_unref((ml_tensor *[]){t, view, copy}, 3);
  return done;
}

static void test_every_allocation_fails(void **state) {
  (void)state;
  uint64_t before = ml_memory_get_stats().live_blocks, n = 0;
  bool done = false;
  while (!done) {
    ml_error err = {0};
    ml_memory_fail_from(++n);
    done = try_all(&err);
    ml_memory_fail_from(0);
    if (!done) assert_int_equal(err.status, ML_NOMEM);
    assert_int_equal(ml_memory_get_stats().live_blocks, before);
  }
  assert_true(n > 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shape_text),
      cmocka_unit_test(test_shape_broadcast),
      cmocka_unit_test(test_dtypes),
      cmocka_unit_test(test_bad_shapes),
      cmocka_unit_test(test_too_large_to_have),
      cmocka_unit_test(test_views),
      cmocka_unit_test(test_bad_views),
      cmocka_unit_test(test_clone_and_expire),
      cmocka_unit_test(test_references),
      cmocka_unit_test(test_every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
