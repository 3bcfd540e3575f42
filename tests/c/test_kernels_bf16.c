/* Matrix products in bf16 and bf16x3: the naive model's bits on every instruction set and number of threads, for odd
 * sizes, all layouts and special values; how far they are from the exact product; roundings; rows on their own. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels/precision.h"
#include "kernels_aid.h"

static const ml_precision precisions[] = {ML_PRECISION_BF16, ML_PRECISION_BF16X3};

typedef struct product {
  int64_t m, n, k, ldc;
  float *a_data, *b_data, *bias;
  ml_matrix a, b;
  ml_epilogue epilogue;
  ml_precision precision;
  kernels_guarded work;
} product;

static product make(int64_t m, int64_t n, int64_t k, kernels_layout la, kernels_layout lb) {
  product p = {.m = m, .n = n, .k = k, .ldc = n + 3};
  p.a_data = kernels_random(kernels_room(m, k), 1);
  p.b_data = kernels_random(kernels_room(k, n), 2);
  p.bias = kernels_random(n, 3);
  p.a = kernels_lay(p.a_data, m, k, la);
  p.b = kernels_lay(p.b_data, k, n, lb);
  p.epilogue = (ml_epilogue){.bias = p.bias, .relu = (m + n) % 2 == 0};
  p.work = kernels_guard((int64_t)ml_gemm_workspace(m, n, k));
  return p;
}

static void destroy(product *p) {
  ml_free(p->a_data);
  ml_free(p->b_data);
  ml_free(p->bias);
  kernels_unguard(&p->work);
  ml_precision_use(ML_PRECISION_F32);
}

static void run(float *c, void *ctx) {
  product *p = ctx;
  kernels_poison(&p->work);
  ml_gemm(c, p->ldc, p->a, p->b, p->epilogue, p->m, p->n, p->k, p->work.x);
  kernels_check_guards(&p->work);
}

static bool same(float x, float y) { return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y)); }

/* The naive product's bits; nothing is written between the rows, which are NaN. */
static void check_bits(const float *c, void *ctx) {
  const product *p = ctx;
  float *want = kernels_floats(p->m * p->ldc);
  for (int64_t i = 0; i < p->m * p->ldc; i++) want[i] = NAN;
  ml_naive_gemm_bf16(want, p->ldc, p->a, p->b, p->epilogue, p->m, p->n, p->k, p->precision == ML_PRECISION_BF16X3);
  for (int64_t i = 0; i < p->m * p->ldc; i++) {
    if (same(c[i], want[i])) continue;
    fail_msg("%s on %s, %lld x %lld x %lld: c[%lld, %lld] is %a, the model has %a", ml_precision_name(p->precision),
             ml_isa_name(ml_cpu_isa()), (long long)p->m, (long long)p->n, (long long)p->k, (long long)(i / p->ldc),
             (long long)(i % p->ldc), (double)c[i], (double)want[i]);
  }
  ml_free(want);
}

static void check_everywhere(product *p) {
  for (int i = 0; i < 2; i++) {
    p->precision = precisions[i];
    ml_precision_use(p->precision);
    kernels_run_everywhere(run, check_bits, p, p->m * p->ldc, true);
  }
  ml_precision_use(ML_PRECISION_F32);
}

/* Less and more than a tile, a step, a block and a stage in each direction. */
static void test_odd_sizes(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {
      {1, 1, 1},    {1, 40, 33},  {7, 33, 5},     {33, 7, 70},   {31, 65, 32},  {32, 32, 64}, {64, 64, 96},
      {65, 97, 31}, {12, 32, 1},  {100, 20, 330}, {40, 5, 1000}, {800, 3, 8},   {3, 1030, 8}, {64, 32, 700},
      {1, 2, 4001}, {130, 199, 64}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    product p = make(sizes[i][0], sizes[i][1], sizes[i][2], LAID_ROWS, LAID_COLUMNS);
    check_everywhere(&p);
    destroy(&p);
  }
}

static void test_layouts(void **state) {
  (void)state;
  for (int la = 0; la < LAYOUTS; la++) {
    for (int lb = 0; lb < LAYOUTS; lb++) {
      product p = make(37, 41, 67, (kernels_layout)la, (kernels_layout)lb);
      if (la == lb) p.epilogue = ML_NO_EPILOGUE;
      check_everywhere(&p);
      destroy(&p);
    }
  }
}

static void test_no_products(void **state) {
  (void)state;
  product p = make(5, 9, 0, LAID_ROWS, LAID_ROWS);
  check_everywhere(&p);
  p.m = 0;
  check_everywhere(&p);
  destroy(&p);
}

/* ---- special values ---- */

/* Every fourth element or so becomes one of the values. */
static void sprinkle(float *x, int64_t n, const float *values, int count, uint32_t seed) {
  float *dice = kernels_random(n, seed);
  for (int64_t i = 0; i < n; i++) {
    const int which = (int)((dice[i] + 1.0f) * 2.0f * (float)count);
    if (which < count) x[i] = values[which];
  }
  ml_free(dice);
}

