/* Batch and group norm, PReLU, noise and permute against the naive ones: odd shapes, with and without parameters and
 * ReLU, large offsets, poisoned outputs between guards; the same bits on any number of threads and instruction set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/naive.h"
#include "kernels/permute.h"
#include "kernels/prelu.h"
#include "kernels_aid.h"

/* One problem; `want` and the outputs lie in the order in which the kernels write them. */
typedef struct problem {
  ml_norm g;
  bool batch, constant;
  float *x, *dy, *w, *b, *want, *y, *work;
  int64_t moments;
} problem;

static int64_t elements(const problem *p) { return p->g.n * p->g.c * p->g.inner; }

static problem make(ml_norm g, bool batch, bool affine, uint32_t seed) {
  problem p = {.g = g, .batch = batch, .moments = batch ? g.c : g.n * g.groups};
  const int64_t total = elements(&p);
  p.x = kernels_random(total, seed);
  p.dy = kernels_random(total, seed + 1);
  p.w = kernels_random(g.c, seed + 2);
  p.b = kernels_random(g.c, seed + 3);
  p.y = kernels_random(total + 3 * p.moments, seed);
  p.want = kernels_random(total + 3 * p.moments + 2 * g.c, seed);
  p.work = kernels_random((int64_t)ml_group_norm_workspace(&g) + 16, seed);
  if (affine) {
    p.g.weight = p.w;
    p.g.bias = p.b;
  }
  return p;
}

static void destroy(problem *p) {
  float *const all[] = {p->x, p->dy, p->w, p->b, p->y, p->want, p->work};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ml_free(all[i]);
}

static void run_forward(float *out, void *ctx) {
  const problem *p = ctx;
  float *mean = out + elements(p), *rstd = mean + p->moments, *var = rstd + p->moments;
  if (p->batch) ml_batch_norm_forward(out, mean, rstd, var, p->x, &p->g, 1e-5);
  else ml_group_norm_forward(out, mean, rstd, p->x, &p->g, 1e-5);
}

static void check_forward(const float *got, void *ctx) {
  const problem *p = ctx;
  const int64_t total = elements(p);
  kernels_check_close(got, p->want, total, 3e-6, 3e-6, "y");
  kernels_check_close(got + total, p->want + total, (p->batch ? 3 : 2) * p->moments, 1e-6, 1e-7, "moments");
}

static void run_apply(float *out, void *ctx) {
  const problem *p = ctx;
  const float *mean = p->want + elements(p);
  ml_batch_norm_apply(out, p->x, mean, mean + p->moments, &p->g);
}

static void check_apply(const float *got, void *ctx) {
  const problem *p = ctx;
  kernels_check_close(got, p->y, elements(p), 3e-6, 3e-6, "y by given moments");
}

static void run_backward(float *out, void *ctx) {
  const problem *p = ctx;
  const int64_t total = elements(p);
  const float *mean = p->y + total, *rstd = mean + p->moments;
  float *dw = out + total, *db = dw + p->g.c;
  if (p->batch) ml_batch_norm_backward(out, dw, db, p->dy, p->x, mean, rstd, &p->g, p->constant);
  else ml_group_norm_backward(out, dw, db, p->dy, p->x, mean, rstd, &p->g, p->work);
}

static void check_backward(const float *got, void *ctx) {
  const problem *p = ctx;
  const int64_t total = elements(p);
  kernels_check_close(got, p->want, total, 1e-5, 1e-5, "dx");
  kernels_check_close(got + total, p->want + total, 2 * p->g.c, 1e-5, 3e-6 * sqrt((double)(total / p->g.c)), "dw, db");
}

static void naive_forward(problem *p, float *out) {
  float *mean = out + elements(p), *rstd = mean + p->moments, *var = rstd + p->moments;
  if (p->batch) ml_naive_batch_norm_forward(out, mean, rstd, var, p->x, &p->g, 1e-5);
  else ml_naive_group_norm_forward(out, mean, rstd, p->x, &p->g, 1e-5);
}

