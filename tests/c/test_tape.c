/* The tape: what is recorded, what a backward pass gives and takes, steps and expiry, chains far longer than the stack,
 * every allocation failing, and the same bits for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "ops_aid.h"

static uint64_t live_blocks(void) { return ml_memory_get_stats().live_blocks; }

static void refuses_backward(ml_tensor *loss, const char *message) {
  ml_error err = {0};
  assert_int_equal(ml_backward(loss, 1.0f, &err), ML_MISUSE);
  assert_int_equal(err.status, ML_MISUSE);
  assert_string_equal(err.message, message);
}

/* ---- recording ---- */

static void test_what_is_recorded(void **state) {
  (void)state;
  ml_tensor *leaf = aid_leaf(AID_SHAPE(3), 1), *plain = aid_random(AID_SHAPE(3), 2);
  ml_tensor *yes = aid_apply("add", plain, leaf, NULL, NULL), *no = aid_apply("add", plain, plain, NULL, NULL);
  ml_tensor *never = aid_apply("eq", leaf, plain, NULL, NULL);
  assert_true(ml_recording());
  assert_true(yes->requires_grad && yes->node);
  assert_true(!no->requires_grad && !no->node && !never->requires_grad && !never->node);
  assert_true(ml_set_recording(false));
  ml_tensor *off = aid_apply("add", plain, leaf, NULL, NULL);
  assert_true(!off->requires_grad && !off->node && !ml_recording());
  assert_false(ml_set_recording(true));
  aid_unref((ml_tensor *[]){leaf, plain, yes, no, never, off}, 6);
}

static void test_number_of_inputs(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3), 1);
  aid_refused("add: expected 2 inputs, received 1", "add", x, NULL, NULL, NULL);
  aid_refused("exp: expected 1 input, received 2", "exp", x, x, NULL, NULL);
  aid_refused("linear: expected 2 to 3 inputs, received 1", "linear", x, NULL, NULL, NULL);
  ml_tensor_unref(x);
}

/* ---- gradients ---- */

/* d/dx of sum(x + x) is 2, of sum(x x) is 2 x, of sum(x) twice in a row is 2. */
static void test_accumulation(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  ml_tensor *x = aid_leaf(AID_SHAPE(5), 1);
  ml_tensor *loss = aid_then("sum", aid_apply("add", x, x, NULL, NULL), NULL, &(ml_attrs){.reduce = {.all = true}});
  aid_backward(loss);
  for (int i = 0; i < 5; i++) assert_true(x->grad->f32[i] == 2.0f);
  ml_tensor_unref(loss);
  loss = aid_then("sum", aid_apply("mul", x, x, NULL, NULL), NULL, &(ml_attrs){.reduce = {.all = true}});
  aid_backward(loss);
  for (int i = 0; i < 5; i++) assert_true(x->grad->f32[i] == 2.0f + 2.0f * x->f32[i]);
  aid_unref((ml_tensor *[]){loss, x}, 2);
  assert_int_equal(live_blocks(), before);
}

/* y = exp(x) used twice: the contributions of both meet in y before exp's backward runs. */
static void test_a_diamond(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *y = aid_apply("exp", x, NULL, NULL, NULL);
  ml_tensor *a = aid_apply("sqrt", y, NULL, NULL, NULL), *b = aid_apply("mul", a, y, NULL, NULL), *loss = aid_sum(b);
  aid_backward(loss);
  for (int i = 0; i < 3; i++) { /* d/dx e^(1.5 x) */
    float expected = 1.5f * b->f32[i];
    aid_close(&x->grad->f32[i], &expected, 1, 1e-6);
  }
  aid_unref((ml_tensor *[]){x, y, a, b, loss}, 5);
}

static void test_views_pass_gradients(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(4, 3), 1);
  ml_tensor *rows = aid_apply("rows", x, NULL, NULL, &(ml_attrs){.slice = {.begin = 1, .count = 2}});
  ml_tensor *flat = aid_apply("reshape", rows, NULL, NULL, &(ml_attrs){.reshape = {{1, {6}}}}), *loss = aid_sum(flat);
  assert_true(flat->storage == x->storage && flat->data == x->f32 + 3);
  aid_backward(loss);
  for (int i = 0; i < 12; i++) assert_true(x->grad->f32[i] == (i >= 3 && i < 9 ? 1.0f : 0.0f));
  aid_unref((ml_tensor *[]){x, rows, flat, loss}, 4);
}

