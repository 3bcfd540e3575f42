/* The bf16 register kernel for AVX2 with FMA: emulates AMX's sums (bf16.h) to the bit, 6 rows by 16 columns, three rows
 * at a time: their two chains per element fill 12 of the 16 registers. Called by gemm_bf16.c and the convolutions, on
 * processors that have AVX2 and FMA. */
#include "kernels/gemm_bf16.h"

#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "kernels/gemm_bf16_mxcsr.h"

enum { MR = 6, NR = 16, GROUP = 3 };

/* sums[GROUP, NR] += one step of A's rows and B's columns */
static inline __attribute__((always_inline)) void add_step(float *sums, const float *a, const float *b) {
  __m256 t[GROUP][2][2]; /* row, even or odd chain, half of the columns */
#pragma GCC unroll 3
  for (int i = 0; i < GROUP; i++) {
    t[i][0][0] = t[i][0][1] = t[i][1][0] = t[i][1][1] = _mm256_setzero_ps();
  }
  for (int p = 0; p < ML_BF16_STEP; p += 2, a += 2 * MR, b += 2 * NR) {
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
      const __m256 b0 = _mm256_loadu_ps(b + odd * NR), b1 = _mm256_loadu_ps(b + odd * NR + 8);
#pragma GCC unroll 3
      for (int i = 0; i < GROUP; i++) {
        const __m256 ai = _mm256_broadcast_ss(a + odd * MR + i);
        t[i][odd][0] = _mm256_fmadd_ps(ai, b0, t[i][odd][0]);
        t[i][odd][1] = _mm256_fmadd_ps(ai, b1, t[i][odd][1]);
      }
    }
  }
#pragma GCC unroll 3
  for (int i = 0; i < GROUP; i++) {
    for (int j = 0; j < 2; j++) {
      float *s = sums + i * NR + 8 * j;
      _mm256_storeu_ps(s, _mm256_add_ps(_mm256_loadu_ps(s), _mm256_add_ps(t[i][0][j], t[i][1][j])));
    }
  }
}

#define ML_BF16_MICRO_NAME ml_bf16_avx2
#include "kernels/gemm_bf16_loops.h"
#endif
