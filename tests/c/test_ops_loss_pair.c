/* Losses of two tensors of one shape and the multi-class hinge loss: values and gradients against the naive reference,
 * extremes, refusals with their message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/naive.h"
#include "ops_aid.h"

enum { ROWS = 129, CLASSES = 67, COUNT = ROWS * CLASSES };

static ml_tensor *x, *y, *probabilities, *log_probabilities, *weight, *labels, *row;
static float dx[COUNT];

static int set_up(void **state) {
  (void)state;
  const ml_attrs along = {.along = {1}};
  int32_t values[ROWS];
  for (int i = 0; i < ROWS; i++) values[i] = i * 31 % CLASSES;
  x = aid_leaf(AID_SHAPE(ROWS, CLASSES), 1);
  y = aid_random(AID_SHAPE(ROWS, CLASSES), 2);
  probabilities = aid_apply("softmax", y, NULL, NULL, &along);
  log_probabilities = aid_apply("log_softmax", y, NULL, NULL, &along);
  weight = aid_random(AID_SHAPE(CLASSES), 3);
  for (int i = 0; i < CLASSES; i++) weight->f32[i] = fabsf(weight->f32[i]);
  labels = aid_i32(AID_SHAPE(ROWS), values);
  row = aid_random(AID_SHAPE(ROWS), 4);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  aid_unref((ml_tensor *[]){x, y, probabilities, log_probabilities, weight, labels, row}, 7);
  return 0;
}

/* Value and gradient of a loss of x; the naive one has left its gradient in dx. */
static void check_loss(const char *name, ml_tensor *target, ml_tensor *third, const ml_attrs *attrs, double value) {
  float expected = (float)value;
  ml_tensor *loss = aid_apply(name, x, target, third, attrs);
  aid_has_shape(loss, AID_SCALAR);
  aid_close(loss->f32, &expected, 1, 1e-6);
  aid_backward(loss);
  for (int i = 0; i < COUNT; i++)
    if (fabsf(x->grad->f32[i] - dx[i]) > 2e-6f / (float)ROWS)
      fail_msg("%s: gradient %d is %.9g, expected %.9g", name, i, (double)x->grad->f32[i], (double)dx[i]);
  ml_tensor_unref(x->grad);
  x->grad = NULL;
  ml_tensor_unref(loss);
}

static void test_smooth_l1(void **state) {
  (void)state;
  const double betas[] = {0.0, 0.385, 1.0, 10.0};
  for (int k = 0; k < 4; k++) {
    const double value = ml_naive_smooth_l1(dx, x->f32, y->f32, betas[k], COUNT);
    check_loss("smooth_l1", y, NULL, &(ml_attrs){.scalar = {betas[k]}}, value);
  }
  /* the target's gradient is the other way */
  ml_tensor *target = aid_leaf(AID_SHAPE(ROWS, CLASSES), 2);
  ml_tensor *loss = aid_apply("smooth_l1", x, target, NULL, &(ml_attrs){.scalar = {0.385}});
  aid_backward(loss);
  for (int i = 0; i < COUNT; i++) assert_true(target->grad->f32[i] == -x->grad->f32[i]);
  ml_tensor_unref(x->grad);
  x->grad = NULL;
  aid_unref((ml_tensor *[]){target, loss}, 2);
}

static void test_bce_with_logits(void **state) {
  (void)state;
  double value = ml_naive_bce_with_logits(dx, x->f32, probabilities->f32, NULL, 1, COUNT);
  check_loss("bce_with_logits", probabilities, NULL, NULL, value);
  value = ml_naive_bce_with_logits(dx, x->f32, probabilities->f32, weight->f32, CLASSES, COUNT);
  check_loss("bce_with_logits", probabilities, weight, NULL, value);
}

static void test_kl_div(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    const double divisor = k ? ROWS : COUNT;
    double value = ml_naive_kl_div(dx, x->f32, probabilities->f32, false, divisor, COUNT);
    check_loss("kl_div", probabilities, NULL, &(ml_attrs){.kl_div = {false, k == 1}}, value);
    value = ml_naive_kl_div(dx, x->f32, log_probabilities->f32, true, divisor, COUNT);
    check_loss("kl_div", log_probabilities, NULL, &(ml_attrs){.kl_div = {true, k == 1}}, value);
  }
}

