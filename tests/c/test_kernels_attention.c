/* Attention against the naive one, forward and backward: odd shapes, tokens apart or side by side, causal, with
 * dropout, poisoned outputs between guards; the same bits on any number of threads, in bf16 on every instruction set,
 * too. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/naive.h"
#include "kernels/precision.h"
#include "kernels_aid.h"

/* One problem. q, k and v, and their gradients, have room for rows of g.row floats each. */
typedef struct problem {
  ml_attention g;
  float *q, *k, *v, *dy, *p, *work;
  float *want_y, *want_p;
  double *dq, *dk, *dv;
} problem;

static int64_t outputs(const problem *p) { return p->g.n * p->g.t * p->g.heads * p->g.width; }
static int64_t scores(const problem *p) { return p->g.n * p->g.heads * p->g.t * p->g.s; }
static int64_t queries(const problem *p) { return p->g.n * p->g.t * p->g.row; }
static int64_t keys(const problem *p) { return p->g.n * p->g.s * p->g.row; }

static double *zeros(int64_t n) {
  double *x = ml_alloc((size_t)(n + 1) * sizeof *x);
  assert_non_null(x);
  memset(x, 0, (size_t)(n + 1) * sizeof *x);
  return x;
}

static problem make(ml_attention g) {
  problem p = {.g = g};
  p.q = kernels_random(queries(&p) + 1, 1);
  p.k = kernels_random(keys(&p) + 1, 2);
  p.v = kernels_random(keys(&p) + 1, 3);
  p.dy = kernels_random(outputs(&p) + 1, 4);
  for (int64_t i = 0; i < queries(&p); i++) p.q[i] *= 6.0f;
  p.p = kernels_random(scores(&p) + 1, 5);
  p.want_y = kernels_random(outputs(&p) + 1, 6);
  p.want_p = kernels_random(scores(&p) + 1, 7);
  p.work = kernels_random((int64_t)ml_attention_workspace(&g) + 1, 8);
  p.dq = zeros(queries(&p));
  p.dk = zeros(keys(&p));
  p.dv = zeros(keys(&p));
  return p;
}

static void destroy(problem *p) {
  void *const all[] = {p->q, p->k, p->v, p->dy, p->p, p->work, p->want_y, p->want_p, p->dq, p->dk, p->dv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ml_free(all[i]);
}

/* y, then the softmax. */
static void run_forward(float *out, void *ctx) {
  const problem *p = ctx;
  ml_attention_forward(out, out + outputs(p), p->q, p->k, p->v, &p->g, p->work);
}

static void check_forward(const float *got, void *ctx) {
  const problem *p = ctx;
  kernels_check_close(got + outputs(p), p->want_p, scores(p), 1e-5, 1e-7, "p");
  kernels_check_close(got, p->want_y, outputs(p), 1e-5, 3e-6, "y");
}

/* dq, dk, dv. Where rows are further apart than a head's features there are gaps, which keep their poison. */
static void run_backward(float *out, void *ctx) {
  const problem *p = ctx;
  ml_attention_backward(out, out + queries(p), out + queries(p) + keys(p), p->dy, p->q, p->k, p->v, p->p, &p->g,
                        p->work);
}

static void check_gradient(const float *got, const double *want, int64_t n, const ml_attention *g, const char *what) {
  const int64_t width = g->heads * g->width;
  for (int64_t i = 0; i < n; i++) {
    const bool gap = i % g->row >= width;
    if (gap ? !isnan(got[i]) : !(fabs((double)got[i] - want[i]) <= 2e-5 + 2e-5 * fabs(want[i])))
      fail_msg("%s, element %lld: expected %.9g, found %.9g", what, (long long)i, want[i], (double)got[i]);
  }
}

static void check_backward(const float *got, void *ctx) {
  const problem *p = ctx;
  check_gradient(got, p->dq, queries(p), &p->g, "dq");
  check_gradient(got + queries(p), p->dk, keys(p), &p->g, "dk");
  check_gradient(got + queries(p) + keys(p), p->dv, keys(p), &p->g, "dv");
}

/* n, heads, width, t, s, row, causal, dropout */
static const ml_attention problems[] = {
    {1, 1, 1, 1, 1, 1, false, 0.0f, {0}},    {2, 3, 5, 7, 7, 15, false, 0.0f, {0}},
    {2, 3, 5, 7, 11, 15, false, 0.0f, {0}},  {3, 2, 4, 9, 5, 8, true, 0.0f, {0}},
    {3, 2, 4, 5, 9, 8, true, 0.0f, {0}},     {5, 4, 16, 17, 17, 192, false, 0.0f, {0}},
    {2, 2, 8, 33, 33, 16, true, 0.25f, {0}}, {7, 2, 3, 5, 6, 9, false, 0.5f, {0}},
    {1, 1, 40, 65, 130, 40, true, 0.0f, {0}},
};

static ml_attention problem_of(size_t i) {
  ml_attention g = problems[i];
  g.rng = ml_rng_make(7, ML_STREAM_DROPOUT);
  g.rng.step = 3;
  return g;
}

static void test_is_the_naive_one(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
    problem p = make(problem_of(i));
    ml_naive_attention_forward(p.want_y, p.want_p, p.q, p.k, p.v, &p.g);
    kernels_run_everywhere(run_forward, check_forward, &p, outputs(&p) + scores(&p), false);
    memcpy(p.p, p.want_p, (size_t)scores(&p) * sizeof *p.p);
    ml_naive_attention_backward(p.dq, p.dk, p.dv, p.dy, p.q, p.k, p.v, p.p, &p.g);
    kernels_run_everywhere(run_backward, check_backward, &p, queries(&p) + 2 * keys(&p), false);
    destroy(&p);
  }
}

