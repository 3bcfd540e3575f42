/* Softmax, losses and dropout: values and gradients against the naive reference, refusals with their message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/naive.h"
#include "ops_aid.h"

/* ---- softmax ---- */

static void test_softmax(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 5), 1), *xt = aid_apply("t", x, NULL, NULL, NULL);
  const char *names[] = {"softmax", "log_softmax"};
  for (int k = 0; k < 2; k++) {
    float expected[15];
    (k == 0 ? ml_naive_softmax : ml_naive_log_softmax)(expected, x->f32, 3, 5);
    ml_tensor *last = aid_apply(names[k], x, NULL, NULL, &(ml_attrs){.along = {1}});
    ml_tensor *first = aid_apply(names[k], xt, NULL, NULL, &(ml_attrs){.along = {0}});
    ml_tensor *back = aid_apply("t", first, NULL, NULL, NULL);
    aid_close(last->f32, expected, 15, 1e-6);
    assert_memory_equal(last->f32, back->f32, sizeof expected);
    aid_unref((ml_tensor *[]){last, first, back}, 3);
  }
  aid_refused("softmax: expected a dimension from 1 to 2 of a tensor of 3x5, received 3", "softmax", x, NULL, NULL,
              &(ml_attrs){.along = {2}});
  aid_unref((ml_tensor *[]){x, xt}, 2);
}

/* ---- losses ---- */

enum { ROWS = 5, CLASSES = 7 };

typedef struct loss_inputs {
  ml_tensor *x, *labels, *bytes, *probabilities, *weight;
} loss_inputs;

static loss_inputs make_loss_inputs(void) {
  const int32_t labels[ROWS] = {6, 0, 3, 3, 1};
  const uint8_t bytes[ROWS] = {6, 0, 3, 3, 1};
  loss_inputs in = {.x = aid_leaf(AID_SHAPE(ROWS, CLASSES), 1),
                    .labels = aid_i32(AID_SHAPE(ROWS), labels),
                    .bytes = aid_u8(AID_SHAPE(ROWS), bytes),
                    .weight = aid_random(AID_SHAPE(CLASSES), 2)};
  for (int i = 0; i < CLASSES; i++) in.weight->f32[i] = fabsf(in.weight->f32[i]);
  ml_tensor *logits = aid_random(AID_SHAPE(ROWS, CLASSES), 3);
  in.probabilities = aid_apply("softmax", logits, NULL, NULL, &(ml_attrs){.along = {1}});
  ml_tensor_unref(logits);
  return in;
}

static void free_loss_inputs(const loss_inputs *in) {
  aid_unref((ml_tensor *[]){in->x, in->labels, in->bytes, in->probabilities, in->weight}, 5);
}

/* Value and gradient of a loss, then the gradient is dropped. */
static void check_loss(const char *name, ml_tensor *x, ml_tensor *target, ml_tensor *weight, const ml_attrs *attrs,
                       double value, const float *gradient) {
  float expected = (float)value;
  ml_tensor *loss = aid_apply(name, x, target, weight, attrs);
  aid_has_shape(loss, AID_SCALAR);
  aid_close(loss->f32, &expected, 1, 1e-6);
  aid_backward(loss);
  aid_close(x->grad->f32, gradient, ml_tensor_count(x), 1e-6);
  ml_tensor_unref(x->grad);
  x->grad = NULL;
  ml_tensor_unref(loss);
}

static void test_cross_entropy(void **state) {
  (void)state;
  loss_inputs in = make_loss_inputs();
  float dx[ROWS * CLASSES];
  for (int k = 0; k < 4; k++) {
    double s = k & 1 ? 0.1 : 0.0;
    ml_tensor *weight = k & 2 ? in.weight : NULL;
    const float *w = weight ? weight->f32 : NULL;
    const ml_attrs attrs = {.cross_entropy = {.smoothing = s, .has_weight = weight != NULL}};
    double value = ml_naive_cross_entropy(dx, in.x->f32, in.labels->i32, w, s, ROWS, CLASSES);
    check_loss("cross_entropy", in.x, in.labels, weight, &attrs, value, dx);
    check_loss("cross_entropy", in.x, in.bytes, weight, &attrs, value, dx);
    value = ml_naive_cross_entropy_soft(dx, in.x->f32, in.probabilities->f32, w, s, ROWS, CLASSES);
    check_loss("cross_entropy", in.x, in.probabilities, weight, &attrs, value, dx);
  }
  free_loss_inputs(&in);
}

/* Logits of +-1e38 give finite losses; a target of 0 where the probability is 0 adds 0. */
static void test_cross_entropy_of_extremes(void **state) {
  (void)state;
  ml_tensor *x = aid_f32(AID_SHAPE(2, 2), (float[]){1e38f, -1e38f, -1e38f, 1e38f});
  ml_tensor *right = aid_i32(AID_SHAPE(2), (int32_t[]){0, 1}), *sure = aid_f32(AID_SHAPE(2, 2), (float[]){1, 0, 0, 1});
  ml_tensor *a = aid_apply("cross_entropy", x, right, NULL, NULL), *b = aid_apply("cross_entropy", x, sure, NULL, NULL);
  assert_true(a->f32[0] == 0.0f && b->f32[0] == 0.0f);
  aid_unref((ml_tensor *[]){x, right, sure, a, b}, 5);
}