static void test_seed(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *loss = aid_sum(x);
  assert_int_equal(ml_backward(loss, 0.5f, NULL), ML_OK);
  assert_true(x->grad->f32[2] == 0.5f);
  aid_unref((ml_tensor *[]){x, loss}, 2);
}

/* Only the inputs that wanted one when the call was recorded. */
static void test_no_gradient_unasked(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *w = aid_random(AID_SHAPE(3), 2), *y = aid_apply("mul", x, w, NULL, NULL);
  ml_tensor *loss = aid_sum(y);
  w->requires_grad = true;
  aid_backward(loss);
  assert_non_null(x->grad);
  assert_null(w->grad);
  assert_null(y->grad);
  aid_unref((ml_tensor *[]){x, w, y, loss}, 4);
}

static void test_bad_losses(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(3, 2), 1), *y = aid_apply("exp", x, NULL, NULL, NULL),
            *s = aid_random(AID_SCALAR, 2);
  refuses_backward(y, "backward: the loss must have one element, not 3x2; reduce it with :sum() or :mean()");
  refuses_backward(s, "backward: the loss was not recorded: nothing that it was computed from requires a gradient, or "
                      "recording was off");
  aid_unref((ml_tensor *[]){x, y, s}, 3);
}

static void test_once_only(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *y = aid_apply("exp", x, NULL, NULL, NULL), *loss = aid_sum(y);
  aid_backward(loss);
  float once[3];
  memcpy(once, x->grad->f32, sizeof once);
  refuses_backward(loss, "backward: the result of sum has already been through a backward pass; compute it again");
  ml_tensor *again = aid_sum(y);
  refuses_backward(again, "backward: the result of exp has already been through a backward pass; compute it again");
  assert_memory_equal(x->grad->f32, once, sizeof once);
  aid_unref((ml_tensor *[]){x, y, loss, again}, 4);
}

/* ---- memory ---- */

/* Built, run backward and released, each without recursion. */
static void test_long_chain(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  for (int backward = 0; backward < 2; backward++) {
    ml_tensor *x = aid_leaf(AID_SCALAR, 1), *y = aid_apply("neg", x, NULL, NULL, NULL);
    for (int i = 1; i < 100000; i++) y = aid_then("neg", y, NULL, NULL);
    if (backward) aid_backward(y);
    if (backward) assert_true(x->grad->f32[0] == 1.0f);
    ml_tensor_unref(y);
    ml_tensor_unref(x);
    assert_int_equal(live_blocks(), before);
  }
}

static void test_graph_outlives_its_names(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1);
  ml_tensor *loss = aid_then("mean", aid_then("exp", aid_apply("mul", x, x, NULL, NULL), NULL, NULL), NULL,
                             &(ml_attrs){.reduce = {.all = true}});
  uint64_t recorded = live_blocks();
  aid_backward(loss);
  assert_true(live_blocks() < recorded); /* even with the new gradient: the saved values are given back */
  aid_unref((ml_tensor *[]){x, loss}, 2);
  assert_int_equal(live_blocks(), before);
}

/* ---- steps ---- */

static void test_expiry(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  ml_tensor *x = aid_leaf(AID_SHAPE(3), 1), *earlier = aid_apply("exp", x, NULL, NULL, NULL);
  ml_step_begin();
  ml_tensor *y = aid_apply("exp", x, NULL, NULL, NULL), *loss = aid_sum(y), *plain = aid_random(AID_SHAPE(3), 2);
  ml_tensor *unrecorded = aid_apply("exp", plain, NULL, NULL, NULL);
  aid_backward(loss);
  assert_true(y->expires && y->data && loss->data);
  ml_step_begin();
  assert_true(!y->data && !y->node && !loss->data && x->data && x->grad->data && earlier->data && unrecorded->data);
  aid_refused("mul: input 2 was computed in an earlier step and has expired; keep it with :clone() or :item()", "mul",
              x, y, NULL, NULL);
  refuses_backward(loss, "backward: the loss was computed in an earlier step and has expired");
  ml_step_end();
  ml_tensor *after = aid_apply("exp", x, NULL, NULL, NULL);
  ml_step_begin();
  assert_true(after->data && !after->expires);
  ml_step_end();
  aid_unref((ml_tensor *[]){x, earlier, y, loss, plain, unrecorded, after}, 7);
  assert_int_equal(live_blocks(), before);
}

