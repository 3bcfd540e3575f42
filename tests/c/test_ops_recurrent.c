/* rnn, lstm and gru as operations: what they refuse; all values and gradients have the same bits on any number of
 * threads; gradients that are not wanted; no samples; what bf16 changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/pool.h"
#include "kernels/precision.h"
#include "kernels_aid.h"
#include "ops_aid.h"

static const struct {
  const char *name;
  int64_t gates;
} cells[] = {{"rnn", 1}, {"lstm", 4}, {"gru", 3}};
enum { CELLS = sizeof cells / sizeof *cells, INPUTS = 5 };

static ml_attrs attrs_of(bool last) { return (ml_attrs){.recurrent = {.last = last}}; }

/* ---- what is refused ---- */

static void refused(const char *message, const char *name, ml_tensor *const *in, int count) {
  ml_error err;
  const ml_attrs attrs = attrs_of(false);
  assert_null(ml_apply(ml_op_find(name), in, count, &attrs, &err));
  assert_int_equal(err.status, ML_MISUSE);
  assert_string_equal(err.message, message);
}

static void test_what_is_refused(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(2, 3, 5), 1), *flat = aid_random(AID_SHAPE(2, 15), 1);
  ml_tensor *none = aid_random(AID_SHAPE(2, 0, 5), 1), *w = aid_random(AID_SHAPE(16, 5), 2);
  ml_tensor *u = aid_random(AID_SHAPE(16, 4), 3), *b = aid_random(AID_SHAPE(16), 4), *c = aid_random(AID_SHAPE(4), 4);
  ml_tensor *bytes = aid_u8(AID_SHAPE(1, 1, 1), (uint8_t[]){1});
  refused("lstm: expected an input of n x steps x features, received 2x15", "lstm", (ml_tensor *[]){flat, w, u}, 3);
  refused("lstm: expected an input of n x steps x features, received 2x0x5", "lstm", (ml_tensor *[]){none, w, u}, 3);
  refused("gru: expected a weight of the state of 3 hidden x hidden, received 16x4", "gru", (ml_tensor *[]){x, w, u},
          3);
  refused("lstm: expected a weight of the input of 16x5, received 16x4", "lstm", (ml_tensor *[]){x, u, u}, 3);
  refused("lstm: the two biases go together", "lstm", (ml_tensor *[]){x, w, u, b}, 4);
  refused("lstm: expected a bias of the input of 16, received 4", "lstm", (ml_tensor *[]){x, w, u, c, b}, 5);
  refused("lstm: expected a bias of the state of 16, received 4", "lstm", (ml_tensor *[]){x, w, u, b, c}, 5);
  refused("lstm: input 1 must be f32, it is u8; convert it with :to(\"f32\")", "lstm", (ml_tensor *[]){bytes, w, u}, 3);
  aid_unref((ml_tensor *[]){x, flat, none, w, u, b, c, bytes}, 8);
}

/* ---- values and gradients ---- */

typedef struct problem {
  int cell;
  bool last;
  int64_t n, steps, in, hidden;
  ml_tensor *inputs[INPUTS];
} problem;

static problem make(int cell, bool last, int64_t n, int64_t steps, int64_t in, int64_t hidden) {
  const int64_t rows = cells[cell].gates * hidden;
  return (problem){cell, last, n, steps, in, hidden,
                   {aid_leaf(AID_SHAPE(n, steps, in), 1), aid_leaf(AID_SHAPE(rows, in), 2),
                    aid_leaf(AID_SHAPE(rows, hidden), 3), aid_leaf(AID_SHAPE(rows), 4), aid_leaf(AID_SHAPE(rows), 5)}};
}

static ml_tensor *run(const problem *p) {
  ml_error err;
  const ml_attrs attrs = attrs_of(p->last);
  ml_tensor *y = ml_apply(ml_op_find(cells[p->cell].name), p->inputs, INPUTS, &attrs, &err);
  if (!y) fail_msg("%s", err.message);
  return y;
}

static int64_t outputs(const problem *p) { return p->n * p->hidden * (p->last ? 1 : p->steps); }

static int64_t floats(const problem *p) {
  int64_t sum = outputs(p);
  for (int i = 0; i < INPUTS; i++) sum += ml_tensor_count(p->inputs[i]);
  return sum;
}

