/* The matrix product against the naive one: odd sizes, every transpose and stride, bias, poisoned outputs between
 * guards, no products, NaN and infinity; the same bits on any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

typedef struct product {
  int64_t m, n, k, ldc;
  ml_matrix a, b;
  const float *bias;
  kernels_guarded work;
  float *want, *magnitude; /* naive result; sum of |a| |b| + |bias| */
} product;

static void find_magnitude(product *p) {
  float *a = kernels_absolute(p->a.data, kernels_room(p->m, p->k));
  float *b = kernels_absolute(p->b.data, kernels_room(p->k, p->n));
  float *bias = p->bias ? kernels_absolute(p->bias, p->n) : NULL;
  const ml_matrix abs_a = {a, p->a.row, p->a.col}, abs_b = {b, p->b.row, p->b.col};
  ml_naive_gemm(p->magnitude, p->ldc, abs_a, abs_b, bias, p->m, p->n, p->k);
  ml_free(a);
  ml_free(b);
  ml_free(bias);
}

static product make(int64_t m, int64_t n, int64_t k, kernels_layout la, kernels_layout lb, bool with_bias,
                    int64_t gap) {
  product p = {.m = m, .n = n, .k = k, .ldc = n + gap};
  p.a = kernels_lay(kernels_random(kernels_room(m, k), 1), m, k, la);
  p.b = kernels_lay(kernels_random(kernels_room(k, n), 2), k, n, lb);
  p.bias = with_bias ? kernels_random(n, 3) : NULL;
  p.work = kernels_guard((int64_t)ml_gemm_workspace(m, n, k));
  p.want = kernels_floats(m * p.ldc);
  p.magnitude = kernels_floats(m * p.ldc);
  ml_naive_gemm(p.want, p.ldc, p.a, p.b, p.bias, m, n, k);
  find_magnitude(&p);
  return p;
}

static void destroy(product *p) {
  ml_free((void *)p->a.data);
  ml_free((void *)p->b.data);
  ml_free((void *)p->bias);
  kernels_unguard(&p->work);
  ml_free(p->want);
  ml_free(p->magnitude);
}

/* An epilogue against the same steps taken after a product without one. */
static void run_in_steps(float *c, void *ctx) {
  product *p = ctx;
  ml_gemm(c, p->ldc, p->a, p->b, ML_NO_EPILOGUE, p->m, p->n, p->k, p->work.x);
  for (int64_t i = 0; i < p->m; i++) {
    float *row = c + i * p->ldc;
    if (p->bias) ml_map_binary(row, row, p->bias, p->n, ML_ADD);
    ml_map_unary(row, row, p->n, ML_RELU, 0);
  }
}

static void run_relu(float *c, void *ctx) {
  const product *p = ctx;
  ml_gemm(c, p->ldc, p->a, p->b, (ml_epilogue){p->bias, true}, p->m, p->n, p->k, p->work.x);
  float *want = kernels_floats(p->m * p->ldc);
  run_in_steps(want, ctx);
  for (int64_t i = 0; i < p->m; i++)
    kernels_check_equal(c + i * p->ldc, want + i * p->ldc, p->n, "relu in the epilogue");
  ml_free(want);
}

/* Plain, cut along k, computed transposed, without products; a NaN in one row. */
static void test_relu_epilogue(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1}, {7, 33, 5}, {33, 7, 700}, {20, 100, 40}, {128, 96, 330}, {3, 40, 0}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int with_bias = 0; with_bias < 2; with_bias++) {
      product p = make(sizes[i][0], sizes[i][1], sizes[i][2], LAID_ROWS, LAID_COLUMNS, with_bias, 3);
      if (p.k > 0) ((float *)p.a.data)[(p.m - 1) * p.a.row] = NAN;
      kernels_run_everywhere(run_relu, NULL, &p, p.m * p.ldc, false);
      destroy(&p);
    }
  }
}

static void run(float *c, void *ctx) {
  product *p = ctx;
  kernels_poison(&p->work);
  ml_gemm(c, p->ldc, p->a, p->b, (ml_epilogue){.bias = p->bias}, p->m, p->n, p->k, p->work.x);
  kernels_check_guards(&p->work);
}