static void test_adopted(void **state) {
  (void)state;
  uint64_t before = live_blocks();
  ml_tensor *batch = aid_random(AID_SHAPE(4, 3), 1), *outside = aid_random(AID_SHAPE(3), 2);
  assert_int_equal(ml_step_adopt(outside, NULL), ML_OK);
  ml_step_begin();
  assert_int_equal(ml_step_adopt(batch, NULL), ML_OK);
  assert_int_equal(ml_step_adopt(batch, NULL), ML_OK);
  ml_tensor *view = aid_apply("rows", batch, NULL, NULL, &(ml_attrs){.slice = {.begin = 1, .count = 2}});
  ml_step_end();
  assert_true(!batch->data && !view->data && outside->data);
  assert_int_equal(batch->refs, 1);
  aid_unref((ml_tensor *[]){batch, outside, view}, 3);
  assert_int_equal(live_blocks(), before);
}

/* A graph from outside the steps cannot go backward through what has expired. */
static void test_backward_through_expired(void **state) {
  (void)state;
  ml_tensor *w = aid_leaf(AID_SHAPE(3), 1), *x = aid_random(AID_SHAPE(3), 2);
  ml_tensor *loss = aid_then("sum", aid_apply("mul", w, x, NULL, NULL), NULL, &(ml_attrs){.reduce = {.all = true}});
  ml_step_begin();
  assert_int_equal(ml_step_adopt(x, NULL), ML_OK);
  ml_step_end();
  refuses_backward(loss, "backward: input 2 of mul was computed in an earlier step and has expired");
  assert_null(w->grad);
  aid_unref((ml_tensor *[]){w, x, loss}, 3);
}

/* ---- a network of two layers ---- */

enum { PARAMETERS = 4 };

typedef struct network {
  ml_tensor *parameter[PARAMETERS], *x, *labels;
} network;

static network make_network(int64_t n, int64_t in, int64_t hidden, int64_t out) {
  network net = {{aid_leaf(AID_SHAPE(hidden, in), 1), aid_leaf(AID_SHAPE(hidden), 2),
                  aid_leaf(AID_SHAPE(out, hidden), 3), aid_leaf(AID_SHAPE(out), 4)},
                 aid_random(AID_SHAPE(n, in), 5),
                 aid_i32(AID_SHAPE(n), NULL)};
  for (int64_t i = 0; i < n; i++) net.labels->i32[i] = (int32_t)(i * 7 % out);
  return net;
}

static void drop_gradients(network *net) {
  for (int i = 0; i < PARAMETERS; i++) {
    ml_tensor_unref(net->parameter[i]->grad);
    net->parameter[i]->grad = NULL;
  }
}

static void free_network(network *net) {
  aid_unref(net->parameter, PARAMETERS);
  aid_unref((ml_tensor *[]){net->x, net->labels}, 2);
}

/* Applies op to inputs and gives up the reference to the first one if `owned`; passes NULL on. */
static ml_tensor *next(const char *name, ml_tensor *const *inputs, int count, bool owned, const ml_attrs *attrs,
                       ml_error *err) {
  ml_tensor *out = inputs[0] ? ml_apply(ml_op_find(name), inputs, count, attrs, err) : NULL;
  if (owned) ml_tensor_unref(inputs[0]);
  return out;
}

/* The product of h with itself makes two gradients meet. */
static ml_tensor *forward(network *net, ml_error *err) {
  ml_tensor *const *p = net->parameter;
  ml_attrs half = {.dropout = {.p = 0.5, .rng = {.seed = 1, .stream = ML_STREAM_DROPOUT}}};
  ml_attrs smooth = {.cross_entropy = {.smoothing = 0.1}};
  ml_tensor *h = next("linear", (ml_tensor *[]){net->x, p[0], p[1]}, 3, false, NULL, err);
  h = next("gelu", &h, 1, true, NULL, err);
  h = next("mul", (ml_tensor *[]){h, h}, 2, true, NULL, err);
  h = next("dropout", &h, 1, true, &half, err);
  h = next("linear", (ml_tensor *[]){h, p[2], p[3]}, 3, true, NULL, err);
  return next("cross_entropy", (ml_tensor *[]){h, net->labels}, 2, true, &smooth, err);
}