static void test_multi_margin(void **state) {
  (void)state;
  for (int power = 1; power <= 2; power++) {
    const ml_attrs attrs = {.multi_margin = {power, 0.385}};
    double value = ml_naive_multi_margin(dx, x->f32, labels->i32, NULL, power, 0.385, ROWS, CLASSES);
    check_loss("multi_margin", labels, NULL, &attrs, value);
    value = ml_naive_multi_margin(dx, x->f32, labels->i32, weight->f32, power, 0.385, ROWS, CLASSES);
    check_loss("multi_margin", labels, weight, &attrs, value);
  }
}

/* Large logits give finite losses; targets of 0 add nothing to a divergence, whatever the log-probability. */
static void test_extremes(void **state) {
  (void)state;
  ml_tensor *logits = aid_f32(AID_SHAPE(1, 4), (float[]){1e30f, -1e30f, 200, -200});
  ml_tensor *right = aid_f32(AID_SHAPE(1, 4), (float[]){1, 0, 1, 0});
  ml_tensor *a = aid_apply("bce_with_logits", logits, right, NULL, NULL);
  ml_tensor *log_p = aid_f32(AID_SHAPE(1, 4), (float[]){0, -INFINITY, 0, -INFINITY});
  ml_tensor *b = aid_apply("kl_div", log_p, right, NULL, &(ml_attrs){.kl_div = {false, true}});
  assert_true(a->f32[0] == 0.0f && b->f32[0] == 0.0f);
  right->f32[2] = NAN;
  ml_tensor *c = aid_apply("kl_div", log_p, right, NULL, &(ml_attrs){.kl_div = {false, true}});
  assert_true(isnan(c->f32[0]));
  aid_unref((ml_tensor *[]){logits, right, a, log_p, b, c}, 6);
}

static void test_same_bits(void **state) {
  (void)state;
  float first = 0.0f;
  for (int threads = 1; threads <= 3; threads++) {
    ml_error err;
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    ml_tensor *loss = aid_apply("bce_with_logits", x, probabilities, NULL, NULL);
    if (threads == 1) first = loss->f32[0];
    assert_true(loss->f32[0] == first);
    ml_tensor_unref(loss);
  }
}

static void test_refusals(void **state) {
  (void)state;
  const ml_attrs power = {.multi_margin = {1, 1.0}};
  aid_refused("smooth_l1: expected two tensors of one shape, received 129x67 and 129", "smooth_l1", x, row, NULL, NULL);
  aid_refused("smooth_l1: expected a beta of at least 0, received -1", "smooth_l1", x, y, NULL,
              &(ml_attrs){.scalar = {-1}});
  aid_refused("bce_with_logits: expected a weight for each of 67 places, received 129", "bce_with_logits", x, y, row,
              NULL);
  aid_refused("kl_div: expected two tensors of one shape, received 129x67 and 129", "kl_div", x, row, NULL, NULL);
  aid_refused("multi_margin: expected f32 scores of samples x classes, received f32 129", "multi_margin", row, labels,
              NULL, &power);
  aid_refused("multi_margin: for scores of 129x67 expected 129 labels (i32 or u8), received f32 129", "multi_margin", x,
              row, NULL, &power);
  aid_refused("multi_margin: expected an f32 weight of 67, one per class, received f32 129", "multi_margin", x, labels,
              row, &power);
  aid_refused("multi_margin: expected a power of 1 or 2, received 3", "multi_margin", x, labels, NULL,
              &(ml_attrs){.multi_margin = {3, 1.0}});
  labels->i32[1] = CLASSES;
  aid_refused("multi_margin: sample 2 has the label 67, expected 0 to 66", "multi_margin", x, labels, NULL, &power);
  y->requires_grad = true;
  aid_refused("bce_with_logits: the target requires a gradient but gets none; use its :detach()", "bce_with_logits", x,
              y, NULL, NULL);
  aid_refused("kl_div: the target requires a gradient but gets none; use its :detach()", "kl_div", x, y, NULL, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_smooth_l1),    cmocka_unit_test(test_bce_with_logits), cmocka_unit_test(test_kl_div),
      cmocka_unit_test(test_multi_margin), cmocka_unit_test(test_extremes),        cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_refusals),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests_name("ops_loss_pair", tests, set_up, tear_down);
}
