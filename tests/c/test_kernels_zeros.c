/* The matrix product with many zeros in an operand, on every instruction set: against the naive one, and bit for bit
 * against its rows one by one, for which zeros are not looked for; what is not finite in the other operand; the lists
 * of products and the choice of whether there are any. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/gemm_zeros.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

typedef enum operand { A, B } operand;

typedef struct product {
  int64_t m, n, k;
  ml_matrix a, b;
  float *bias;
  kernels_guarded work, row_work;
  float *want;
} product;

/* As in a picture, zeros lie together: outside of a disc of (rows, cols) everything is 0 or -0, inside one in 50. */
static void thin_out(ml_matrix x, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) {
      const double u = 2.0 * (double)i / (double)rows - 1.0, v = 2.0 * (double)j / (double)cols - 1.0;
      float *at = (float *)x.data + i * x.row + j * x.col;
      if (u * u + v * v > 0.7 || (i * 7 + j * 11) % 50 == 0) *at = (i + j) % 2 ? 0.0f : -0.0f;
    }
  }
}

static product make(int64_t m, int64_t n, int64_t k, kernels_layout la, kernels_layout lb, operand sparse) {
  product p = {.m = m, .n = n, .k = k, .bias = kernels_random(n, 3)};
  p.a = kernels_lay(kernels_random(kernels_room(m, k), 1), m, k, la);
  p.b = kernels_lay(kernels_random(kernels_room(k, n), 2), k, n, lb);
  thin_out(sparse == A ? p.a : p.b, sparse == A ? m : k, sparse == A ? k : n);
  p.work = kernels_guard((int64_t)ml_gemm_workspace(m, n, k));
  p.row_work = kernels_guard((int64_t)ml_gemm_workspace(1, n, k));
  p.want = kernels_floats(m * n);
  return p;
}

static void destroy(product *p) {
  ml_free((void *)p->a.data);
  ml_free((void *)p->b.data);
  ml_free(p->bias);
  ml_free(p->want);
  kernels_unguard(&p->work);
  kernels_unguard(&p->row_work);
}

static void run(float *c, void *ctx) {
  product *p = ctx;
  kernels_poison(&p->work);
  ml_gemm(c, p->n, p->a, p->b, (ml_epilogue){.bias = p->bias}, p->m, p->n, p->k, p->work.x);
  kernels_check_guards(&p->work);
}

/* NaN where that is NaN. */
static void check_near_naive(const float *c, void *ctx) {
  const product *p = ctx;
  kernels_check_close(c, p->want, p->m * p->n, 0x1p-20, 0x1p-15, "the naive product");
}

static void check_rows_alone(const float *c, void *ctx) {
  product *p = ctx;
  float *row = kernels_floats(p->n);
  check_near_naive(c, ctx);
  for (int64_t i = 0; i < p->m; i += 1 + p->m / 40) {
    const ml_matrix a = {p->a.data + i * p->a.row, p->a.row, p->a.col};
    ml_gemm(row, p->n, a, p->b, (ml_epilogue){.bias = p->bias}, 1, p->n, p->k, p->row_work.x);
    kernels_check_equal(c + i * p->n, row, p->n, "a row among others");
  }
  ml_free(row);
}

static void try_product(int64_t m, int64_t n, int64_t k, kernels_layout la, kernels_layout lb, operand sparse) {
  product p = make(m, n, k, la, lb, sparse);
  ml_naive_gemm(p.want, n, p.a, p.b, p.bias, m, n, k);
  kernels_run_everywhere(run, check_rows_alone, &p, m * n, false);
  destroy(&p);
}

/* The three products of a layer, with odd sizes too: read in place, packed, computed transposed; several stages. */
static void test_products(void **state) {
  (void)state;
  for (operand sparse = A; sparse <= B; sparse++) {
    try_product(128, 512, 784, LAID_ROWS, LAID_COLUMNS, sparse);
    try_product(130, 137, 385, LAID_ROWS, LAID_COLUMNS, sparse);
    try_product(257, 101, 333, LAID_ROWS, LAID_COLUMNS, sparse);
    try_product(97, 391, 131, LAID_COLUMNS, LAID_ROWS, sparse);
    try_product(391, 97, 131, LAID_COLUMNS, LAID_ROWS, sparse);
    try_product(101, 203, 1400, LAID_ROWS, LAID_ROWS, sparse);
    try_product(803, 1100, 33, LAID_ROWS, LAID_COLUMNS, sparse);
  }
}

/* Whatever else lies between the elements. */
static void test_gaps(void **state) {
  (void)state;
  for (int la = 0; la < LAYOUTS; la++) {
    for (int lb = 0; lb < LAYOUTS; lb++) {
      try_product(130, 127, 300, (kernels_layout)la, (kernels_layout)lb, la % 2 ? A : B);
    }
  }
}

