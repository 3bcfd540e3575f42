/* Optimizers against naive formulas in double, on odd sizes; the first steps by hand; the same bits on any number of
 * threads and on every instruction set. Every optimizer of the list has at least one row in optim_cases. */
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
#include "optim/optim.h"
#include "optim_cases.h"

#define CASES optim_case_count

/* A deterministic value in (-1, 1), away from 0. */
static float value(uint32_t i, uint32_t salt) {
  uint32_t x = (i + 1) * 2654435761u ^ (salt * 40503u + 977u) * 2246822519u;
  x ^= x >> 15;
  x *= 3266489917u;
  x ^= x >> 13;
  float v = (float)(x >> 8) / 16777216.0f * 0.97f + 0.0123f;
  return (x & 1) != 0 ? v : -v;
}

enum { GUARD = 5 };
static const float guard = 12345.0f;

/* n floats between guards, at an address that no vector is aligned to. */
static float *guarded(int64_t n) {
  assert_true(n >= 0);
  float *block = malloc(((size_t)n + 2 * GUARD) * sizeof *block);
  assert_non_null(block);
  for (int i = 0; i < GUARD; i++) block[i] = block[GUARD + n + i] = guard;
  memset(block + GUARD, 0, (size_t)n * sizeof *block);
  return block + GUARD;
}

static void free_guarded(float *x, int64_t n) {
  for (int i = 0; i < GUARD; i++) {
    assert_true(x[i - GUARD] == guard);
    assert_true(x[n + i] == guard);
  }
  free(x - GUARD);
}

/* A run of some steps: weights, gradient and slots, all of n floats. */
typedef struct optim_run {
  float *w, *g, *slot[ML_OPTIM_MAX_SLOTS];
} optim_run;

static optim_run run_new(int64_t n, int slots) {
  optim_run r = {.w = guarded(n), .g = guarded(n)};
  for (int64_t i = 0; i < n; i++) r.w[i] = value((uint32_t)i, 1);
  for (int s = 0; s < slots; s++) r.slot[s] = guarded(n);
  return r;
}

static void run_step(optim_run *r, const optim_case *c, int64_t n, int64_t step) {
  ml_hyper h = c->h;
  h.step = step;
  for (int64_t i = 0; i < n; i++) r->g[i] = value((uint32_t)i, 10 + (uint32_t)step);
  ml_span span = {.w = r->w, .g = r->g, .n = n};
  memcpy(span.slot, r->slot, sizeof span.slot);
  ml_optimizer_step(ml_optimizer_find(c->optimizer), &span, 1, &h);
}

static void run_free(optim_run *r, int64_t n, int slots) {
  free_guarded(r->w, n);
  free_guarded(r->g, n);
  for (int s = 0; s < slots; s++) free_guarded(r->slot[s], n);
}

static void start_pool(int threads) {
  ml_error err;
  assert_int_equal(ml_pool_start(threads, &err), ML_OK);
}

static void check_close(const optim_case *c, const char *what, int64_t step, int64_t i, double got,
                        double want) {
  if (fabs(got - want) <= 3e-6 * (1 + fabs(want))) return;
  fail_msg("%s (%s): %s[%lld] after step %lld is %.9g, expected %.9g", c->optimizer, c->label, what, (long long)i,
           (long long)step, got, want);
}

static void check_against_naive(const optim_case *c, int64_t n) {
  enum { STEPS = 6 };
  optim_run r = run_new(n, c->slots);
  for (int64_t step = 1; step <= STEPS; step++) run_step(&r, c, n, step);
  for (int64_t i = 0; i < n; i++) {
    double w = value((uint32_t)i, 1), s[ML_OPTIM_MAX_SLOTS] = {0};
    ml_hyper h = c->h;
    for (h.step = 1; h.step <= STEPS; h.step++) c->naive(&w, value((uint32_t)i, 10 + (uint32_t)h.step), s, &h);
    check_close(c, "w", STEPS, i, r.w[i], w);
    for (int k = 0; k < c->slots; k++) check_close(c, "slot", STEPS, i, r.slot[k][i], s[k]);
  }
  run_free(&r, n, c->slots);
}

static void test_naive(void **state) {
  (void)state;
  static const int64_t sizes[] = {0, 1, 2, 3, 7, 16, 33, 255, 16383, 16384, 16389};
  start_pool(2);
  for (size_t c = 0; c < CASES; c++)
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) check_against_naive(&optim_cases[c], sizes[s]);
  ml_pool_stop();
}

/* The same bits on 1, 2 and 3 threads and on every instruction set. */
static void check_same_bits(const optim_case *c) {
  const int64_t n = 3 * 16384 + 77;
  const size_t bytes = (size_t)n * sizeof(float);
  optim_run first = {0};
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (int threads = 1; threads <= 3; threads++) {
      start_pool(threads);
      optim_run r = run_new(n, c->slots);
      for (int64_t step = 1; step <= 4; step++) run_step(&r, c, n, step);
      if (!first.w) {
        first = r;
        continue;
      }
      assert_memory_equal(r.w, first.w, bytes);
      for (int s = 0; s < c->slots; s++) assert_memory_equal(r.slot[s], first.slot[s], bytes);
      run_free(&r, n, c->slots);
    }
  }
  run_free(&first, n, c->slots);
}

