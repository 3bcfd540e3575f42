/* Shared by the tests of src/kernels: see kernels_aid.h. */
#include "kernels_aid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rng.h"

enum { GUARD = 32 };
static const float GUARD_VALUE = 12345.678f;

float *kernels_floats(int64_t n) {
  float *x = ml_alloc((size_t)(n > 0 ? n : 1) * sizeof *x);
  assert_non_null(x);
  return x;
}

float *kernels_random(int64_t n, uint32_t seed) {
  float *x = kernels_floats(n);
  ml_rng rng = ml_rng_make(seed, ML_STREAM_NOISE);
  ml_rng_uniform(x, (size_t)n, &rng, -1.0f, 1.0f);
  return x;
}

float *kernels_absolute(const float *x, int64_t n) {
  float *y = kernels_floats(n);
  for (int64_t i = 0; i < n; i++) y[i] = fabsf(x[i]);
  return y;
}

ml_matrix kernels_lay(const float *data, int64_t rows, int64_t cols, kernels_layout layout) {
  switch (layout) {
  case LAID_ROWS: return (ml_matrix){data, cols, 1};
  case LAID_COLUMNS: return (ml_matrix){data, 1, rows};
  case LAID_PADDED_ROWS: return (ml_matrix){data, cols + 3, 1};
  case LAID_PADDED_COLUMNS: return (ml_matrix){data, 1, rows + 5};
  case LAID_SCATTERED: return (ml_matrix){data, 2 * cols + 1, 2};
  case LAYOUTS: break;
  }
  fail_msg("no layout: %d", (int)layout);
  return (ml_matrix){NULL, 0, 0};
}

int64_t kernels_room(int64_t rows, int64_t cols) { return (rows + 5) * (2 * cols + 5); }

kernels_guarded kernels_guard(int64_t n) {
  float *all = ml_alloc((size_t)(n + 2 * GUARD) * sizeof *all);
  assert_non_null(all);
  for (int64_t i = 0; i < n + 2 * GUARD; i++) all[i] = GUARD_VALUE;
  kernels_guarded g = {all + GUARD, n};
  kernels_poison(&g);
  return g;
}

void kernels_poison(kernels_guarded *g) {
  for (int64_t i = 0; i < g->n; i++) g->x[i] = NAN;
}

void kernels_check_guards(const kernels_guarded *g) {
  for (int64_t i = 1; i <= GUARD; i++) {
    if (g->x[-i] != GUARD_VALUE) fail_msg("float %lld before the output was overwritten", (long long)i);
    if (g->x[g->n + i - 1] != GUARD_VALUE) fail_msg("float %lld past the output was overwritten", (long long)i);
  }
}

void kernels_unguard(kernels_guarded *g) {
  ml_free(g->x - GUARD);
  g->x = NULL;
}

static void check_bits(const float *got, const float *want, int64_t n, int isa, int threads) {
  int64_t i = 0;
  while (i < n && (memcmp(got + i, want + i, sizeof *got) == 0 || (isnan(got[i]) && isnan(want[i])))) i++;
  if (i == n) return;
  fail_msg("%s on %d threads: element %lld of %lld is %.9g, elsewhere %.9g", ml_isa_name((ml_isa)isa), threads,
           (long long)i, (long long)n, (double)got[i], (double)want[i]);
}

void kernels_run_everywhere(void (*run)(float *out, void *ctx), void (*check)(const float *out, void *ctx), void *ctx,
                            int64_t n, bool across_isas) {
  static const int threads[] = {1, 2, 3, 8};
  kernels_guarded out = kernels_guard(n), first[ML_ISA_COUNT];
  const int isas = (int)ml_cpu_best_isa() + 1;
  for (int t = 0; t < 4; t++) {
    assert_int_equal(ml_pool_start(threads[t], NULL), ML_OK);
    for (int isa = 0; isa < isas; isa++) {
      assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
      if (t == 0) first[isa] = kernels_guard(n);
      kernels_guarded *here = t == 0 ? &first[isa] : &out;
      kernels_poison(here);
      run(here->x, ctx);
      kernels_check_guards(here);
      if (t == 0 && check) check(here->x, ctx);
      check_bits(here->x, first[across_isas ? 0 : isa].x, n, isa, threads[t]);
    }
  }
  ml_pool_stop();
  for (int isa = 0; isa < isas; isa++) kernels_unguard(&first[isa]);
  kernels_unguard(&out);
}

void kernels_check_close(const float *got, const float *want, int64_t n, double relative, double absolute,
                         const char *what) {
  for (int64_t i = 0; i < n; i++) {
    const double g = (double)got[i], w = (double)want[i];
    if (isfinite(w) ? fabs(g - w) <= relative * fabs(w) + absolute : (isnan(w) ? isnan(g) : g == w)) continue;
    fail_msg("%s: element %lld of %lld is %.9g, expected %.9g", what, (long long)i, (long long)n, g, w);
  }
}

void kernels_check_equal(const float *got, const float *want, int64_t n, const char *what) {
  kernels_check_close(got, want, n, 0.0, 0.0, what);
}
