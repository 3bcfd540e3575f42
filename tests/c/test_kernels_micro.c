/* The register kernels of the f32 product touch what they say and nothing else. Under AddressSanitizer they are
 * compiled without its checks and state their ranges first: an operand one float short must still end the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "kernels/conv_unit.h"
#include "kernels/gemm_micro.h"

enum { K = 5, SOME = 3, GAP = 3, WAYS = 8 };

typedef enum operand { NONE, A, B, C, BIAS, OPERANDS } operand;

/* n floats 1, from malloc; one fewer for the operand that is to be short. */
static float *ones(int64_t n, operand mine, operand is_short) {
  const size_t count = (size_t)(n - (mine == is_short));
  float *x = malloc(count * sizeof *x);
  assert_non_null(x);
  for (size_t i = 0; i < count; i++) x[i] = 1.0f;
  return x;
}

/* c = max(0, 1 + A B + 1) of ones, which is K + 2 everywhere, or with some products only SOME + 2, on operands without
 * a float to spare; `gap` floats lie between the rows of B. */
static void multiply(const ml_micro *micro, bool packed, bool some, int64_t gap, int rows, operand is_short) {
  static const uint16_t at[SOME] = {1, 2, K - 1};
  const int64_t nr = micro->nr, ldb = nr + gap;
  float *a = ones(packed ? (K - 1) * micro->mr + rows : rows * K, A, is_short);
  float *b = ones((K - 1) * ldb + nr, B, is_short), *c = ones(rows * nr, C, is_short), *bias = ones(nr, BIAS, is_short);
  const ml_finish finish = {.add = true, .relu = true, .bias = bias};
  if (some) {
    micro->run_some(c, nr, a, packed ? 1 : K, packed ? micro->mr : 1, b, ldb, at, SOME, rows, &finish);
  } else if (packed) {
    micro->run_packed(c, nr, a, b, ldb, K, rows, &finish);
  } else {
    micro->run_rows(c, nr, a, K, b, ldb, K, rows, &finish);
  }
  for (int64_t i = 0; i < rows * nr; i++) assert_float_equal(c[i], (some ? SOME : K) + 2, 0);
  free(a);
  free(b);
  free(c);
  free(bias);
}

static void test_exact_operands_suffice(void **state) {
  (void)state;
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    const ml_micro *micro = ml_conv_unit_in_use()->micro;
    for (int rows = micro->step; rows <= micro->mr; rows += micro->step) {
      for (int way = 0; way < WAYS; way++) multiply(micro, way & 1, way & 2, (way & 4) / 4 * GAP, rows, NONE);
    }
  }
}

static void test_a_short_operand_is_reported(void **state) {
  (void)state;
#ifndef ML_ADDRESS_SANITIZER
  skip();
#endif
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    const ml_micro *micro = ml_conv_unit_in_use()->micro;
    for (int which = WAYS * A; which < WAYS * OPERANDS; which++) {
      const pid_t child = fork();
      if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); /* the report */
        multiply(micro, which & 1, which & 2, (which & 4) / 4 * GAP, micro->mr, (operand)(which / WAYS));
        _exit(0);
      }
      int status;
      assert_int_equal(waitpid(child, &status, 0), child);
      assert_int_not_equal(status, 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exact_operands_suffice),
      cmocka_unit_test(test_a_short_operand_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
