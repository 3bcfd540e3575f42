/* The register kernel of the matrix product for AVX-512: 12 rows by 32 columns, 24 of the 32 registers hold sums.
 * Called by gemm.c only, on processors that have AVX-512 F. */
#include "kernels/gemm_micro.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

enum { MR = 12, NR = 32 };

static void run(float *c, int64_t ldc, const float *a, const float *b, const float *bias, int64_t k, bool add) {
  __m512 s[MR][2];
#pragma GCC unroll 12
  for (int i = 0; i < MR; i++) s[i][0] = s[i][1] = _mm512_setzero_ps();
#pragma GCC unroll 2
  for (int64_t p = 0; p < k; p++) {
    const __m512 b0 = _mm512_loadu_ps(b + p * NR), b1 = _mm512_loadu_ps(b + p * NR + 16);
#pragma GCC unroll 12
    for (int i = 0; i < MR; i++) {
      const __m512 ai = _mm512_set1_ps(a[p * MR + i]);
      s[i][0] = _mm512_fmadd_ps(ai, b0, s[i][0]);
      s[i][1] = _mm512_fmadd_ps(ai, b1, s[i][1]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < MR; i++) {
    for (int j = 0; j < 2; j++) {
      float *out = c + i * ldc + 16 * j;
      __m512 v = s[i][j];
      if (add) v = _mm512_add_ps(_mm512_loadu_ps(out), v);
      if (bias) v = _mm512_add_ps(v, _mm512_loadu_ps(bias + 16 * j));
      _mm512_storeu_ps(out, v);
    }
  }
}

const ml_micro ml_micro_avx512 = {MR, NR, run};
#endif
