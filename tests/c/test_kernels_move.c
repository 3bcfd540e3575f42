/* Kernels that move floats without computing (transpose, gather from bytes), against the naive ones: odd sizes,
 * poisoned outputs between guards; the same bits on any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/naive.h"
#include "kernels_aid.h"

typedef struct grid {
  float *x, *want;
  int64_t rows, cols;
} grid;

static void run_transpose(float *out, void *ctx) {
  const grid *g = ctx;
  ml_transpose(out, g->x, g->rows, g->cols);
}

static void check_transpose(const float *got, void *ctx) {
  const grid *g = ctx;
  kernels_check_equal(got, g->want, g->rows * g->cols, "transpose");
}

static void test_transpose(void **state) {
  (void)state;
  static const int64_t sides[] = {1, 2, 3, 4, 5, 7, 15, 16, 17, 33, 65, 130, 257};
  for (int i = 0; i < 13; i++) {
    for (int j = 0; j < 13; j++) {
      const int64_t n = sides[i] * sides[j];
      grid g = {kernels_random(n, 1), kernels_random(n, 2), sides[i], sides[j]};
      ml_naive_transpose(g.want, g.x, g.rows, g.cols);
      kernels_run_everywhere(run_transpose, check_transpose, &g, n, true);
      ml_free(g.x);
      ml_free(g.want);
    }
  }
}

static void test_transpose_of_nothing(void **state) {
  (void)state;
  ml_transpose(NULL, NULL, 0, 5);
  ml_transpose(NULL, NULL, 5, 0);
}

enum { IMAGES = 19, PIXELS = 37, GATHERED = 23 };

typedef struct gathering {
  uint8_t x[IMAGES * PIXELS];
  int32_t index[GATHERED];
  ml_byte_values values;
  float want[GATHERED * PIXELS];
} gathering;

static void run_gather(float *out, void *ctx) {
  const gathering *g = ctx;
  ml_gather_u8(out, g->x, g->index, GATHERED, PIXELS, &g->values);
}

static void check_gather(const float *got, void *ctx) {
  const gathering *g = ctx;
  kernels_check_equal(got, g->want, GATHERED * PIXELS, "gather");
}

static void gather_everywhere(double mean, double std) {
  gathering g;
  for (int i = 0; i < IMAGES * PIXELS; i++) g.x[i] = (uint8_t)(i * 7 + i / 256);
  for (int i = 0; i < GATHERED; i++) g.index[i] = i * 5 % IMAGES;
  ml_byte_values_normalise(&g.values, mean, std);
  for (int v = 0; v < 256; v++) assert_true(g.values.table[v] == (float)((v / 255.0 - mean) / std));
  ml_naive_gather_u8(g.want, g.x, g.index, GATHERED, PIXELS, g.values.table);
  kernels_run_everywhere(run_gather, check_gather, &g, GATHERED * PIXELS, true);
  g.values.linear = false; /* by the table */
  kernels_run_everywhere(run_gather, check_gather, &g, GATHERED * PIXELS, true);
}

static void test_gather(void **state) {
  (void)state;
  gather_everywhere(0.1307, 0.3081);
  gather_everywhere(0, 1);
  gather_everywhere(51 / 255.0, 0.3);
  gather_everywhere(-1e30, 1e-3); /* beyond float: infinities */
}

/* Arithmetic is used where it gives the table's floats to the bit, and not where it does not. */
static void test_linear_bytes(void **state) {
  (void)state;
  ml_byte_values values;
  ml_byte_values_normalise(&values, 0.1307, 0.3081);
  assert_true(values.linear);
  ml_byte_values_normalise(&values, 0, 1);
  assert_true(values.linear);
  ml_byte_values_normalise(&values, 7 / 255.0, 1.0 / 3); /* byte 7 stands for 0, which the line misses by a little */
  assert_true(values.table[7] == 0.0f);
  assert_int_equal(values.linear, values.scale * 7 + values.offset == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_transpose),
      cmocka_unit_test(test_transpose_of_nothing),
      cmocka_unit_test(test_gather),
      cmocka_unit_test(test_linear_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