/* 0 times infinity is NaN: then zeros may not be left out. A NaN among the zeros stays one. */
static void test_nan_and_infinity(void **state) {
  (void)state;
  static const float values[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    for (operand sparse = A; sparse <= B; sparse++) {
      for (operand odd = A; odd <= B; odd++) {
        product p = make(128, 130, 300, LAID_ROWS, LAID_COLUMNS, sparse);
        float *x = (float *)(odd == A ? p.a.data : p.b.data);
        x[0] = values[i]; /* in the corner, where the other operand has zeros */
        x[60 * 300 + 7] = values[i];
        ml_naive_gemm(p.want, p.n, p.a, p.b, p.bias, p.m, p.n, p.k);
        kernels_run_everywhere(run, check_near_naive, &p, p.m * p.n, false);
        destroy(&p);
      }
    }
  }
}

/* ---- lists ---- */

static void check_lists(const ml_zero_lists *z) {
  const ml_operand *o = &z->operand;
  for (int64_t p0 = 0; p0 < o->k; p0 += z->block) {
    for (int64_t w0 = 0; w0 < o->count; w0 += z->width) {
      const uint16_t *at = ml_zero_list(z, w0 / z->width, p0);
      int64_t count = 0;
      for (int64_t p = p0; p < p0 + z->block && p < o->k; p++) {
        bool some = false;
        for (int64_t w = w0; w < w0 + z->width && w < o->count; w++) {
          some |= o->x[w * o->stride_w + p * o->stride_p] != 0.0f;
        }
        if (some) assert_int_equal(at[count++], p - p0);
      }
      assert_int_equal(at[-1], count);
    }
  }
}

static void test_lists(void **state) {
  (void)state;
  static const int64_t counts[] = {1, 4, 11, 64, 101}, depths[] = {1, 7, 64, 129, 400};
  for (int i = 0; i < 5 * 5 * LAYOUTS; i++) {
    const int64_t count = counts[i % 5], k = depths[i / 5 % 5];
    const ml_matrix x = kernels_lay(kernels_random(kernels_room(count, k), 5), count, k, (kernels_layout)(i / 25));
    thin_out(x, count, k);
    for (int64_t width = 4; width <= 32; width *= 2) {
      const int64_t block = 1 + k / 2, room = ml_zero_lists_room(ml_ceil_div(count, width), k, block);
      kernels_guarded floats = kernels_guard(ml_ceil_div(room, 2));
      const ml_zero_lists z = {{x.data, count, x.row, k, x.col}, width, block, (uint16_t *)(void *)floats.x};
      ml_zero_lists_fill(&z);
      kernels_check_guards(&floats);
      check_lists(&z);
      kernels_unguard(&floats);
    }
    ml_free((void *)x.data);
  }
}

static void test_special_values_are_no_zeros(void **state) {
  (void)state;
  static const float x[] = {0.0f, NAN, -0.0f, 0x1p-149f, -0x1p-149f, INFINITY, 0.0f, -INFINITY};
  uint16_t room[9];
  const ml_zero_lists z = {{x, 1, 8, 8, 1}, 4, 8, room};
  ml_zero_lists_fill(&z);
  static const uint16_t want[] = {5, 1, 3, 4, 5, 7};
  assert_memory_equal(room, want, sizeof want);
}

static void test_many(void **state) {
  (void)state;
  float *x = kernels_random(128 * 784, 6);
  const ml_operand rows = {x, 128, 784, 784, 1}, columns = {x, 784, 1, 128, 784}, narrow = {x, 3, 784, 784, 1};
  assert_false(ml_zeros_many(&rows, 12));
  assert_false(ml_zeros_many(&columns, 12));
  assert_true(ml_operand_finite(&rows));
  assert_true(ml_operand_finite(&columns));
  assert_false(ml_operand_finite(&(ml_operand){x, 100, 700, 600, 1})); /* parts */
  thin_out((ml_matrix){x, 784, 1}, 128, 784);
  assert_true(ml_zeros_many(&rows, 12));
  assert_true(ml_zeros_many(&columns, 12));
  assert_false(ml_zeros_many(&narrow, 12));
  x[128 * 784 - 1] = INFINITY;
  assert_false(ml_operand_finite(&rows));
  assert_false(ml_operand_finite(&columns));
  ml_free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_products),         cmocka_unit_test(test_gaps),
      cmocka_unit_test(test_nan_and_infinity), cmocka_unit_test(test_lists),
      cmocka_unit_test(test_special_values_are_no_zeros), cmocka_unit_test(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