static void check_values(const float *values, int count, float scale) {
  for (uint32_t seed = 10; seed < 14; seed++) {
    const kernels_layout la = seed < 12 ? LAID_ROWS : LAID_COLUMNS, lb = seed < 12 ? LAID_COLUMNS : LAID_ROWS;
    product p = make(45, 38, seed % 2 ? 3 : 40, la, lb);
    p.epilogue = ML_NO_EPILOGUE;
    for (int64_t i = 0; i < kernels_room(p.m, p.k); i++) p.a_data[i] *= scale;
    for (int64_t i = 0; i < kernels_room(p.k, p.n); i++) p.b_data[i] *= scale;
    sprinkle(p.a_data, kernels_room(p.m, p.k), values, count, seed);
    sprinkle(p.b_data, kernels_room(p.k, p.n), values, count, seed + 100);
    check_everywhere(&p);
    destroy(&p);
  }
}

static void test_special_values(void **state) {
  (void)state;
  static const float not_finite[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, FLT_MAX, -FLT_MAX};
  static const float large[] = {FLT_MAX, -FLT_MAX, 3.3895e38f, -3e38f, 1e20f, 0.0f, 1e-30f};
  static const float small[] = {1e-40f, -1e-45f, 0.0f, -0.0f, FLT_MIN, -FLT_MIN, 1.1754942e-38f, 0x1p-63f, -0x1p-63f,
                                0x1.fep-64f, 0x1p-76f, 0x1p-86f};
  check_values(not_finite, 8, 1.0f);
  check_values(large, 7, 1.0f);
  check_values(small, 12, 0x1p-62f);
  check_values(small, 12, 1.0f);
}

/* 2^-126 less a little: flushed or not as rounding without a least exponent decides. */
static void test_least_normal(void **state) {
  (void)state;
  static const float little[] = {0x1p-77f, 0x1p-76f, 0x1.02p-76f, 0x1.8p-76f, 0x1p-75f, 0x1.8p-75f, 0x1p-70f};
  product p = make(7, 2, 3, LAID_ROWS, LAID_ROWS);
  p.epilogue = ML_NO_EPILOGUE;
  for (int64_t i = 0; i < p.m; i++) memcpy(p.a_data + i * p.k, (float[]){0x1p-63f, 0.0f, little[i]}, 3 * sizeof(float));
  memcpy(p.b_data, (float[]){0x1p-63f, -0x1p-63f, 0.0f, 0.0f, -0x1p-75f, 0x1p-75f}, 6 * sizeof(float));
  check_everywhere(&p);
  destroy(&p);
}

/* ---- rounding ---- */

/* Every upper half of a float, each with two lower halves around the middle. */
enum { PATTERNS = 1 << 17 };

static float *patterns(void) {
  static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1234};
  float *x = kernels_floats(PATTERNS);
  for (uint32_t i = 0; i < PATTERNS; i++) {
    const uint32_t u = i / 2 << 16 | lower[(i * 2654435761u >> 8) % 7];
    memcpy(x + i, &u, sizeof u);
  }
  return x;
}

/* Products of one number with 1 are that number, rounded (but for the sign of 0). As A and as B, read along K and
 * across it. */
static void test_rounding(void **state) {
  (void)state;
  float *x = patterns(), *got = kernels_floats(PATTERNS), *want = kernels_floats(PATTERNS);
  float *work = kernels_floats((int64_t)ml_gemm_workspace(PATTERNS, 1, 1) + (int64_t)ml_gemm_workspace(1, PATTERNS, 1));
  const float one = 1.0f;
  const ml_matrix unit = {&one, 1, 1};
  assert_int_equal(ml_pool_start(2, NULL), ML_OK);
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (int way = 0; way < 8; way++) {
      const bool split = way & 1, as_b = way & 2;
      const ml_matrix column = {x, 1, way & 4 ? 9 : 1}, row = {x, column.col, 1};
      ml_precision_use(precisions[split]);
      if (as_b) {
        ml_gemm(got, PATTERNS, unit, row, ML_NO_EPILOGUE, 1, PATTERNS, 1, work);
      } else {
        ml_gemm(got, 1, column, unit, ML_NO_EPILOGUE, PATTERNS, 1, 1, work);
      }
      ml_naive_gemm_bf16(want, 1, column, unit, ML_NO_EPILOGUE, PATTERNS, 1, 1, split);
      for (int64_t i = 0; i < PATTERNS; i++) {
        if (!split && !isnan(x[i])) assert_true(want[i] == ml_naive_bf16(x[i]));
        if (!same(got[i], want[i])) {
          fail_msg("%s, way %d: %a becomes %a, expected %a", ml_isa_name((ml_isa)isa), way, (double)x[i],
                   (double)got[i], (double)want[i]);
        }
      }
    }
  }
  ml_pool_stop();
  ml_precision_use(ML_PRECISION_F32);
  ml_free(x);
  ml_free(got);
  ml_free(want);
  ml_free(work);
}