/* With u = 2^-24, a chain of k products, k additions, a bias and the reference's own rounding err by at most
 * (k + 3) u (sum of |a| |b| + |bias|). Roundings of random numbers cancel, so 16 u is demanded of any k. */
static void check(const float *c, void *ctx) {
  const product *p = ctx;
  const double bound = (p->k + 3 < 16 ? (double)(p->k + 3) : 16.0) * 0x1p-24;
  for (int64_t i = 0; i < p->m; i++) {
    for (int64_t j = 0; j < p->ldc; j++) {
      const int64_t at = i * p->ldc + j;
      const double got = (double)c[at], want = (double)p->want[at];
      if (j >= p->n) {
        if (!isnan(got)) fail_msg("c[%lld, %lld] lies between rows and was written", (long long)i, (long long)j);
      } else if (!(fabs(got - want) <= bound * (double)p->magnitude[at])) {
        fail_msg("%lld x %lld x %lld: c[%lld, %lld] is %.9g, expected %.9g", (long long)p->m, (long long)p->n,
                 (long long)p->k, (long long)i, (long long)j, got, want);
      }
    }
  }
}

static void try_product(int64_t m, int64_t n, int64_t k, kernels_layout la, kernels_layout lb, bool with_bias,
                        int64_t gap) {
  product p = make(m, n, k, la, lb, with_bias, gap);
  kernels_run_everywhere(run, check, &p, m * p.ldc, false);
  destroy(&p);
}

/* Every size meets every other in one place or another. */
static void test_odd_sizes(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 3, 5, 7, 15, 17, 31, 33, 63, 65, 100, 130};
  const int count = sizeof sizes / sizeof *sizes;
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < count; j++) {
      const int64_t k = sizes[(i * 5 + j * 3) % count];
      const int at = i * count + j;
      const kernels_layout la = (kernels_layout)(at % LAYOUTS), lb = (kernels_layout)(at / LAYOUTS % LAYOUTS);
      try_product(sizes[i], sizes[j], k, la, lb, at % 3 != 0, at % 4 == 1 ? 7 : 0);
    }
  }
}

static void test_layouts(void **state) {
  (void)state;
  for (int la = 0; la < LAYOUTS; la++) {
    for (int lb = 0; lb < LAYOUTS; lb++) try_product(37, 71, 49, (kernels_layout)la, (kernels_layout)lb, true, 3);
  }
}

/* Several blocks and stages along k, m and n, and the sizes of a real network. */
static void test_large(void **state) {
  (void)state;
  try_product(128, 512, 784, LAID_ROWS, LAID_COLUMNS, true, 0);
  try_product(512, 257, 128, LAID_COLUMNS, LAID_ROWS, false, 0);
  try_product(13, 33, 321, LAID_ROWS, LAID_ROWS, true, 1);
  try_product(6, 32, 1300, LAID_ROWS, LAID_COLUMNS, true, 0);
  try_product(10, 17, 3000, LAID_COLUMNS, LAID_ROWS, true, 0);
  try_product(1601, 3, 9, LAID_ROWS, LAID_COLUMNS, true, 0);
  try_product(5, 2100, 11, LAID_ROWS, LAID_ROWS, true, 0);
  try_product(800, 1100, 33, LAID_ROWS, LAID_COLUMNS, true, 2);
}

static void check_no_products(const float *c, void *ctx) {
  const product *p = ctx;
  for (int64_t i = 0; i < p->m * p->n; i++) assert_true(c[i] == (p->bias ? p->bias[i % p->n] : 0.0f));
}

static void test_no_products(void **state) {
  (void)state;
  for (int with_bias = 0; with_bias < 2; with_bias++) {
    product p = make(5, 19, 0, LAID_ROWS, LAID_ROWS, with_bias, 0);
    kernels_run_everywhere(run, check_no_products, &p, 5 * 19, true);
    destroy(&p);
  }
}

static void test_nothing_to_do(void **state) {
  (void)state;
  float c = 2.385f;
  ml_gemm(&c, 1, (ml_matrix){NULL, 1, 1}, (ml_matrix){NULL, 1, 1}, ML_NO_EPILOGUE, 0, 4, 3, NULL);
  ml_gemm(&c, 1, (ml_matrix){NULL, 1, 1}, (ml_matrix){NULL, 1, 1}, ML_NO_EPILOGUE, 4, 0, 3, NULL);
  assert_true(c == 2.385f);
  assert_int_equal(ml_gemm_workspace(0, 4, 3), 0);
}

