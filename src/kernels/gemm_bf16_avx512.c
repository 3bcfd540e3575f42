/* The bf16 register kernel for AVX-512: emulates AMX's sums (bf16.h) to the bit, 12 rows by 32 columns, six rows at a
 * time: their two chains per element fill 24 of the 32 registers. Called by gemm_bf16.c and the convolutions, on
 * processors that have AVX-512 F but no AMX. */
#include "kernels/gemm_bf16.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

#include "kernels/gemm_bf16_mxcsr.h"

enum { MR = 12, NR = 32, GROUP = 6 };

/* sums[GROUP, NR] += one step of A's rows and B's columns */
static inline __attribute__((always_inline)) void add_step(float *sums, const float *a, const float *b) {
  __m512 t[GROUP][2][2]; /* row, even or odd chain, half of the columns */
#pragma GCC unroll 6
  for (int i = 0; i < GROUP; i++) {
    t[i][0][0] = t[i][0][1] = t[i][1][0] = t[i][1][1] = _mm512_setzero_ps();
  }
  for (int p = 0; p < ML_BF16_STEP; p += 2, a += 2 * MR, b += 2 * NR) {
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; odd++) {
      const __m512 b0 = _mm512_loadu_ps(b + odd * NR), b1 = _mm512_loadu_ps(b + odd * NR + 16);
#pragma GCC unroll 6
      for (int i = 0; i < GROUP; i++) {
        const __m512 ai = _mm512_set1_ps(a[odd * MR + i]);
        t[i][odd][0] = _mm512_fmadd_ps(ai, b0, t[i][odd][0]);
        t[i][odd][1] = _mm512_fmadd_ps(ai, b1, t[i][odd][1]);
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < GROUP; i++) {
    for (int j = 0; j < 2; j++) {
      float *s = sums + i * NR + 16 * j;
      _mm512_storeu_ps(s, _mm512_add_ps(_mm512_loadu_ps(s), _mm512_add_ps(t[i][0][j], t[i][1][j])));
    }
  }
}

#define ML_BF16_MICRO_NAME ml_bf16_avx512
#include "kernels/gemm_bf16_loops.h"
#endif
