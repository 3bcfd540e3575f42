/* The measured peaks: every kind that this machine has, on every instruction set. How fast it is, no test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/peak.h"

enum { BYTES = 1 << 20 };

static void check_peak(ml_peak_kind kind, int threads, double seconds, ml_peak_memory memory) {
  const ml_peak peak = ml_peak_measure(kind, threads, seconds, memory);
  assert_true(peak.best > 0);
  assert_true(peak.median >= 0 && peak.median <= peak.best);
}

static void test_every_kind_and_instruction_set(void **state) {
  (void)state;
  float *data = ml_alloc(BYTES);
  const ml_peak_memory memory = {data, BYTES};
  ml_fill(data, BYTES / sizeof(float), 1.0f);
  assert_int_equal(ml_pool_start(3, NULL), ML_OK);
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (int kind = 0; kind < ML_PEAK_COUNT; kind++) {
      if (!ml_peak_possible((ml_peak_kind)kind)) continue;
      check_peak((ml_peak_kind)kind, 1, 0.02, memory);
      check_peak((ml_peak_kind)kind, 3, 0.02, memory);
      check_peak((ml_peak_kind)kind, 200, 0.01, memory); /* more than the pool has */
    }
  }
  ml_pool_stop();
  ml_free(data);
}

/* The best of one slice is its median, too. */
static void test_a_single_slice(void **state) {
  (void)state;
  const ml_peak peak = ml_peak_measure(ML_PEAK_F32, 1, 0.001, (ml_peak_memory){NULL, 0});
  assert_true(peak.best == peak.median);
}

static void test_loops_say_what_they_did(void **state) {
  (void)state;
  assert_true(ml_peak_portable() > 0);
#if defined(__x86_64__)
  if (ml_cpu_best_isa() >= ML_ISA_AVX2) assert_true(ml_peak_avx2() > 0);
  if (ml_cpu_best_isa() >= ML_ISA_AVX512) assert_true(ml_peak_avx512() > 0);
#endif
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(ml_peak_name(ML_PEAK_F32), "f32");
  assert_string_equal(ml_peak_name(ML_PEAK_AMX), "amx");
  assert_string_equal(ml_peak_name(ML_PEAK_READ), "read");
  assert_string_equal(ml_peak_name(ML_PEAK_COUNT), "unknown");
  assert_int_equal(ml_peak_possible(ML_PEAK_AMX), ml_cpu_amx());
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_kind_and_instruction_set),
    cmocka_unit_test(test_a_single_slice),
    cmocka_unit_test(test_loops_say_what_they_did),
    cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
