/* The register kernel of the matrix product for AVX-512: 12 rows by 32 columns, 24 of the 32 registers hold sums.
 * Called by gemm.c only, on processors that have AVX-512 F. */
#include "kernels/gemm_micro.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

enum { MR = 12, NR = 32, STEP = 4 };

/* The first mr rows, a constant. a[p, i] lies at a[i * row + p * step]; p runs through at[0..k-1] or, where that is
 * NULL, a constant too, through 0..k-1. The rows are reached from one pointer in three
 * (+0, +row, +2 row are addressing modes), so that pointers and sums fit the registers. */
static inline __attribute__((always_inline)) ML_WITHOUT_ADDRESS_CHECKS void tile(
    float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t ldb,
    const uint16_t *at, int64_t k, int mr, const ml_finish *f) {
  ml_micro_touch(c, ldc, a, row, step, mr, b, ldb, at, k, NR, f);
  const float *rows[MR / 3];
  __m512 s[MR][2];
#pragma GCC unroll 4
  for (int g = 0; g < MR / 3; g++) rows[g] = a + 3 * g * row;
#pragma GCC unroll 12
  for (int i = 0; i < mr; i++) s[i][0] = s[i][1] = _mm512_setzero_ps();
#pragma GCC unroll 2
  for (int64_t q = 0; q < k; q++) {
    const float *from = at ? b + at[q] * ldb : b;
    const __m512 b0 = _mm512_loadu_ps(from), b1 = _mm512_loadu_ps(from + 16);
#pragma GCC unroll 4
    for (int g = 0; at && g < MR / 3; g++) rows[g] = a + at[q] * step + 3 * g * row;
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++) {
      const __m512 ai = _mm512_set1_ps(*(rows[i / 3] + i % 3 * row));
      s[i][0] = _mm512_fmadd_ps(ai, b0, s[i][0]);
      s[i][1] = _mm512_fmadd_ps(ai, b1, s[i][1]);
    }
#pragma GCC unroll 4
    for (int g = 0; !at && g < MR / 3; g++) rows[g] += step;
    if (!at) b += ldb;
  }
  if (f->add) {
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++) {
      s[i][0] = _mm512_add_ps(_mm512_loadu_ps(c + i * ldc), s[i][0]);
      s[i][1] = _mm512_add_ps(_mm512_loadu_ps(c + i * ldc + 16), s[i][1]);
    }
  }
  if (f->bias) {
    const __m512 bias0 = _mm512_loadu_ps(f->bias), bias1 = _mm512_loadu_ps(f->bias + 16);
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++) {
      s[i][0] = _mm512_add_ps(s[i][0], bias0);
      s[i][1] = _mm512_add_ps(s[i][1], bias1);
    }
  }
  if (f->relu) { /* NaN, as the second operand, stays */
#pragma GCC unroll 12
    for (int i = 0; i < mr; i++) {
      s[i][0] = _mm512_max_ps(_mm512_setzero_ps(), s[i][0]);
      s[i][1] = _mm512_max_ps(_mm512_setzero_ps(), s[i][1]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < mr; i++) {
    _mm512_storeu_ps(c + i * ldc, s[i][0]);
    _mm512_storeu_ps(c + i * ldc + 16, s[i][1]);
  }
}

/* As many rows as there are, rounded up to what there is a tile for. */
static inline __attribute__((always_inline)) ML_WITHOUT_ADDRESS_CHECKS void tile_of(
    float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t ldb,
    const uint16_t *at, int64_t k, int64_t rows, const ml_finish *f) {
  if (rows > 8) {
    tile(c, ldc, a, row, step, b, ldb, at, k, 12, f);
  } else if (rows > 4) {
    tile(c, ldc, a, row, step, b, ldb, at, k, 8, f);
  } else {
    tile(c, ldc, a, row, step, b, ldb, at, k, 4, f);
  }
}

static ML_WITHOUT_ADDRESS_CHECKS void run_packed(float *c, int64_t ldc, const float *a, const float *b,
                                                 int64_t ldb, int64_t k, int64_t rows, const ml_finish *f) {
  tile_of(c, ldc, a, 1, MR, b, ldb, NULL, k, rows, f);
}

static ML_WITHOUT_ADDRESS_CHECKS void run_rows(float *c, int64_t ldc, const float *a, int64_t lda, const float *b,
                                               int64_t ldb, int64_t k, int64_t rows, const ml_finish *f) {
  tile_of(c, ldc, a, lda, 1, b, ldb, NULL, k, rows, f);
}

static ML_WITHOUT_ADDRESS_CHECKS void run_some(float *c, int64_t ldc, const float *a, int64_t row, int64_t step,
                                               const float *b, int64_t ldb, const uint16_t *at, int64_t count,
                                               int64_t rows, const ml_finish *f) {
  tile_of(c, ldc, a, row, step, b, ldb, at, count, rows, f);
}

const ml_micro ml_micro_avx512 = {MR, NR, STEP, run_packed, run_rows, run_some};
#endif