static void check(problem *p) {
  const int64_t total = elements(p);
  naive_forward(p, p->want);
  kernels_run_everywhere(run_forward, check_forward, p, total + (p->batch ? 3 : 2) * p->moments, true);
  if (p->batch) {
    ml_naive_batch_norm_apply(p->y, p->x, p->want + total, p->want + total + p->moments, &p->g);
    kernels_run_everywhere(run_apply, check_apply, p, total, true);
  }
  naive_forward(p, p->y);
  for (int constant = 0; constant <= (p->batch ? 1 : 0); constant++) {
    p->constant = constant;
    ml_naive_norm_backward(p->want, p->want + total, p->want + total + p->g.c, p->dy, p->x, p->y, p->y + total,
                           p->y + total + p->moments, &p->g, p->batch, p->constant);
    kernels_run_everywhere(run_backward, check_backward, p, total + 2 * p->g.c, true);
  }
}

static const ml_norm batches[] = {
    {.n = 2, .c = 1, .inner = 1},   {.n = 3, .c = 5, .inner = 1},   {.n = 17, .c = 33, .inner = 1},
    {.n = 8, .c = 32, .inner = 1},  {.n = 31, .c = 65, .inner = 1}, {.n = 1, .c = 3, .inner = 2},
    {.n = 2, .c = 3, .inner = 15},  {.n = 3, .c = 2, .inner = 16},  {.n = 2, .c = 9, .inner = 49},
    {.n = 5, .c = 3, .inner = 127}, {.n = 2, .c = 3, .inner = 145}, {.n = 1, .c = 2, .inner = 300},
};

static void test_batch_norm(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    for (int variant = 0; variant < 3; variant++) {
      ml_norm g = batches[i];
      g.groups = 1;
      g.relu = variant == 2;
      problem p = make(g, true, variant > 0, (uint32_t)(10 * i + 1));
      check(&p);
      destroy(&p);
    }
  }
}

static const ml_norm groups[] = {
    {.n = 1, .c = 1, .inner = 2, .groups = 1},    {.n = 3, .c = 6, .inner = 1, .groups = 2},
    {.n = 5, .c = 7, .inner = 1, .groups = 1},    {.n = 9, .c = 64, .inner = 1, .groups = 1},
    {.n = 2, .c = 145, .inner = 1, .groups = 1},  {.n = 3, .c = 4, .inner = 9, .groups = 2},
    {.n = 2, .c = 6, .inner = 49, .groups = 3},   {.n = 1, .c = 3, .inner = 130, .groups = 3},
    {.n = 70, .c = 4, .inner = 3, .groups = 1},   {.n = 70, .c = 12, .inner = 1, .groups = 3},
};

static void test_group_norm(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    for (int affine = 0; affine < 2; affine++) {
      problem p = make(groups[i], false, affine, (uint32_t)(10 * i + 7));
      check(&p);
      destroy(&p);
    }
  }
}

/* Large enough for several chunks and parts: the naive dx would take minutes, so only bits and moments are compared. */
static void test_large_problems(void **state) {
  (void)state;
  static const ml_norm large[] = {
      {.n = 600, .c = 3, .inner = 100, .groups = 1}, {.n = 64, .c = 20, .inner = 81, .groups = 4},
      {.n = 700, .c = 100, .inner = 1, .groups = 1}, {.n = 2, .c = 9, .inner = 20000, .groups = 3},
  };
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    for (int batch = 0; batch < 2; batch++) {
      problem p = make(large[i], batch, true, (uint32_t)i);
      run_forward(p.y, &p);
      for (int64_t k = 0; batch && k < p.g.c; k++) {
        double sum = 0.0;
        for (int64_t e = 0; e < elements(&p); e++)
          if (e / p.g.inner % p.g.c == k) sum += (double)p.x[e];
        assert_true(fabs(sum / (double)(p.g.n * p.g.inner) - (double)p.y[elements(&p) + k]) < 1e-6);
      }
      kernels_run_everywhere(run_forward, NULL, &p, elements(&p) + (batch ? 3 : 2) * p.moments, true);
      kernels_run_everywhere(run_backward, NULL, &p, elements(&p) + 2 * p.g.c, true);
      destroy(&p);
    }
  }
}

/* x around 1000 with a deviation of 0.01: squares in float, or sums not taken from the first value, would show. */
static void test_a_large_offset_costs_no_precision(void **state) {
  (void)state;
  enum { N = 64, C = 2, INNER = 49 };
  const ml_norm g = {.n = N, .c = C, .inner = INNER, .groups = 1};
  problem p = make(g, true, false, 3);
  for (int64_t i = 0; i < elements(&p); i++) p.x[i] = 1000.0f + 0.01f * p.x[i];
  naive_forward(&p, p.want);
  run_forward(p.y, &p);
  kernels_check_close(p.y + elements(&p), p.want + elements(&p), 3 * C, 1e-6, 0, "moments");
  destroy(&p);
}

