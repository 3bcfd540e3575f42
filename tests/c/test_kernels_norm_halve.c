/* Batch norm with max pooling by 2x2 windows at once: the bits of the two steps one after the other, on odd sizes, with
 * and without ReLU, on any number of threads and every instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/norm.h"
#include "kernels/pooling.h"
#include "kernels_aid.h"

typedef struct problem {
  ml_norm g;
  ml_pooling2d pooling;
  float *x, *dy, *w, *b;
} problem;

/* What both ways write, one after the other: y, y by given moments, dx, then what has a float per channel. */
typedef struct outputs {
  float *y, *again, *dx, *mean, *rstd, *var, *dw, *db;
} outputs;

static int64_t x_count(const problem *p) { return p->g.n * p->g.c * p->g.inner; }
static int64_t y_count(const problem *p) {
  return p->pooling.planes * (p->pooling.h / 2) * (p->pooling.w / 2);
}
static int64_t out_count(const problem *p) { return 2 * y_count(p) + x_count(p) + 5 * p->g.c; }

static outputs split(float *out, const problem *p) {
  const int64_t c = p->g.c;
  float *dx = out + 2 * y_count(p), *mean = dx + x_count(p);
  return (outputs){.y = out, .again = out + y_count(p), .dx = dx, .mean = mean, .rstd = mean + c, .var = mean + 2 * c,
                   .dw = mean + 3 * c, .db = mean + 4 * c};
}

static int32_t *new_index(const problem *p) {
  int32_t *index = ml_alloc((size_t)(y_count(p) + 1) * sizeof *index);
  assert_non_null(index);
  index[y_count(p)] = 2385;
  return index;
}

static void run_at_once(float *out, void *ctx) {
  const problem *p = ctx;
  const outputs o = split(out, p);
  ml_norm g = p->g;
  int32_t *index = new_index(p);
  g.halving = &(ml_norm_halving){.h = p->pooling.h, .w = p->pooling.w, .index = index};
  ml_batch_norm_forward(o.y, o.mean, o.rstd, o.var, p->x, &g, 1e-5);
  ml_batch_norm_apply(o.again, p->x, o.mean, o.rstd, &g);
  ml_batch_norm_backward(o.dx, o.dw, o.db, p->dy, p->x, o.mean, o.rstd, &g, false);
  assert_int_equal(index[y_count(p)], 2385);
  ml_free(index);
}

static void run_in_steps(float *out, const problem *p) {
  const outputs o = split(out, p);
  int32_t *index = new_index(p);
  float *between = kernels_random(x_count(p), 1);
  ml_batch_norm_forward(between, o.mean, o.rstd, o.var, p->x, &p->g, 1e-5);
  ml_maxpool2d_forward(o.y, index, between, &p->pooling);
  ml_maxpool2d_forward(o.again, NULL, between, &p->pooling);
  ml_maxpool2d_dx(between, p->dy, index, &p->pooling);
  ml_batch_norm_backward(o.dx, o.dw, o.db, between, p->x, o.mean, o.rstd, &p->g, false);
  ml_free(between);
  ml_free(index);
}

static void check(const float *got, void *ctx) {
  const problem *p = ctx;
  float *want = kernels_random(out_count(p), 1);
  run_in_steps(want, p);
  assert_memory_equal(got, want, (size_t)out_count(p) * sizeof *got);
  ml_free(want);
}

static void try_sizes(int64_t n, int64_t c, int64_t h, int64_t w, bool relu) {
  problem p = {.g = {.n = n, .c = c, .inner = h * w, .groups = 1, .relu = relu},
               .pooling = {n * c, h, w, 2, 2, 2, 2, 0, 0, 0, 0}};
  p.x = kernels_random(x_count(&p), 2);
  p.dy = kernels_random(y_count(&p), 3);
  p.g.weight = p.w = kernels_random(c, 4);
  p.g.bias = p.b = kernels_random(c, 5);
  kernels_run_everywhere(run_at_once, check, &p, out_count(&p), true);
  float *const all[] = {p.x, p.dy, p.w, p.b};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ml_free(all[i]);
}

static void test_at_once_and_in_steps(void **state) {
  (void)state;
  static const int64_t sizes[][4] = {{3, 5, 28, 28}, {2, 37, 7, 7},  {70, 3, 14, 14}, {2, 3, 2, 3},
                                     {1, 2, 64, 64}, {5, 130, 3, 2}, {2, 1, 31, 33}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int relu = 0; relu < 2; relu++) try_sizes(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], relu);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_once_and_in_steps)};
  return cmocka_run_group_tests_name("kernels: batch norm and pooling at once", tests, NULL, NULL);
}
