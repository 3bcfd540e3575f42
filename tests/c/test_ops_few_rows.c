/* The copy of its weight that a linear layer keeps for single images: when it is made, that it never outlives the
 * values it was made from, that it never shows in a result, and that it is done without when there is no memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/precision.h"
#include "kernels_aid.h"
#include "ops_aid.h"
#include "tensor/companion.h"

enum { ROWS = 2, IN = 330, OUT = 70 };

static bool made(const ml_tensor *w) {
  for (const ml_companion *c = w->companions; c; c = c->next)
    if (c->kind == ML_COMPANION_GEMV) return c->data && c->state == ML_COMPANION_READY;
  return false;
}

/* Half the inputs 0. */
static ml_tensor *thin_rows(int64_t rows) {
  ml_tensor *x = aid_random(AID_SHAPE(rows, IN), 5);
  for (int64_t i = 0; i < rows * IN; i += 2) x->f32[i] = 0.0f;
  return x;
}

/* linear(x, w, b) must be the first rows of what many rows give, which have no companion. */
static void check_forward(ml_tensor *x, ml_tensor *w, ml_tensor *b) {
  int64_t rows = x->shape.size[0];
  ml_tensor *many = thin_rows(rows + 40);
  for (int64_t i = 0; i < rows * IN; i++) many->f32[i] = x->f32[i];
  ml_tensor *y = aid_apply("linear", x, w, b, NULL), *want = aid_apply("linear", many, w, b, NULL);
  kernels_check_equal(y->f32, want->f32, rows * OUT, "linear on few rows");
  aid_unref((ml_tensor *[]){y, want, many}, 3);
}

/* Made at the second use without recording; again after each change. Same results on each instruction set. */
static void test_made_at_second_use(void **state) {
  (void)state;
  ml_tensor *x = thin_rows(ROWS), *b = aid_leaf(AID_SHAPE(OUT), 7);
  bool before = ml_set_recording(false);
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    ml_tensor *w = aid_leaf(AID_SHAPE(OUT, IN), 6);
    for (int change = 0; change < 3; change++) {
      for (int use = 1; use <= 3; use++) {
        check_forward(x, w, b);
        assert_int_equal(made(w), use >= 2);
      }
      w->f32[change * 100] = 2.385f;
      ml_tensor_changed(w);
    }
    ml_tensor_unref(w);
  }
  ml_set_recording(before);
  aid_unref((ml_tensor *[]){x, b}, 2);
}

/* Not while recording for a weight that wants a gradient, not for many rows, not in another precision, not for a weight
 * with an infinity. */
static void test_not_made(void **state) {
  (void)state;
  ml_tensor *few = thin_rows(ROWS), *many = thin_rows(40), *b = aid_leaf(AID_SHAPE(OUT), 7);
  static const struct {
    bool many, recording, infinity;
    ml_precision precision;
  } cases[] = {{.recording = true}, {.many = true}, {.infinity = true}, {.precision = ML_PRECISION_BF16}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_tensor *w = aid_leaf(AID_SHAPE(OUT, IN), 6);
    if (cases[i].infinity) w->f32[3 * IN] = INFINITY;
    ml_precision_use(cases[i].precision);
    bool before = ml_set_recording(cases[i].recording);
    for (int use = 0; use < 3; use++) {
      ml_tensor *y = aid_apply("linear", cases[i].many ? many : few, w, b, NULL);
      if (cases[i].infinity) assert_true(isnan(y->f32[3])); /* the first input is 0 */
      ml_tensor_unref(y);
    }
    assert_false(made(w));
    ml_set_recording(before);
    ml_precision_use(ML_PRECISION_F32);
    ml_tensor_unref(w);
  }
  aid_unref((ml_tensor *[]){few, many, b}, 3);
}

/* A step of training after an inference: the gradient and the values are those of a weight without companion. */
static void test_training_goes_on(void **state) {
  (void)state;
  ml_tensor *x = thin_rows(1), *w = aid_leaf(AID_SHAPE(OUT, IN), 6), *fresh = aid_leaf(AID_SHAPE(OUT, IN), 6);
  ml_tensor *weights[] = {w, fresh};
  bool before = ml_set_recording(false);
  for (int i = 0; i < 2; i++) ml_tensor_unref(aid_apply("linear", x, w, NULL, NULL));
  ml_set_recording(before);
  assert_true(made(w) && !made(fresh));
  for (int step = 0; step < 2; step++) {
    for (int i = 0; i < 2; i++) {
      ml_tensor *y = aid_apply("linear", x, weights[i], NULL, NULL), *loss = aid_sum(y);
      aid_backward(loss);
      for (int64_t j = 0; j < OUT * IN; j++) weights[i]->f32[j] -= 0.01f * weights[i]->grad->f32[j];
      ml_tensor_changed(weights[i]);
      aid_unref((ml_tensor *[]){y, loss}, 2);
    }
  }
  kernels_check_equal(w->f32, fresh->f32, OUT * IN, "weights after two steps");
  kernels_check_equal(w->grad->f32, fresh->grad->f32, OUT * IN, "gradients");
  aid_unref((ml_tensor *[]){x, w, fresh}, 3);
}

/* A failed allocation of the companion is not a failure of the layer. */
static void test_every_allocation_fails(void **state) {
  (void)state;
  ml_tensor *x = thin_rows(ROWS), *w = aid_leaf(AID_SHAPE(OUT, IN), 6);
  bool before = ml_set_recording(false);
  ml_tensor *want = aid_apply("linear", x, w, NULL, NULL);
  uint64_t blocks = ml_memory_get_stats().live_blocks;
  for (int use = 0; !made(w); use++) {
    ml_memory_fail_from((uint64_t)use + 1);
    ml_error err = {0};
    ml_tensor *y = ml_apply(ml_op_find("linear"), (ml_tensor *[]){x, w}, 2, NULL, &err);
    ml_memory_fail_from(0);
    if (y) kernels_check_equal(y->f32, want->f32, ROWS * OUT, "linear without memory for a companion");
    if (!y) assert_int_equal(err.status, ML_NOMEM);
    ml_tensor_unref(y);
    assert_true(use < 20);
  }
  assert_int_equal(ml_memory_get_stats().live_blocks, blocks + 1); /* the strips; their record was there before */
  ml_set_recording(before);
  aid_unref((ml_tensor *[]){x, w, want}, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_made_at_second_use),
      cmocka_unit_test(test_not_made),
      cmocka_unit_test(test_training_goes_on),
      cmocka_unit_test(test_every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
