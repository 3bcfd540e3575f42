/* Values changed in place between a call and its backward pass: refused where the gradient would come out wrong, and
 * only there. What each operation says it reads is checked in test_gradcheck.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "ops_aid.h"

#define ADVICE "its gradient would be wrong (change it after the backward pass, or use a :clone())"

static uint64_t live_blocks(void) { return ml_memory_get_stats().live_blocks; }

static void change(ml_tensor *t) {
  for (int64_t i = 0; i < ml_tensor_count(t); i++) t->f32[i] = 0.0f;
  ml_tensor_changed(t);
}

static void refuses_backward(ml_tensor *loss, const char *message) {
  ml_error err = {0};
  assert_int_equal(ml_backward(loss, 1.0f, &err), ML_MISUSE);
  assert_string_equal(err.message, message);
}

/* Which of two 3x3 inputs want a gradient, which one is changed (2: the result, through a view), and what follows. */
static void test_one_change(void **state) {
  (void)state;
  static const struct {
    const char *op;
    int inputs;
    bool wants[2];
    int changed;
    const char *message; /* NULL: goes backward */
  } cases[] = {
      {"mul", 2, {true, true}, 0, "backward: input 1 of mul was changed in place after it was used; " ADVICE},
      {"mul", 2, {true, true}, 1, "backward: input 2 of mul was changed in place after it was used; " ADVICE},
      {"mul", 2, {true, false}, 0, NULL}, /* dx = dy w */
      {"mul", 2, {true, true}, 2, NULL},
      {"linear", 2, {false, true}, 0, "backward: input 1 of linear was changed in place after it was used; " ADVICE},
      {"linear", 2, {false, true}, 1, NULL}, /* a first layer: dw = dy^T x */
      {"linear", 2, {true, false}, 1, "backward: input 2 of linear was changed in place after it was used; " ADVICE},
      {"div", 2, {true, false}, 0, NULL},
      {"div", 2, {false, true}, 2, "backward: the result of div was changed in place; " ADVICE},
      {"add", 2, {true, true}, 0, NULL},
      {"sub", 2, {true, true}, 1, NULL},
      {"mse", 2, {true, true}, 0, NULL}, /* keeps x - y for itself */
      {"t", 1, {true, false}, 0, NULL},
      {"relu", 1, {true, false}, 0, "backward: input 1 of relu was changed in place after it was used; " ADVICE},
      {"relu", 1, {true, false}, 2, NULL},
      {"exp", 1, {true, false}, 0, NULL},
      {"exp", 1, {true, false}, 2, "backward: the result of exp was changed in place; " ADVICE},
  };
  uint64_t before = live_blocks();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ml_tensor *in[] = {aid_random(AID_SHAPE(3, 3), 1), aid_random(AID_SHAPE(3, 3), 2)};
    for (int k = 0; k < 2; k++) in[k]->requires_grad = cases[i].wants[k];
    ml_tensor *out = aid_apply(cases[i].op, in[0], cases[i].inputs == 2 ? in[1] : NULL, NULL, NULL);
    ml_tensor *loss = aid_sum(out), *view = ml_tensor_reshape(out, &out->shape, NULL);
    change(cases[i].changed == 2 ? view : in[cases[i].changed]);
    if (cases[i].message) refuses_backward(loss, cases[i].message);
    else aid_backward(loss);
    for (int k = 0; k < 2; k++) assert_true((in[k]->grad != NULL) == (!cases[i].message && cases[i].wants[k]));
    aid_unref((ml_tensor *[]){in[0], in[1], out, loss, view}, 5);
  }
  assert_int_equal(live_blocks(), before);
}

/* A view shares its base's storage, so a change shows wherever it is made; a clone does not. */
static void test_views_and_clones(void **state) {
  (void)state;
  for (int which = 0; which < 3; which++) {
    ml_tensor *x = aid_leaf(AID_SHAPE(4, 3), 1), *copy = ml_tensor_clone(x, NULL), *base = which == 2 ? copy : x;
    ml_tensor *rows = aid_apply("rows", x, NULL, NULL, &(ml_attrs){.slice = {.begin = 1, .count = 2}});
    ml_tensor *y = aid_apply("mul", rows, rows, NULL, NULL), *loss = aid_sum(y);
    ml_tensor *view = which == 1 ? ml_tensor_rows(base, 1, 2, NULL) : ml_tensor_ref(base);
    change(view);
    if (which == 2) aid_backward(loss);
    else refuses_backward(loss, "backward: input 1 of mul was changed in place after it was used; " ADVICE);
    aid_unref((ml_tensor *[]){x, copy, rows, y, loss, view}, 6);
  }
}

/* Forward, backward, change; and evaluation, which records nothing, after it. */
static void test_the_ordinary_loop(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(5, 3), 1), *w = aid_leaf(AID_SHAPE(2, 3), 2), *v = aid_leaf(AID_SHAPE(2, 2), 3);
  for (int step = 0; step < 3; step++) {
    ml_step_begin();
    ml_tensor *h = aid_then("relu", aid_apply("linear", x, w, NULL, NULL), NULL, NULL);
    ml_tensor *logits = aid_apply("linear", h, v, NULL, NULL), *loss = aid_sum(logits);
    aid_backward(loss);
    change(w);
    change(v);
    ml_set_recording(false);
    ml_tensor *y = aid_apply("linear", x, w, NULL, NULL);
    ml_set_recording(true);
    aid_unref((ml_tensor *[]){h, logits, loss, y}, 4);
  }
  ml_step_end();
  aid_unref((ml_tensor *[]){x, w, v}, 3);
}

/* The pass itself changes the gradients of leaves. One that is an input of a call further back is refused when its turn
 * comes: by then later calls have had theirs. */
static void test_a_gradient_as_input(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *v = aid_leaf(AID_SHAPE(3), 2), *first = aid_sum(x);
  aid_backward(first);
  ml_tensor *earlier = aid_apply("mul", x->grad, v, NULL, NULL), *later = aid_apply("mul", x, x, NULL, NULL);
  ml_tensor *both = aid_apply("add", earlier, later, NULL, NULL), *loss = aid_sum(both);
  refuses_backward(loss, "backward: input 1 of mul was changed in place after it was used; " ADVICE);
  assert_null(v->grad);
  aid_unref((ml_tensor *[]){first, earlier, later, both, loss}, 5);

  later = aid_apply("mul", x, x, NULL, NULL); /* recorded first, so its turn is last */
  earlier = aid_apply("mul", x->grad, v, NULL, NULL);
  both = aid_apply("add", earlier, later, NULL, NULL);
  loss = aid_sum(both);
  aid_backward(loss);
  assert_non_null(v->grad);
  aid_unref((ml_tensor *[]){x, v, earlier, later, both, loss}, 6);
  assert_int_equal(live_blocks(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_change),
      cmocka_unit_test(test_views_and_clones),
      cmocka_unit_test(test_the_ordinary_loop),
      cmocka_unit_test(test_a_gradient_as_input),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