static void test_gradients_that_are_not_wanted(void **state) {
  (void)state;
  const ml_norm shapes[] = {{.n = 4, .c = 6, .inner = 1, .groups = 2}, {.n = 4, .c = 6, .inner = 5, .groups = 2}};
  for (int i = 0; i < 2; i++) {
    for (int batch = 0; batch < 2; batch++) {
      problem p = make(shapes[i], batch, true, 5);
      const int64_t total = elements(&p);
      const float *mean = p.y + total, *rstd = mean + p.moments;
      float all[256], dw[6], db[6];
      run_forward(p.y, &p);
      run_backward(all, &p);
      if (batch) {
        ml_batch_norm_backward(p.want, NULL, NULL, p.dy, p.x, mean, rstd, &p.g, false);
        ml_batch_norm_backward(NULL, dw, db, p.dy, p.x, mean, rstd, &p.g, false);
      } else {
        ml_group_norm_backward(p.want, NULL, NULL, p.dy, p.x, mean, rstd, &p.g, p.work);
        ml_group_norm_backward(NULL, dw, db, p.dy, p.x, mean, rstd, &p.g, p.work);
      }
      kernels_check_equal(p.want, all, total, "dx alone");
      kernels_check_equal(dw, all + total, 6, "dw alone");
      kernels_check_equal(db, all + total + 6, 6, "db alone");
      destroy(&p);
    }
  }
}

static void test_nothing(void **state) {
  (void)state;
  const ml_norm none = {.n = 0, .c = 2, .inner = 3, .groups = 1}, empty = {.n = 3, .c = 0, .inner = 1, .groups = 1};
  float mean[2] = {0}, rstd[2] = {1, 1}, dw[2] = {NAN, NAN}, db[2] = {NAN, NAN};
  ml_batch_norm_apply(NULL, NULL, mean, rstd, &none);
  ml_batch_norm_backward(NULL, dw, db, NULL, NULL, mean, rstd, &none, true);
  assert_true(dw[0] == 0.0f && dw[1] == 0.0f && db[0] == 0.0f && db[1] == 0.0f);
  dw[0] = db[1] = NAN;
  ml_group_norm_forward(NULL, NULL, NULL, NULL, &none, 1e-5);
  ml_group_norm_backward(NULL, dw, db, NULL, NULL, NULL, NULL, &none, NULL);
  assert_true(dw[0] == 0.0f && dw[1] == 0.0f && db[0] == 0.0f && db[1] == 0.0f);
  ml_batch_norm_forward(NULL, NULL, NULL, NULL, NULL, &empty, 1e-5);
  ml_batch_norm_backward(NULL, NULL, NULL, NULL, NULL, NULL, NULL, &empty, false);
}

/* ---- PReLU ---- */

typedef struct bent {
  int64_t n, c, inner;
  float *x, *dy, *w, *want, *work;
} bent;

static void run_prelu(float *out, void *ctx) {
  const bent *p = ctx;
  const int64_t total = p->n * p->c * p->inner;
  ml_prelu(out, p->x, p->w, p->n, p->c, p->inner);
  ml_prelu_backward(out + total, out + 2 * total, p->dy, p->x, p->w, p->n, p->c, p->inner, p->work);
}

static void check_prelu(const float *got, void *ctx) {
  const bent *p = ctx;
  kernels_check_close(got, p->want, 2 * p->n * p->c * p->inner + p->c, 1e-6, 1e-6, "prelu");
}

static void test_prelu(void **state) {
  (void)state;
  static const int64_t shapes[][3] = {{1, 1, 1}, {5, 7, 1}, {3, 5, 9}, {2, 3, 50}, {100, 1, 784}, {90, 40, 30}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    bent p = {.n = shapes[i][0], .c = shapes[i][1], .inner = shapes[i][2]};
    const int64_t total = p.n * p.c * p.inner;
    p.x = kernels_random(total, 1);
    p.dy = kernels_random(total, 2);
    p.w = kernels_random(p.c, 3);
    p.want = kernels_random(2 * total + p.c, 4);
    p.work = kernels_random((int64_t)ml_prelu_workspace(p.n, p.c, p.inner), 5);
    ml_naive_prelu(p.want, p.x, p.w, p.n, p.c, p.inner);
    ml_naive_prelu_backward(p.want + total, p.want + 2 * total, p.dy, p.x, p.w, p.n, p.c, p.inner);
    kernels_run_everywhere(run_prelu, check_prelu, &p, 2 * total + p.c, true);
    float *const all[] = {p.x, p.dy, p.w, p.want, p.work};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) ml_free(all[k]);
  }
}

