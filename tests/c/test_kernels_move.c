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

static void test_gather(void **state) {
  (void)state;
  enum { ROWS = 19, WIDTH = 37, COUNT = 23 };
  uint8_t x[ROWS * WIDTH];
  int32_t index[COUNT];
  float table[256], want[COUNT * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (uint8_t)(i * 7 + i / 256);
  for (int i = 0; i < COUNT; i++) index[i] = i * 5 % ROWS;
  for (int i = 0; i < 256; i++) table[i] = ((float)i / 255.0f - 0.1307f) / 0.3081f;
  kernels_guarded got = kernels_guard(COUNT * WIDTH);
  ml_gather_u8(got.x, x, index, COUNT, WIDTH, table);
  ml_naive_gather_u8(want, x, index, COUNT, WIDTH, table);
  kernels_check_guards(&got);
  kernels_check_equal(got.x, want, COUNT * WIDTH, "gather");
  kernels_unguard(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_transpose),
      cmocka_unit_test(test_transpose_of_nothing),
      cmocka_unit_test(test_gather),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
