/* Recurrent layers through time against the naive ones: every cell, both directions, odd sizes, one sample and many,
 * poisoned outputs between guards; the same bits on any number of threads, and for a sample alone as among others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

/* `in` holds a in the gates' places; outputs are gates, h and cells, one after the other. */
typedef struct problem {
  ml_recurrent g;
  bool last;
  int64_t gates, states; /* floats of the kept gates; of h, and of an LSTM's cells */
  float *in, *w, *b, *dh, *forward, *want, *work;
} problem;

static int64_t cell_floats(const problem *p) { return p->g.cell == ML_CELL_LSTM ? p->states : 0; }

static problem make(ml_recurrent g, uint32_t seed) {
  problem p = {.g = g, .states = g.n * g.steps * g.hidden};
  p.gates = p.states * ml_recurrent_blocks(g.cell);
  p.in = kernels_random(p.gates, seed);
  p.w = kernels_random(ml_recurrent_gates(g.cell) * g.hidden * g.hidden, seed + 1);
  p.b = kernels_random(g.hidden, seed + 2);
  p.dh = kernels_random(p.states, seed + 3);
  p.forward = kernels_random(p.gates + 2 * p.states, seed);
  p.want = kernels_random(p.gates + 2 * p.states, seed);
  p.work = kernels_floats((int64_t)ml_recurrent_workspace(&g));
  return p;
}

static void destroy(problem *p) {
  float *const all[] = {p->in, p->w, p->b, p->dh, p->forward, p->want, p->work};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ml_free(all[i]);
}

static void run_forward(float *out, void *ctx) {
  const problem *p = ctx;
  float *h = out + p->gates;
  memcpy(out, p->in, (size_t)p->gates * sizeof *out);
  ml_recurrent_forward(h, out, h + p->states, p->w, p->b, &p->g, p->work);
}

/* Errors grow from step to step. */
static void check_forward(const float *got, void *ctx) {
  const problem *p = ctx;
  kernels_check_close(got, p->want, p->gates + p->states + cell_floats(p), 2e-5, 2e-5, "gates, h, cells");
}

static void run_backward(float *out, void *ctx) {
  const problem *p = ctx;
  const float *h = p->forward + p->gates;
  memcpy(out, p->forward, (size_t)p->gates * sizeof *out);
  ml_recurrent_backward(out, h, h + p->states, p->dh, p->last, p->w, &p->g, p->work);
}

static void check_backward(const float *got, void *ctx) {
  const problem *p = ctx;
  kernels_check_close(got, p->want, p->gates, 2e-5, 2e-5, "gradients of the gates");
}

static void check(problem *p) {
  float *h = p->forward + p->gates, *cells = h + p->states;
  double *state = ml_alloc((size_t)(2 * p->g.hidden) * sizeof *state);
  memcpy(p->want, p->in, (size_t)p->gates * sizeof *p->want);
  ml_naive_recurrent_forward(p->want + p->gates, p->want, p->want + p->gates + p->states, p->w, p->b, &p->g);
  kernels_run_everywhere(run_forward, check_forward, p, p->gates + p->states + cell_floats(p), false);
  memcpy(p->forward, p->want, (size_t)(p->gates + 2 * p->states) * sizeof *p->want);
  for (int last = 0; last < 2; last++) {
    p->last = last;
    memcpy(p->want, p->forward, (size_t)p->gates * sizeof *p->want);
    ml_naive_recurrent_backward(p->want, h, p->g.cell == ML_CELL_LSTM ? cells : NULL, p->dh, p->last, p->w, &p->g,
                                state);
    kernels_run_everywhere(run_backward, check_backward, p, p->gates, false);
  }
  ml_free(state);
}

/* n, steps, hidden: around groups, tiles and vectors. */
static const int64_t sizes[][3] = {{1, 1, 1},  {1, 7, 5},  {3, 5, 17},  {7, 3, 33}, {12, 4, 16},
                                   {25, 3, 9}, {2, 2, 81}, {131, 2, 7}, {30, 3, 32}};

static void test_cells(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int cell = ML_CELL_TANH; cell <= ML_CELL_GRU; cell++) {
      for (int reverse = 0; reverse < 2; reverse++) {
        const ml_recurrent g = {(ml_cell)cell, sizes[i][0], sizes[i][1], sizes[i][2], reverse};
        problem p = make(g, (uint32_t)(10 * i + 3));
        if (cell == ML_CELL_RELU) /* states that grow would leave no digits to compare */
          for (int64_t k = 0; k < g.hidden * g.hidden; k++) p.w[k] *= 1.0f / (float)g.hidden;
        check(&p);
        destroy(&p);
      }
    }
  }
}

/* Products along more than one block. */
static void test_many_units(void **state) {
  (void)state;
  problem p = make((ml_recurrent){ML_CELL_TANH, 2, 2, 345, false}, 5);
  for (int64_t k = 0; k < 345 * 345; k++) p.w[k] *= 0.1f;
  check(&p);
  destroy(&p);
}

static void test_a_sample_does_not_depend_on_the_others(void **state) {
  (void)state;
  problem all = make((ml_recurrent){ML_CELL_LSTM, 29, 4, 19, false}, 11), one = make((ml_recurrent){ML_CELL_LSTM, 1, 4,
                                                                                                   19, false}, 11);
  const int64_t sample = 26;
  memcpy(one.in, all.in + sample * one.gates, (size_t)one.gates * sizeof *one.in);
  memcpy(one.w, all.w, sizeof(float) * 4 * 19 * 19);
  memcpy(one.dh, all.dh + sample * one.states, (size_t)one.states * sizeof *one.dh);
  run_forward(all.forward, &all);
  run_forward(one.forward, &one);
  assert_memory_equal(all.forward + all.gates + sample * one.states, one.forward + one.gates,
                      (size_t)one.states * sizeof(float));
  run_backward(all.want, &all);
  run_backward(one.want, &one);
  assert_memory_equal(all.want + sample * one.gates, one.want, (size_t)one.gates * sizeof(float));
  destroy(&all);
  destroy(&one);
}

static void test_pairs(void **state) {
  (void)state;
  const float x[] = {1, 2, 3, 4, 5, 6}, h[] = {10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61};
  const float forwards[] = {1, 0, 0, 2, 10, 11, 3, 20, 21, 4, 0, 0, 5, 40, 41, 6, 50, 51};
  const float backwards[] = {1, 20, 21, 2, 30, 31, 3, 0, 0, 4, 50, 51, 5, 60, 61, 6, 0, 0};
  float pairs[18];
  ml_recurrent g = {ML_CELL_GRU, 2, 3, 2, false};
  ml_recurrent_pairs(pairs, x, 1, h, &g);
  assert_memory_equal(pairs, forwards, sizeof pairs);
  g.reverse = true;
  ml_recurrent_pairs(pairs, x, 1, h, &g);
  assert_memory_equal(pairs, backwards, sizeof pairs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cells),
      cmocka_unit_test(test_many_units),
      cmocka_unit_test(test_a_sample_does_not_depend_on_the_others),
      cmocka_unit_test(test_pairs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