static void test_nll_and_mse(void **state) {
  (void)state;
  loss_inputs in = make_loss_inputs();
  float dx[ROWS * CLASSES];
  double value = ml_naive_nll(dx, in.x->f32, in.labels->i32, NULL, ROWS, CLASSES);
  check_loss("nll", in.x, in.labels, NULL, NULL, value, dx);
  value = ml_naive_nll(dx, in.x->f32, in.labels->i32, in.weight->f32, ROWS, CLASSES);
  check_loss("nll", in.x, in.bytes, in.weight, &(ml_attrs){.nll = {true}}, value, dx);
  value = ml_naive_mse(dx, in.x->f32, in.probabilities->f32, ROWS * CLASSES);
  check_loss("mse", in.x, in.probabilities, NULL, NULL, value, dx);
  free_loss_inputs(&in);
}

static void test_loss_refusals(void **state) {
  (void)state;
  loss_inputs in = make_loss_inputs();
  const ml_attrs weighted = {.cross_entropy = {.has_weight = true}}, weighted_nll = {.nll = {true}};
  ml_tensor *row = aid_random(AID_SHAPE(ROWS), 4);
  in.labels->i32[2] = CLASSES;
  aid_refused("cross_entropy: sample 3 has the label 7, expected 0 to 6", "cross_entropy", in.x, in.labels, NULL, NULL);
  aid_refused("nll: sample 3 has the label 7, expected 0 to 6", "nll", in.x, in.labels, NULL, NULL);
  in.labels->i32[2] = -1;
  aid_refused("cross_entropy: sample 3 has the label -1, expected 0 to 6", "cross_entropy", in.x, in.labels, NULL,
              NULL);
  aid_refused("cross_entropy: for logits of 5x7 expected 5 labels (i32 or u8) or f32 probabilities of 5x7, received "
              "f32 5",
              "cross_entropy", in.x, row, NULL, NULL);
  aid_refused("nll: for log-probabilities of 5x7 expected 5 labels (i32 or u8), received f32 5", "nll", in.x, row, NULL,
              NULL);
  aid_refused("cross_entropy: expected f32 logits of samples x classes, received f32 5", "cross_entropy", row, in.bytes,
              NULL, NULL);
  aid_refused("cross_entropy: expected an f32 weight of 7, one per class, received f32 5", "cross_entropy", in.x,
              in.bytes, row, &weighted);
  aid_refused("cross_entropy: expected 3 inputs with a weight, received 2", "cross_entropy", in.x, in.bytes, NULL,
              &weighted);
  aid_refused("nll: expected 2 inputs without weight, received 3", "nll", in.x, in.bytes, in.weight, NULL);
  aid_refused("nll: expected an f32 weight of 7, one per class, received f32 5", "nll", in.x, in.bytes, row,
              &weighted_nll);
  aid_refused("cross_entropy: expected a label smoothing of 0 to 1, received 1.5", "cross_entropy", in.x, in.bytes,
              NULL, &(ml_attrs){.cross_entropy = {.smoothing = 1.5}});
  aid_refused("mse: expected two tensors of one shape, received 5x7 and 5", "mse", in.x, row, NULL, NULL);
  in.weight->requires_grad = in.probabilities->requires_grad = true;
  aid_refused("cross_entropy: the target requires a gradient but gets none; use its :detach()", "cross_entropy", in.x,
              in.probabilities, NULL, NULL);
  aid_refused("cross_entropy: the weight requires a gradient but gets none; use its :detach()", "cross_entropy", in.x,
              in.bytes, in.weight, &weighted);
  aid_refused("nll: the weight requires a gradient but gets none; use its :detach()", "nll", in.x, in.bytes, in.weight,
              &weighted_nll);
  ml_tensor_unref(row);
  free_loss_inputs(&in);
}

/* ---- dropout ---- */

static void test_dropout(void **state) {
  (void)state;
  const ml_rng rng = {.seed = 1, .stream = ML_STREAM_DROPOUT, .epoch = 2, .step = 3};
  ml_tensor *x = aid_leaf(AID_SHAPE(31, 33), 1);
  float expected[31 * 33];
  for (int k = 0; k <= 4; k++) {
    const ml_attrs attrs = {.dropout = {.p = k / 4.0, .rng = rng}};
    ml_tensor *y = aid_apply("dropout", x, NULL, NULL, &attrs), *loss = aid_sum(y);
    aid_backward(loss);
    if (k == 0)
      memcpy(expected, x->f32, sizeof expected);
    else if (k == 4)
      memset(expected, 0, sizeof expected);
    else
      ml_naive_dropout(expected, x->f32, 31 * 33, (float)attrs.dropout.p, rng);
    aid_close(y->f32, expected, 31 * 33, 1e-6);
    for (int64_t i = 0; i < 31 * 33; i++) assert_true((x->grad->f32[i] == 0.0f) == (y->f32[i] == 0.0f));
    ml_tensor_unref(x->grad);
    x->grad = NULL;
    aid_unref((ml_tensor *[]){y, loss}, 2);
  }
  aid_refused("dropout: expected a probability of 0 to 1, received -0.25", "dropout", x, NULL, NULL,
              &(ml_attrs){.dropout = {.p = -0.25}});
  aid_refused("dropout: expected a probability of 0 to 1, received nan", "dropout", x, NULL, NULL,
              &(ml_attrs){.dropout = {.p = (double)NAN}});
  ml_tensor_unref(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_softmax),
      cmocka_unit_test(test_cross_entropy),
      cmocka_unit_test(test_cross_entropy_of_extremes),
      cmocka_unit_test(test_nll_and_mse),
      cmocka_unit_test(test_loss_refusals),
      cmocka_unit_test(test_dropout),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