static ml_status train_step(network *net, float *loss_value, ml_error *err) {
  ml_tensor *loss = forward(net, err);
  if (!loss) return err->status;
  *loss_value = loss->f32[0];
  ml_status status = ml_backward(loss, 1.0f, err);
  ml_tensor_unref(loss);
  return status;
}

static void test_every_allocation_fails(void **state) {
  (void)state;
  uint64_t start = live_blocks();
  network net = make_network(5, 7, 9, 3);
  for (int stepping = 0; stepping < 2; stepping++) {
    ml_status status = ML_NOMEM;
    uint64_t before = live_blocks(), n = 0;
    while (status != ML_OK) {
      ml_error err = {0};
      float loss;
      if (stepping) ml_step_begin();
      ml_memory_fail_from(++n);
      status = train_step(&net, &loss, &err);
      ml_memory_fail_from(0);
      if (stepping) ml_step_end();
      if (status != ML_OK) assert_int_equal(err.status, ML_NOMEM);
      if (status != ML_OK) assert_non_null(strstr(err.message, "out of memory"));
      drop_gradients(&net);
      assert_int_equal(live_blocks(), before);
    }
    assert_true(n > 30);
  }
  free_network(&net);
  assert_int_equal(live_blocks(), start);
}

static void test_a_steady_step_asks_no_system_memory(void **state) {
  (void)state;
#if defined(__SANITIZE_ADDRESS__)
  skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  skip();
#endif
#endif
  network net = make_network(5, 7, 9, 3);
  uint64_t calls = 0, bytes = 0;
  for (int step = 0; step < 10; step++) {
    ml_error err;
    float loss;
    ml_step_begin();
    drop_gradients(&net);
    assert_int_equal(train_step(&net, &loss, &err), ML_OK);
    ml_memory_stats stats = ml_memory_get_stats();
    if (step > 2) assert_int_equal(stats.system_calls, calls);
    if (step > 2) assert_int_equal(stats.live_bytes, bytes);
    calls = stats.system_calls;
    bytes = stats.live_bytes;
  }
  ml_step_end();
  free_network(&net);
}

static uint64_t hash(uint64_t h, const void *data, size_t bytes) {
  const unsigned char *byte = data;
  for (size_t i = 0; i < bytes; i++) h = (h ^ byte[i]) * 1099511628211u;
  return h;
}

/* Large enough that every kernel cuts its work into chunks. */
static void test_threads_do_not_show(void **state) {
  (void)state;
  uint64_t expected = 0;
  for (int threads = 1; threads <= 3; threads++) {
    ml_error err;
    float loss;
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    network net = make_network(129, 203, 301, 11);
    assert_int_equal(train_step(&net, &loss, &err), ML_OK);
    uint64_t h = hash(14695981039346656037u, &loss, sizeof loss);
    for (int i = 0; i < PARAMETERS; i++)
      h = hash(h, net.parameter[i]->grad->data, ml_tensor_bytes(net.parameter[i]->grad));
    if (threads == 1) expected = h;
    assert_true(h == expected);
    drop_gradients(&net);
    free_network(&net);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_recorded),
      cmocka_unit_test(test_number_of_inputs),
      cmocka_unit_test(test_accumulation),
      cmocka_unit_test(test_a_diamond),
      cmocka_unit_test(test_views_pass_gradients),
      cmocka_unit_test(test_seed),
      cmocka_unit_test(test_no_gradient_unasked),
      cmocka_unit_test(test_bad_losses),
      cmocka_unit_test(test_once_only),
      cmocka_unit_test(test_long_chain),
      cmocka_unit_test(test_graph_outlives_its_names),
      cmocka_unit_test(test_expiry),
      cmocka_unit_test(test_adopted),
      cmocka_unit_test(test_backward_through_expired),
      cmocka_unit_test(test_every_allocation_fails),
      cmocka_unit_test(test_a_steady_step_asks_no_system_memory),
      cmocka_unit_test(test_threads_do_not_show),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
