/* The few-row product against ml_gemm, which it must equal bit for bit on every instruction set: odd sizes, shares of
 * zeros, several blocks of inputs, epilogues, special values in x; weights that cannot be packed; the packed copy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/gemv.h"
#include "kernels_aid.h"

typedef struct product {
  int64_t m, n, k;
  float *x, *w, *bias;
  bool relu;
  kernels_guarded strips, work;
  float *want;
} product;

/* Every (one_in)-th element of x stays, the others are 0 or -0. */
static void thin_out(float *x, int64_t n, int one_in) {
  for (int64_t i = 0; i < n; i++)
    if (i * 7 % one_in != 0) x[i] = i % 2 ? 0.0f : -0.0f;
}

static product make(int64_t m, int64_t n, int64_t k, int one_in, bool with_bias, bool relu) {
  product p = {.m = m, .n = n, .k = k, .relu = relu};
  p.x = kernels_random(m * k, 1);
  p.w = kernels_random(n * k, 2);
  p.bias = with_bias ? kernels_random(n, 3) : NULL;
  p.strips = kernels_guard((int64_t)ml_gemv_floats(n, k));
  p.work = kernels_guard((int64_t)ml_gemm_workspace(m, n, k));
  p.want = kernels_floats(m * n);
  thin_out(p.x, m * k, one_in);
  return p;
}

static void destroy(product *p) {
  ml_free(p->x);
  ml_free(p->w);
  ml_free(p->bias);
  kernels_unguard(&p->strips);
  kernels_unguard(&p->work);
  ml_free(p->want);
}

static void run(float *y, void *ctx) {
  product *p = ctx;
  const ml_epilogue e = {p->bias, p->relu};
  kernels_poison(&p->strips);
  assert_true(ml_gemv_pack(p->strips.x, p->w, p->n, p->k));
  kernels_check_guards(&p->strips);
  ml_gemv(y, p->x, p->strips.x, e, p->m, p->n, p->k);
  ml_gemm(p->want, p->n, (ml_matrix){p->x, p->k, 1}, (ml_matrix){p->w, 1, p->k}, e, p->m, p->n, p->k, p->work.x);
  kernels_check_equal(y, p->want, p->m * p->n, "few rows");
}

static void try_product(int64_t m, int64_t n, int64_t k, int one_in, bool with_bias, bool relu) {
  product p = make(m, n, k, one_in, with_bias, relu);
  kernels_run_everywhere(run, NULL, &p, m * n, false);
  destroy(&p);
}

/* Strips whole and with few columns; one, two, three and many blocks, also where the last is shorter; more rows than
 * share a strip; enough work for several threads. */
static void test_sizes(void **state) {
  (void)state;
  static const int64_t outputs[] = {1, 10, 63, 64, 130, 257, 600}, inputs[] = {1, 3, 16, 17, 64, 320, 321, 643, 1300};
  static const int64_t rows[] = {1, 2, 4, 5};
  static const int one_in[] = {1, 2, 5, 1 << 20};
  int at = 0;
  for (size_t n = 0; n < sizeof outputs / sizeof *outputs; n++) {
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++, at++) {
      try_product(rows[at % 4], outputs[n], inputs[k], one_in[(at / 2 + at / 9) % 4], at % 3 != 0, at % 5 < 2);
    }
  }
}

/* The layers of a real network. */
static void test_network(void **state) {
  (void)state;
  static const int64_t sizes[] = {784, 512, 128, 64, 10};
  for (int i = 0; i < 4; i++) try_product(1, sizes[i + 1], sizes[i], i ? 2 : 5, true, i < 3);
}

/* NaN, infinities, subnormals and the greatest of floats among zeros; the row beside them stays clean. */
static void test_special_inputs(void **state) {
  (void)state;
  static const float values[] = {NAN, INFINITY, -INFINITY, 0x1p-149f, -0x1p-130f, 0x1.fffffep127f};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    product p = make(2, 70, 350, 5, true, i % 2);
    p.x[i * 50] = values[i];
    p.x[349] = values[i];
    kernels_run_everywhere(run, NULL, &p, 2 * 70, false);
    destroy(&p);
  }
}

static void pack_must_refuse(float *y, void *ctx) {
  product *p = ctx;
  assert_false(ml_gemv_pack(p->strips.x, p->w, p->n, p->k));
  kernels_check_guards(&p->strips);
  y[0] = 0.0f;
}

/* 0 times infinity is NaN, so a zero input could not be left out. */
static void test_unfit_weights(void **state) {
  (void)state;
  static const float values[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    product p = make(1, 70, 33, 1, false, false);
    p.w[(i + 1) * 70 * 33 / 3 - 1] = values[i];
    kernels_run_everywhere(pack_must_refuse, NULL, &p, 1, true);
    destroy(&p);
  }
}

/* strips[j / 256][p][j % 256] = w[j, p]. */
static void test_strips(void **state) {
  (void)state;
  product p = make(1, 300, 21, 1, false, false);
  assert_true(ml_gemv_pack(p.strips.x, p.w, p.n, p.k));
  for (int64_t j = 0; j < p.n; j++) {
    const float *strip = p.strips.x + j / 256 * 256 * p.k;
    for (int64_t i = 0; i < p.k; i++) assert_true(strip[i * (j < 256 ? 256 : 44) + j % 256] == p.w[j * p.k + i]);
  }
  destroy(&p);
}

static void test_floats(void **state) {
  (void)state;
  assert_true(ml_gemv_floats(10, 64) >= 10 * 64);
  assert_int_equal(ml_gemv_floats(0, 5), 0);
  assert_int_equal(ml_gemv_floats(5, 0), 0);
  assert_int_equal(ml_gemv_floats(INT64_MAX, 1), 0);
  assert_int_equal(ml_gemv_floats(INT64_MAX / 2, 3), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes),         cmocka_unit_test(test_network), cmocka_unit_test(test_special_inputs),
      cmocka_unit_test(test_unfit_weights), cmocka_unit_test(test_strips),  cmocka_unit_test(test_floats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