static void test_same_bits(void **state) {
  (void)state;
  for (size_t c = 0; c < CASES; c++) check_same_bits(&optim_cases[c]);
  ml_pool_stop();
}

static void assert_same_bits(const float *a, const float *b, int64_t n) {
  if (n > 0) assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

/* Parameters of many sizes, moved at once, have the bits that they have one by one. */
static void check_spans(const optim_case *c) {
  static int64_t sizes[] = {10, 16384, 0, 1, 40000, 16, 33, 16383};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  optim_run alone[COUNT], together[COUNT];
  ml_span spans[COUNT];
  ml_hyper h = c->h;
  h.step = 1;
  for (int i = 0; i < COUNT; i++) {
    alone[i] = run_new(sizes[i], c->slots);
    together[i] = run_new(sizes[i], c->slots);
    run_step(&alone[i], c, sizes[i], 1);
    memcpy(together[i].g, alone[i].g, (size_t)sizes[i] * sizeof(float));
    spans[i] = (ml_span){.w = together[i].w, .g = together[i].g, .n = sizes[i]};
    memcpy(spans[i].slot, together[i].slot, sizeof spans[i].slot);
  }
  ml_optimizer_step(ml_optimizer_find(c->optimizer), spans, COUNT, &h);
  for (int i = 0; i < COUNT; i++) {
    assert_same_bits(together[i].w, alone[i].w, sizes[i]);
    for (int s = 0; s < c->slots; s++) assert_same_bits(together[i].slot[s], alone[i].slot[s], sizes[i]);
    run_free(&alone[i], sizes[i], c->slots);
    run_free(&together[i], sizes[i], c->slots);
  }
}

static void test_spans_at_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    start_pool(threads);
    for (size_t c = 0; c < CASES; c++) check_spans(&optim_cases[c]);
    ml_optimizer_step(ml_optimizers[0], NULL, 0, &(ml_hyper){.step = 1});
  }
  ml_pool_stop();
}

/* An element's move depends on nothing around it: alone, it gives the bits that it gives in a span. */
static void test_span_same_bits(void **state) {
  (void)state;
  enum { N = 37 };
  start_pool(1);
  for (size_t c = 0; c < CASES; c++) {
    optim_run whole = run_new(N, optim_cases[c].slots);
    for (int64_t step = 1; step <= 3; step++) run_step(&whole, &optim_cases[c], N, step);
    const ml_optimizer *o = ml_optimizer_find(optim_cases[c].optimizer);
    for (uint32_t i = 0; i < N; i++) {
      float w = value(i, 1), state_of[ML_OPTIM_MAX_SLOTS] = {0};
      float *slot[ML_OPTIM_MAX_SLOTS] = {&state_of[0], &state_of[1], &state_of[2], &state_of[3]};
      ml_hyper h = optim_cases[c].h;
      for (h.step = 1; h.step <= 3; h.step++) {
        float g = value(i, 10 + (uint32_t)h.step);
        o->step(&w, &g, slot, 1, &h);
      }
      assert_memory_equal(&w, &whole.w[i], sizeof w);
    }
    run_free(&whole, N, optim_cases[c].slots);
  }
  ml_pool_stop();
}

