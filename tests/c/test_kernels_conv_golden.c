/* Convolutions and their gradients against what PyTorch 1.13 computes. Operands are small integers, so that all results
 * are exact: element i of x, w, the bias and dy is i a mod m - m / 2 with (a, m) of (7, 11), (5, 7), (3, 5), (5, 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernels/conv.h"
#include "kernels_aid.h"

typedef struct golden {
  ml_conv2d g;
  int y[24], dx[40], dw[32], db[4];
} golden;

static const golden goldens[] = {
    {{1, 2, 4, 5, 2, 3, 2, 2, 1, 1, 0, 1, 1, 1},
     {-12, 1, -8, -17, 3, 28, -16, -16, 6, -27, 22, 9, 18, -6, 0, 0, 26, 8, 23, -5},
     {6, -5, 4, 13, -18, -4, -12, 1, 14, 3, 3, 16, -15, 10, -5, -9, 5, 7, -15, 3, -6, 5, -13, 9, 7, 4, -14, 1,
      -16, 31, -5, 11, 9, -9, 5, 4, -21, 10, 1, -8},
     {36, -20, 45, -16, -13, 34, -26, -13, 44, -25, 30, -41, 4, -14, 45, -28, 39, -22, -20, 15, -12, -15, -18,
      -31},
     {-7, -3}},
    {{1, 4, 3, 3, 4, 2, 2, 1, 2, 0, 1, 1, 0, 2},
     {-25, -27, -1, -13, 7, -15, 17, 14, 13, 1, 0, -6, 7, -18, 11, 15, 18, 1, 5, 2, 3, 15, -14, -15},
     {-8, -5, 2, 10, -5, 1, -8, 13, -9, -6, 2, 2, 18, 12, -3, 0, -12, -13, -6, -6, 15, -2, 0, -13, 16, -4, -3,
      -4, -6, 15, -2, 4, -9, 16, 0, 1},
     {5, 11, 1, -43, 2, -18, -11, 7, -1, -51, -1, -7, -10, 18, -1, -1, 22, -4, 10, -11, -13, 11, -11, -5, -2,
      -2, -30, 5, 1, 1, 3, 11},
     {-5, -1, -5, -1}},
};

static void count_up(float *x, int64_t n, int a, int m) {
  for (int64_t i = 0; i < n; i++) x[i] = (float)(i * a % m - m / 2);
}

static void check_golden(const float *out, const int *want, int64_t n, const char *what) {
  for (int64_t i = 0; i < n; i++) {
    if (out[i] != (float)want[i]) fail_msg("%s[%lld] is %g, expected %d", what, (long long)i, (double)out[i], want[i]);
  }
}

static void check_case(const golden *want) {
  const ml_conv2d *g = &want->g;
  float x[64], w[64], bias[64], dy[64], out[64];
  kernels_guarded work = kernels_guard((int64_t)ml_conv2d_workspace(g));
  const int64_t ys = g->n * g->out_c * ml_conv2d_out_h(g) * ml_conv2d_out_w(g);
  count_up(x, 64, 7, 11);
  count_up(w, 64, 5, 7);
  count_up(bias, 64, 3, 5);
  count_up(dy, 64, 5, 8);
  ml_conv2d_forward(out, x, w, bias, false, g, work.x);
  check_golden(out, want->y, ys, "y");
  ml_conv2d_dx(out, dy, w, g, work.x);
  check_golden(out, want->dx, g->n * g->in_c * g->h * g->w, "dx");
  ml_conv2d_dw(out, dy, x, g, work.x);
  check_golden(out, want->dw, g->out_c * (g->in_c / g->groups) * g->kh * g->kw, "dw");
  ml_conv2d_db(out, dy, g, work.x);
  check_golden(out, want->db, g->out_c, "db");
  kernels_check_guards(&work);
  kernels_unguard(&work);
}

static void test_golden(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) check_case(&goldens[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
  return cmocka_run_group_tests_name("kernels: convolution against PyTorch", tests, NULL, NULL);
}