static void test_rounding_by_hand(void **state) {
  (void)state;
  static const float pairs[][2] = {
      {1.0f, 1.0f},           {0x1.01p0f, 1.0f},        {0x1.010002p0f, 0x1.02p0f}, {0x1.03p0f, 0x1.04p0f},
      {0x1.ffp0f, 0x1p1f},    {FLT_MAX, INFINITY},      {-FLT_MAX, -INFINITY},      {0x1.fefffep127f, 0x1.fep127f},
      {0x1p-127f, 0.0f},      {0x1p-126f, 0x1p-126f},   {0x1.fffffcp-127f, 0.0f},   {-3.14159f, -0x1.92p1f}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) assert_true(ml_naive_bf16(pairs[i][0]) == pairs[i][1]);
  assert_true(isnan(ml_naive_bf16(NAN)));
  assert_true(signbit(ml_naive_bf16(-0x1p-130f)));
}

/* ---- how exact ---- */

/* With u = 2^-8, rounding two operands to bf16 costs at most 2u + u^2 of sum |a| |b|; in bf16x3 they keep all but 2^-17
 * of themselves and the product of the low parts, at most 2^-16, is left out: 2^-15. The sums in f32 add (k + 4) 2^-24,
 * three times that in bf16x3. */
static void test_error_bounds(void **state) {
  (void)state;
  product p = make(40, 50, 300, LAID_COLUMNS, LAID_ROWS);
  p.ldc = p.n;
  p.epilogue = ML_NO_EPILOGUE;
  float *got = kernels_floats(p.m * p.n), *want = kernels_floats(p.m * p.n), *magnitude = kernels_floats(p.m * p.n);
  ml_naive_gemm(want, p.n, p.a, p.b, NULL, p.m, p.n, p.k);
  float *abs_a = kernels_absolute(p.a_data, kernels_room(p.m, p.k));
  float *abs_b = kernels_absolute(p.b_data, kernels_room(p.k, p.n));
  ml_naive_gemm(magnitude, p.n, (ml_matrix){abs_a, p.a.row, p.a.col}, (ml_matrix){abs_b, p.b.row, p.b.col}, NULL, p.m,
                p.n, p.k);
  for (int i = 0; i < 2; i++) {
    ml_precision_use(precisions[i]);
    const double sums = (double)(p.k + 4) * 0x1p-24 * (i ? 3 : 1), bound = (i ? 0x1p-15 : 0x1p-7 + 0x1p-16) + sums;
    run(got, &p);
    double total = 0.0, plain = 0.0;
    for (int64_t j = 0; j < p.m * p.n; j++) {
      const double error = fabs((double)got[j] - (double)want[j]);
      assert_true(error <= bound * (double)magnitude[j]);
      total += error;
      plain += (double)magnitude[j];
    }
    assert_true(total <= (i ? 0x1p-19 : 0x1p-10) * plain); /* on average roundings cancel */
  }
  ml_free(got);
  ml_free(want);
  ml_free(magnitude);
  ml_free(abs_a);
  ml_free(abs_b);
  destroy(&p);
}

/* ---- rows, and what is left behind ---- */

static void test_rows_are_independent(void **state) {
  (void)state;
  enum { M = 70, N = 45, K = 50 };
  static float all[M * N], alone[N];
  product p = make(M, N, K, LAID_COLUMNS, LAID_ROWS);
  p.ldc = N;
  assert_int_equal(ml_pool_start(2, NULL), ML_OK);
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (int precision = 0; precision < 2; precision++) {
      ml_precision_use(precisions[precision]);
      run(all, &p);
      for (int64_t i = 0; i < M; i++) {
        const ml_matrix row = {p.a_data + i * p.a.row, p.a.row, p.a.col};
        ml_gemm(alone, N, row, p.b, p.epilogue, 1, N, K, p.work.x);
        assert_memory_equal(alone, all + i * N, sizeof alone);
      }
    }
  }
  ml_pool_stop();
  destroy(&p);
}

/* Subnormals are zeros inside the products only. */
static void test_subnormals_live_on(void **state) {
  (void)state;
  static float c[4];
  static volatile float tiny = 0x1p-130f;
  const float bias[2] = {0x1p-130f, -0x1p-130f};
  product p = make(2, 2, 2, LAID_ROWS, LAID_ROWS);
  p.ldc = 2;
  p.epilogue = (ml_epilogue){.bias = bias};
  memset(p.a_data, 0, 4 * sizeof(float));
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    ml_precision_use(ML_PRECISION_BF16);
    run(c, &p);
    assert_true(tiny * 0.5f == 0x1p-131f);
    assert_true(c[0] == bias[0] && c[3] == bias[1]);
  }
  destroy(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_odd_sizes),
      cmocka_unit_test(test_layouts),
      cmocka_unit_test(test_no_products),
      cmocka_unit_test(test_special_values),
      cmocka_unit_test(test_least_normal),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_rounding_by_hand),
      cmocka_unit_test(test_error_bounds),
      cmocka_unit_test(test_rows_are_independent),
      cmocka_unit_test(test_subnormals_live_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