static void check_kind(const float *c, void *ctx) {
  const product *p = ctx;
  for (int64_t i = 0; i < p->m * p->n; i++) {
    const float want = p->want[i];
    if (isnan(want) ? !isnan(c[i]) : (isinf(want) ? c[i] != want : !isfinite(c[i]))) {
      fail_msg("c[%lld, %lld] is %.9g, expected %.9g", (long long)(i / p->n), (long long)(i % p->n), (double)c[i],
               (double)want);
    }
  }
}

/* A NaN or infinity reaches its row or column and nothing else, in padded edge tiles and in each block of k. */
static void test_nan_and_infinity(void **state) {
  (void)state;
  static const float values[] = {NAN, INFINITY, -INFINITY};
  for (int v = 0; v < 3; v++) {
    for (int place = 0; place < 6; place++) {
      product p = make(29, 45, 350, LAID_ROWS, LAID_COLUMNS, true, 0);
      const int64_t at = place % 3 == 0 ? 3 : (place % 3 == 1 ? 177 : 349);
      if (place < 3) {
        ((float *)p.a.data)[28 * p.a.row + at * p.a.col] = values[v];
      } else {
        ((float *)p.b.data)[at * p.b.row + 44 * p.b.col] = values[v];
      }
      ml_naive_gemm(p.want, p.ldc, p.a, p.b, p.bias, p.m, p.n, p.k);
      kernels_run_everywhere(run, check_kind, &p, p.m * p.n, false);
      destroy(&p);
    }
  }
}

/* The product of a row does not depend on which rows are beside it. */
/* One row is computed the transposed way where b is a transposed weight, 67 rows are not: still the same bits. */
static void check_rows_alone(kernels_layout a, kernels_layout b) {
  product all = make(67, 40, 500, a, b, true, 0), one = make(1, 40, 500, LAID_ROWS, b, true, 0);
  kernels_guarded c = kernels_guard(67 * 40), row = kernels_guard(40);
  run(c.x, &all);
  for (int64_t i = 0; i < 67; i++) {
    float *x = (float *)one.a.data;
    for (int64_t p = 0; p < 500; p++) x[p] = all.a.data[i * all.a.row + p * all.a.col];
    run(row.x, &one);
    assert_memory_equal(row.x, c.x + i * 40, 40 * sizeof(float));
  }
  kernels_unguard(&c);
  kernels_unguard(&row);
  destroy(&all);
  destroy(&one);
}

static void test_rows_are_independent(void **state) {
  (void)state;
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (kernels_layout a = LAID_ROWS; a <= LAID_COLUMNS; a++) {
      check_rows_alone(a, LAID_ROWS);
      check_rows_alone(a, LAID_COLUMNS);
    }
  }
}

/* 12 MB, whatever the shape of the product: long, flat, thin, deep. */
static void test_workspace(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {
      {1, 1 << 19, 3},     {1 << 19, 1, 3},       {2, 300000, 1280},       {17, 30000, 5000},       {511, 1025, 1300},
      {640, 1000, 100000}, {1024, 512, 1 << 20}, {800, 801, 1279},        {100000, 100000, 9999},  {3, 3, 1 << 20},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const size_t floats = ml_gemm_workspace(sizes[i][0], sizes[i][1], sizes[i][2]);
    if (floats * sizeof(float) > 12u << 20)
      fail_msg("%lld x %lld x %lld: a workspace of %zu floats", (long long)sizes[i][0], (long long)sizes[i][1],
               (long long)sizes[i][2], floats);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_odd_sizes),     cmocka_unit_test(test_relu_epilogue),
      cmocka_unit_test(test_layouts),
      cmocka_unit_test(test_large),         cmocka_unit_test(test_no_products),
      cmocka_unit_test(test_nothing_to_do), cmocka_unit_test(test_nan_and_infinity),
      cmocka_unit_test(test_rows_are_independent), cmocka_unit_test(test_workspace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
