/* The choice of the instruction set, by the CPU and by MNISTLUA_ISA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"

static void test_names(void **state) {
  (void)state;
  assert_string_equal(ml_isa_name(ML_ISA_PORTABLE), "portable");
  assert_string_equal(ml_isa_name(ML_ISA_AVX2), "avx2");
  assert_string_equal(ml_isa_name(ML_ISA_AVX512), "avx512");
  assert_string_equal(ml_isa_name(ML_ISA_AMX), "amx");
  assert_string_equal(ml_isa_name(ML_ISA_COUNT), "unknown");
}

static void test_unset_and_empty_mean_the_best(void **state) {
  (void)state;
  for (int empty = 0; empty < 2; empty++) {
    unsetenv("MNISTLUA_ISA");
    if (empty) setenv("MNISTLUA_ISA", "", 1);
    assert_int_equal(ml_cpu_use(ML_ISA_PORTABLE, NULL), ML_OK);
    assert_int_equal(ml_cpu_init(NULL), ML_OK);
    assert_int_equal(ml_cpu_isa(), ml_cpu_best_isa());
  }
}

static void test_every_name(void **state) {
  (void)state;
  for (int isa = 0; isa < ML_ISA_COUNT; isa++) {
    ml_error err;
    setenv("MNISTLUA_ISA", ml_isa_name((ml_isa)isa), 1);
    ml_cpu_use(ML_ISA_PORTABLE, NULL);
    if ((ml_isa)isa <= ml_cpu_best_isa()) {
      assert_int_equal(ml_cpu_init(&err), ML_OK);
      assert_int_equal(ml_cpu_isa(), isa);
    } else {
      assert_int_equal(ml_cpu_init(&err), ML_MISUSE);
      assert_int_equal(ml_cpu_init(NULL), ML_MISUSE);
      assert_non_null(strstr(err.message, "MNISTLUA_ISA: this CPU cannot run the instruction set"));
      assert_int_equal(ml_cpu_isa(), ML_ISA_PORTABLE);
    }
  }
  unsetenv("MNISTLUA_ISA");
}

static void test_unknown_name_lists_the_choices(void **state) {
  (void)state;
  static const char *const wrong[] = {"sse9", "AVX2", "avx2 ", "portable\n"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    ml_error err;
    setenv("MNISTLUA_ISA", wrong[i], 1);
    assert_int_equal(ml_cpu_init(&err), ML_MISUSE);
    assert_non_null(strstr(err.message, "MNISTLUA_ISA: expected portable, avx2, avx512 or amx, got \""));
  }
  unsetenv("MNISTLUA_ISA");
}

static void test_use_refuses_nonsense(void **state) {
  (void)state;
  ml_error err;
  assert_int_equal(ml_cpu_use(ML_ISA_COUNT, &err), ML_MISUSE);
  assert_string_equal(err.message, "instruction set 4 does not exist");
}

static void test_amx_says_why_not(void **state) {
  (void)state;
  assert_int_equal(ml_cpu_use(ml_cpu_best_isa(), NULL), ML_OK);
  assert_int_equal(ml_cpu_amx(), ml_cpu_best_isa() == ML_ISA_AMX);
  if (ml_cpu_amx()) {
    assert_string_equal(ml_cpu_amx_status(), "usable");
    assert_int_equal(ml_cpu_use(ML_ISA_AVX512, NULL), ML_OK);
    assert_false(ml_cpu_amx());
    assert_string_equal(ml_cpu_amx_status(), "turned off by MNISTLUA_ISA");
  } else {
    const char *status = ml_cpu_amx_status();
    assert_true(strcmp(status, "this CPU has none") == 0 ||
                strstr(status, "the system refused permission: ") == status);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_unset_and_empty_mean_the_best),
    cmocka_unit_test(test_every_name),
    cmocka_unit_test(test_unknown_name_lists_the_choices),
    cmocka_unit_test(test_use_refuses_nonsense),
    cmocka_unit_test(test_amx_says_why_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
