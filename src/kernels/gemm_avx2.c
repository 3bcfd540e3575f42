/* The register kernel of the matrix product for AVX2 with FMA: 6 rows by 16 columns, 12 of the 16 registers hold sums.
 * Called by gemm.c only, on processors that have AVX2 and FMA. */
#include "kernels/gemm_micro.h"

#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

enum { MR = 6, NR = 16 };

static void run(float *c, int64_t ldc, const float *a, const float *b, const float *bias, int64_t k, bool add) {
  __m256 s[MR][2];
#pragma GCC unroll 6
  for (int i = 0; i < MR; i++) s[i][0] = s[i][1] = _mm256_setzero_ps();
#pragma GCC unroll 4
  for (int64_t p = 0; p < k; p++) {
    const __m256 b0 = _mm256_loadu_ps(b + p * NR), b1 = _mm256_loadu_ps(b + p * NR + 8);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
      const __m256 ai = _mm256_broadcast_ss(a + p * MR + i);
      s[i][0] = _mm256_fmadd_ps(ai, b0, s[i][0]);
      s[i][1] = _mm256_fmadd_ps(ai, b1, s[i][1]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < MR; i++) {
    for (int j = 0; j < 2; j++) {
      float *out = c + i * ldc + 8 * j;
      __m256 v = s[i][j];
      if (add) v = _mm256_add_ps(_mm256_loadu_ps(out), v);
      if (bias) v = _mm256_add_ps(v, _mm256_loadu_ps(bias + 8 * j));
      _mm256_storeu_ps(out, v);
    }
  }
}

const ml_micro ml_micro_avx2 = {MR, NR, run};
#endif