static void test_many_chunks_and_bf16_give_the_same_bits(void **state) {
  (void)state;
  const ml_attention g = {150, 2, 8, 13, 13, 48, false, 0.2f, {.seed = 3, .stream = ML_STREAM_DROPOUT}};
  const ml_precision before = ml_precision_in_use();
  for (int bf16 = 0; bf16 < 2; bf16++) {
    problem p = make(g);
    ml_precision_use(bf16 ? ML_PRECISION_BF16 : ML_PRECISION_F32);
    ml_attention_forward(p.want_y, p.p, p.q, p.k, p.v, &p.g, p.work);
    kernels_run_everywhere(run_forward, NULL, &p, outputs(&p) + scores(&p), bf16);
    kernels_run_everywhere(run_backward, NULL, &p, queries(&p) + 2 * keys(&p), bf16);
    destroy(&p);
  }
  ml_precision_use(before);
}

static void test_a_sample_does_not_depend_on_the_others(void **state) {
  (void)state;
  problem all = make(problem_of(5)), last = all;
  const int64_t before = all.g.n - 1;
  last.g.n = 1;
  last.q += before * queries(&last);
  last.k += before * keys(&last);
  last.v += before * keys(&last);
  ml_attention_forward(all.want_y, all.want_p, all.q, all.k, all.v, &all.g, all.work);
  kernels_guarded y = kernels_guard(outputs(&last));
  ml_attention_forward(y.x, all.p, last.q, last.k, last.v, &last.g, all.work);
  kernels_check_equal(y.x, all.want_y + before * outputs(&last), y.n, "y of the last sample");
  kernels_unguard(&y);
  destroy(&all);
}

/* With NaN in the last key and value, only the last token of a causal sequence has it. */
static void test_later_tokens_are_hidden(void **state) {
  (void)state;
  const ml_attention g = {.n = 1, .heads = 2, .width = 3, .t = 6, .s = 6, .row = 6, .causal = true};
  problem p = make(g);
  ml_attention_forward(p.want_y, p.want_p, p.q, p.k, p.v, &p.g, p.work);
  for (int64_t f = 0; f < g.row; f++) p.k[5 * g.row + f] = NAN;
  ml_attention_forward(p.dy, p.p, p.q, p.k, p.v, &p.g, p.work);
  kernels_check_equal(p.dy, p.want_y, 5 * g.row, "the first five tokens");
  for (int64_t f = 0; f < g.row; f++) assert_true(isnan(p.dy[5 * g.row + f]));
  destroy(&p);
}

static void test_gradients_that_are_not_wanted(void **state) {
  (void)state;
  problem p = make(problem_of(6));
  const int64_t q = queries(&p), k = keys(&p);
  kernels_guarded all = kernels_guard(q + 2 * k), one = kernels_guard(q + 2 * k);
  ml_attention_forward(p.want_y, p.p, p.q, p.k, p.v, &p.g, p.work);
  run_backward(all.x, &p);
  ml_attention_backward(one.x, NULL, NULL, p.dy, p.q, p.k, p.v, p.p, &p.g, p.work);
  ml_attention_backward(NULL, one.x + q, NULL, p.dy, p.q, p.k, p.v, p.p, &p.g, p.work);
  ml_attention_backward(NULL, NULL, one.x + q + k, p.dy, p.q, p.k, p.v, p.p, &p.g, p.work);
  kernels_check_equal(one.x, all.x, all.n, "gradients one by one");
  kernels_check_guards(&one);
  kernels_unguard(&all);
  kernels_unguard(&one);
  destroy(&p);
}

static void test_nothing(void **state) {
  (void)state;
  const ml_attention empty = {.n = 0, .heads = 2, .width = 3, .t = 4, .s = 4, .row = 6};
  ml_attention_forward(NULL, NULL, NULL, NULL, NULL, &empty, NULL);
  ml_attention_backward(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, &empty, NULL);
  assert_int_equal(ml_attention_workspace(&empty), 0);
  const ml_attention unasked = {.n = 1, .heads = 2, .width = 3, .t = 0, .s = 4, .row = 6};
  problem p = make(unasked);
  float dk[24], dv[24];
  for (int i = 0; i < 24; i++) dk[i] = dv[i] = NAN;
  ml_attention_backward(NULL, dk, dv, p.dy, p.q, p.k, p.v, p.p, &p.g, p.work);
  for (int i = 0; i < 24; i++) assert_true(dk[i] == 0.0f && dv[i] == 0.0f);
  destroy(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_is_the_naive_one),
      cmocka_unit_test(test_many_chunks_and_bf16_give_the_same_bits),
      cmocka_unit_test(test_a_sample_does_not_depend_on_the_others),
      cmocka_unit_test(test_later_tokens_are_hidden),
      cmocka_unit_test(test_gradients_that_are_not_wanted),
      cmocka_unit_test(test_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