/* y, then the gradients of all inputs that want one. */
static void forward_and_backward(float *out, void *ctx) {
  const problem *p = ctx;
  ml_tensor *y = run(p), *dy = aid_random(&y->shape, 6), *product = aid_apply("mul", y, dy, NULL, NULL);
  ml_tensor *loss = aid_sum(product);
  memcpy(out, y->f32, (size_t)outputs(p) * sizeof *out);
  out += outputs(p);
  aid_backward(loss);
  for (int i = 0; i < INPUTS; i++) {
    ml_tensor *t = p->inputs[i];
    const size_t count = (size_t)ml_tensor_count(t);
    if (t->requires_grad) memcpy(out, t->grad->f32, count * sizeof *out);
    else memset(out, 0, count * sizeof *out);
    out += count;
    ml_tensor_unref(t->grad);
    t->grad = NULL;
  }
  aid_unref((ml_tensor *[]){loss, product, dy, y}, 4);
}

static void test_the_same_bits_on_any_number_of_threads(void **state) {
  (void)state;
  static const int64_t sizes[][4] = {{1, 3, 4, 5}, {37, 5, 7, 19}, {130, 3, 28, 33}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int cell = 0; cell < CELLS; cell++) {
      problem p = make(cell, i == 1, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
      kernels_run_everywhere(forward_and_backward, NULL, &p, floats(&p), false);
      aid_unref(p.inputs, INPUTS);
    }
  }
}

/* Each gradient is the same whether others are wanted or not. */
static void test_gradients_that_are_not_wanted(void **state) {
  (void)state;
  float all[1500], some[1500];
  for (int cell = 0; cell < CELLS; cell++) {
    problem p = make(cell, false, 3, 4, 5, 6);
    assert_true(floats(&p) <= 1500);
    forward_and_backward(all, &p);
    for (int wanted = 0; wanted < INPUTS; wanted++) {
      for (int i = 0; i < INPUTS; i++) p.inputs[i]->requires_grad = i == wanted;
      forward_and_backward(some, &p);
      int64_t at = outputs(&p);
      for (int i = 0; i < wanted; i++) at += ml_tensor_count(p.inputs[i]);
      assert_memory_equal(all + at, some + at, (size_t)ml_tensor_count(p.inputs[wanted]) * sizeof(float));
    }
    aid_unref(p.inputs, INPUTS);
  }
}

static void test_no_samples(void **state) {
  (void)state;
  for (int cell = 0; cell < CELLS; cell++) {
    problem p = make(cell, false, 0, 3, 2, 4);
    float out[300];
    assert_true(floats(&p) <= 300);
    forward_and_backward(out, &p);
    for (int64_t i = 0; i < floats(&p); i++) assert_true(out[i] == 0.0f);
    aid_unref(p.inputs, INPUTS);
  }
}

/* The products over all steps are rounded, so results move, but no further than 8 bits of mantissa let them. */
static void test_bf16(void **state) {
  (void)state;
  float exact[4000], rounded[4000];
  for (int cell = 0; cell < CELLS; cell++) {
    problem p = make(cell, false, 5, 3, 17, 9);
    assert_true(floats(&p) <= 4000);
    for (int i = 1; i < INPUTS; i++)
      for (int64_t j = 0; j < ml_tensor_count(p.inputs[i]); j++) p.inputs[i]->f32[j] *= 0.1f;
    forward_and_backward(exact, &p);
    ml_precision_use(ML_PRECISION_BF16);
    forward_and_backward(rounded, &p);
    ml_precision_use(ML_PRECISION_F32);
    assert_memory_not_equal(exact, rounded, (size_t)floats(&p) * sizeof *exact);
    kernels_check_close(rounded, exact, floats(&p), 0.03, 0.03, "bf16");
    aid_unref(p.inputs, INPUTS);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_refused),
      cmocka_unit_test(test_the_same_bits_on_any_number_of_threads),
      cmocka_unit_test(test_gradients_that_are_not_wanted),
      cmocka_unit_test(test_no_samples),
      cmocka_unit_test(test_bf16),
  };
  ml_error err;
  if (ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
