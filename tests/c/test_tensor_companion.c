/* Companions of tensors: states, uses, memory, and that a change of the values through any view is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "ops_aid.h"
#include "tensor/companion.h"

static void test_states(void **state) {
  (void)state;
  uint64_t before = ml_memory_get_stats().live_blocks;
  ml_tensor *t = aid_random(AID_SHAPE(3, 2), 1);
  ml_companion *c = ml_tensor_companion(t, ML_COMPANION_GEMV);
  assert_true(c && c->state == ML_COMPANION_STALE && !c->data);
  assert_false(ml_companion_wanted(c, 2));
  assert_true(ml_companion_wanted(c, 2) && ml_companion_wanted(c, 2));
  assert_true(ml_companion_reserve(c, 100) && (uintptr_t)c->data % ML_ALIGNMENT == 0);
  const float *data = c->data;
  c->state = ML_COMPANION_READY;
  assert_ptr_equal(ml_tensor_companion(t, ML_COMPANION_GEMV), c);
  assert_int_equal(c->state, ML_COMPANION_READY);
  ml_tensor_changed(t);
  assert_ptr_equal(ml_tensor_companion(t, ML_COMPANION_GEMV), c);
  assert_int_equal(c->state, ML_COMPANION_STALE);
  assert_false(ml_companion_wanted(c, 2));
  assert_true(ml_companion_reserve(c, 100) && c->data == data);
  assert_false(ml_companion_reserve(c, SIZE_MAX / 2));
  assert_null(c->data);
  ml_tensor_expire(t);
  assert_null(ml_tensor_companion(t, ML_COMPANION_GEMV));
  ml_tensor_unref(t);
  assert_int_equal(ml_memory_get_stats().live_blocks, before);
}

/* A change through one view is seen by the companion of another. */
static void test_views_share_changes(void **state) {
  (void)state;
  ml_tensor *t = aid_random(AID_SHAPE(3, 2), 1), *view = ml_tensor_rows(t, 0, 3, NULL);
  ml_companion *c = ml_tensor_companion(view, ML_COMPANION_GEMV);
  c->state = ML_COMPANION_READY;
  ml_tensor_changed(t);
  assert_int_equal(ml_tensor_companion(view, ML_COMPANION_GEMV)->state, ML_COMPANION_STALE);
  aid_unref((ml_tensor *[]){t, view}, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_views_share_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
