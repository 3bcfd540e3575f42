/* The product of a few rows with a weight in strips: how it is cut into blocks of inputs and strips of outputs. Called
 * by src/ops; allocates nothing. */
#include "kernels/gemv.h"

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/gemv_unit.h"
#include "kernels/isa.h"

enum {
  STRIP = ML_GEMV_STRIP,
  ROWS_AT_ONCE = 4,       /* they share a strip's weights while those are in the cache */
  THREADS_FROM = 1 << 18  /* multiply-adds, some 10 us: with fewer, another thread comes too late */
};

static const ml_gemv_unit *unit_in_use(void) { return ML_FOR_ISA(ml_gemv); }

size_t ml_gemv_floats(int64_t n, int64_t k) {
  int64_t floats;
  if (n <= 0 || k <= 0 || __builtin_mul_overflow(n, k, &floats)) return 0;
  return __builtin_add_overflow(floats, ML_GEMV_SLACK, &floats) ? 0 : (size_t)floats;
}

bool ml_gemv_pack(float *strips, const float *w, int64_t n, int64_t k) {
  if (ml_count_nonfinite(w, n * k) > 0) return false;
  for (int64_t j = 0; j < n; j += STRIP) ml_transpose(strips + j * k, w + j * k, ml_min64(STRIP, n - j), k);
  for (int i = 0; i < ML_GEMV_SLACK; i++) strips[n * k + i] = 0.0f;
  return true;
}

typedef struct product {
  const ml_gemv_unit *unit;
  float *y;
  const float *x, *strips;
  ml_epilogue epilogue;
  int64_t m, n, k;
} product;

/* Rows of x and y from row on, up to ROWS_AT_ONCE; strips first..last-1. */
static void run_rows(const product *g, int64_t row, int64_t rows, int64_t first, int64_t last) {
  const int64_t block = ml_k_block(g->k);
  ml_gemv_inputs in[ROWS_AT_ONCE];
  for (int64_t p = 0; p < g->k; p += block) {
    const int64_t depth = ml_min64(block, g->k - p);
    const ml_epilogue e = p + depth == g->k ? g->epilogue : ML_NO_EPILOGUE;
    for (int64_t i = 0; i < rows; i++) g->unit->gather(&in[i], g->x + (row + i) * g->k + p, (int)depth);
    for (int64_t j = first * STRIP; j < ml_min64(last * STRIP, g->n); j += STRIP) {
      const int cols = (int)ml_min64(STRIP, g->n - j);
      const float *w = g->strips + j * g->k + p * cols;
      const ml_finish f = {.add = p > 0, .relu = e.relu, .bias = e.bias ? e.bias + j : NULL};
      for (int64_t i = 0; i < rows; i++) g->unit->strip(g->y + (row + i) * g->n + j, &in[i], w, cols, f);
    }
  }
}

static void run_strips(void *ctx, int64_t first, int64_t last) {
  const product *g = ctx;
  for (int64_t i = 0; i < g->m; i += ROWS_AT_ONCE) run_rows(g, i, ml_min64(ROWS_AT_ONCE, g->m - i), first, last);
}

static int64_t count_nonzero(const float *x, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += x[i] != 0.0f;
  return count;
}

void ml_gemv(float *y, const float *x, const float *strips, ml_epilogue e, int64_t m, int64_t n, int64_t k) {
  product g = {unit_in_use(), y, x, strips, e, m, n, k};
  const int64_t count = ml_ceil_div(n, STRIP);
  const int64_t work = m * n * k <= THREADS_FROM ? 0 : count_nonzero(x, m * k) * n;
  if (work <= THREADS_FROM) {
    run_strips(&g, 0, count);
  } else {
    ml_pool_for(run_strips, &g, count, 1);
  }
}