/* Two steps worked out by hand: w = 2.385, gradients 0.731 and -0.284. */
static const struct hand_case {
  const char *optimizer;
  ml_hyper h;
  double after[2];
} hand_cases[] = {
    /* 2.385 - 0.1 0.731 = 2.3119;  + 0.1 0.284 = 2.3403 */
    {"SGD", {.lr = 0.1}, {2.3119, 2.3403}},
    /* d = 0.731 + 0.2 2.385 = 1.208;  d = -0.284 + 0.2 2.2642 = 0.16884 */
    {"SGD", {.lr = 0.1, .weight_decay = 0.2}, {2.2642, 2.247316}},
    /* b = 0.731, then 0.5 0.731 - 0.284 = 0.0815 */
    {"SGD", {.lr = 0.1, .momentum = 0.5}, {2.3119, 2.30375}},
    /* b = 0.731 in spite of dampening, then 0.5 0.731 - 0.25 0.284 = 0.2945 */
    {"SGD", {.lr = 0.1, .momentum = 0.5, .dampening = 0.75}, {2.3119, 2.28245}},
    /* u = 0.731 + 0.5 0.731 = 1.0965, then -0.284 + 0.5 0.0815 = -0.24325 */
    {"SGD", {.lr = 0.1, .momentum = 0.5, .nesterov = true}, {2.27535, 2.299675}},
    /* the first step is lr g / (|g| + eps); then m = 0.5 0.3655 - 0.5 0.284 = 0.04075 (/ 0.75),
     * v = 0.5 0.2671805 + 0.5 0.080656 = 0.17391825 (/ 0.75): 0.0543333 / 0.4815507 = 0.1128299 */
    {"Adam", {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5}, {2.285, 2.27371701}},
    /* eps is added to the root: 0.731 / (0.731 + 0.269) = 0.731;  0.0543333 / 0.7505507 = 0.0723913 */
    {"Adam", {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5, .eps = 0.269}, {2.3119, 2.30466087}},
    /* w is halved (1 - 0.1 5) before each step of 0.1 and 0.01128299 */
    {"AdamW", {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5, .weight_decay = 5}, {1.0925, 0.53496701}},
    /* v = 0.5 0.534361 = 0.2671805, its root 0.51689506: w - 0.1 1.41421356; v = 0.17391825, root 0.41703507 */
    {"RMSprop", {.lr = 0.1, .alpha = 0.5}, {2.24357864, 2.31167830}},
    /* 0.731 / 0.731; then 0.284 / sqrt(0.534361 + 0.080656) = 0.284 / 0.78423020 = 0.36213856 */
    {"Adagrad", {.lr = 0.1}, {2.285, 2.32121386}},
    /* the sign of g, then of 0.5 0.3655 - 0.5 0.284 */
    {"Lion", {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5}, {2.285, 2.185}},
    /* without averaging, x stays: z = 2.3119, y = 2.385 - 0.1 0.0731 = 2.37769; z = 2.3403 */
    {"SGDScheduleFree", {.lr = 0.1, .momentum = 0.9}, {2.37769, 2.38053}},
    /* with all weight on the last z it is SGD */
    {"SGDScheduleFree", {.lr = 0.1, .momentum = 0.9, .average_share = 1}, {2.3119, 2.3403}},
};

static void test_by_hand(void **state) {
  (void)state;
  static const float gradients[2] = {0.731f, -0.284f};
  for (size_t c = 0; c < sizeof hand_cases / sizeof hand_cases[0]; c++) {
    float w = 2.385f, first = 0, second = 0;
    float *slot[ML_OPTIM_MAX_SLOTS] = {&first, &second};
    ml_hyper h = hand_cases[c].h;
    for (h.step = 1; h.step <= 2; h.step++) {
      ml_optimizer_find(hand_cases[c].optimizer)->step(&w, &gradients[h.step - 1], slot, 1, &h);
      double want = hand_cases[c].after[h.step - 1];
      if (fabs(w - want) > 1e-6)
        fail_msg("row %zu, step %d: w is %.9g, expected %.9g", c, (int)h.step, (double)w, want);
    }
  }
}

/* The bias correction far into a run: beta2^step is neither lost nor below zero. */
static void test_late_step(void **state) {
  (void)state;
  float w = 2.385f, g = 0.5f, m = 0.5f, v = 0.25f;
  float *slot[] = {&m, &v};
  ml_hyper h = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 1000000000};
  ml_optimizer_find("Adam")->step(&w, &g, slot, 1, &h);
  assert_true(fabs(w - 2.285) < 1e-6);
}

static int rows_for(const char *optimizer) {
  int rows = 0;
  for (size_t c = 0; c < CASES; c++) rows += strcmp(optim_cases[c].optimizer, optimizer) == 0;
  return rows;
}

static void test_list(void **state) {
  (void)state;
  for (int i = 0; ml_optimizers[i]; i++) {
    const ml_optimizer *o = ml_optimizers[i];
    assert_ptr_equal(ml_optimizer_find(o->name), o);
    if (rows_for(o->name) == 0) fail_msg("optimizer %s has no row in the table of this test", o->name);
    if (i > 0) assert_true(strcmp(ml_optimizers[i - 1]->name, o->name) < 0);
  }
  assert_null(ml_optimizer_find("sgd"));
  assert_null(ml_optimizer_find(""));
}

static void test_slots(void **state) {
  (void)state;
  for (size_t c = 0; c < CASES; c++) {
    const ml_optimizer *o = ml_optimizer_find(optim_cases[c].optimizer);
    assert_non_null(o);
    assert_int_equal(o->slot_count(&optim_cases[c].h), optim_cases[c].slots);
    for (int s = 0; s < optim_cases[c].slots; s++) assert_non_null(o->slots[s]);
  }
  assert_string_equal(ml_optimizer_find("SGD")->slots[0], "momentum_buffer");
  assert_string_equal(ml_optimizer_find("AdamW")->slots[1], "exp_avg_sq");
  assert_null(ml_optimizer_find("AdamW")->slots[2]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list),           cmocka_unit_test(test_slots), cmocka_unit_test(test_by_hand),
      cmocka_unit_test(test_late_step),      cmocka_unit_test(test_naive), cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_span_same_bits),
      cmocka_unit_test(test_spans_at_once),
  };
  return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