/* ---- noise ---- */

typedef struct noisy {
  int64_t n;
  float *x, *want;
} noisy;

static ml_rng noise_rng(void) {
  ml_rng rng = ml_rng_make(7, ML_STREAM_NOISE);
  rng.step = 3;
  return rng;
}

static void run_noise(float *out, void *ctx) {
  const noisy *p = ctx;
  ml_gaussian_noise(out, p->x, p->n, 0.3f, noise_rng());
}

static void check_noise(const float *got, void *ctx) {
  const noisy *p = ctx;
  kernels_check_equal(got, p->want, p->n, "noise");
}

static void test_gaussian_noise(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 3, 4, 63, 65, 1000, 4097, 40001};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    noisy p = {.n = sizes[i], .x = kernels_random(sizes[i], 1), .want = kernels_random(sizes[i], 2)};
    ml_naive_gaussian_noise(p.want, p.x, p.n, 0.3f, noise_rng());
    kernels_run_everywhere(run_noise, check_noise, &p, p.n, true);
    ml_free(p.x);
    ml_free(p.want);
  }
}

/* ---- permute ---- */

typedef struct permutation {
  int ndim;
  int64_t size[ML_PERMUTE_MAX_DIMS];
  int order[ML_PERMUTE_MAX_DIMS];
} permutation;

static const permutation permutations[] = {
    {0, {0}, {0}},
    {1, {5}, {0}},
    {2, {3, 7}, {1, 0}},
    {2, {3, 7}, {0, 1}},
    {3, {2, 3, 5}, {0, 2, 1}},
    {3, {2, 3, 5}, {2, 0, 1}},
    {3, {2, 3, 5}, {1, 0, 2}},
    {3, {1, 3, 1}, {2, 1, 0}},
    {4, {2, 3, 4, 5}, {3, 1, 2, 0}},
    {5, {2, 4, 3, 4, 3}, {0, 1, 3, 2, 4}},
    {6, {2, 3, 2, 3, 2, 3}, {5, 3, 1, 4, 2, 0}},
    {4, {17, 3, 28, 28}, {0, 2, 3, 1}},
    {2, {0, 3}, {1, 0}},
};

/* Element `at` of y: where it is in x. */
static int64_t source(const permutation *p, int64_t at) {
  int64_t place[ML_PERMUTE_MAX_DIMS] = {0}, from = 0;
  for (int d = p->ndim - 1; d >= 0; d--) {
    place[p->order[d]] = at % p->size[p->order[d]];
    at /= p->size[p->order[d]];
  }
  for (int d = 0; d < p->ndim; d++) from = from * p->size[d] + place[d];
  return from;
}

static void test_permute(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof permutations / sizeof *permutations; i++) {
    const permutation *p = &permutations[i];
    int64_t total = 1;
    for (int d = 0; d < p->ndim; d++) total *= p->size[d];
    float *x = kernels_random(total + 1, 1);
    kernels_guarded y = kernels_guard(total), b = kernels_guard((total + 3) / 4);
    ml_permute(y.x, x, sizeof *x, p->size, p->order, p->ndim);
    ml_permute(b.x, x, 1, p->size, p->order, p->ndim);
    for (int64_t e = 0; e < total; e++) {
      assert_true(y.x[e] == x[source(p, e)]);
      assert_int_equal(((const uint8_t *)b.x)[e], ((const uint8_t *)x)[source(p, e)]);
    }
    kernels_check_guards(&y);
    kernels_check_guards(&b);
    kernels_unguard(&y);
    kernels_unguard(&b);
    ml_free(x);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_batch_norm),
      cmocka_unit_test(test_group_norm),
      cmocka_unit_test(test_large_problems),
      cmocka_unit_test(test_a_large_offset_costs_no_precision),
      cmocka_unit_test(test_gradients_that_are_not_wanted),
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_prelu),
      cmocka_unit_test(test_gaussian_noise),
      cmocka_unit_test(test_permute),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
