/* The bf16 register kernel for AVX-512: emulates AMX's sums (bf16.h) to the bit, 12 rows by 32 columns, six rows at a
 * time: their two chains per element fill 24 of the 32 registers. Called by gemm_bf16.c and the convolutions, on
 * processors that have AVX-512 F but no AMX. */
#include "kernels/gemm_bf16.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

#include "kernels/gemm_bf16_loops.h"
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

/* Not inlined: its arithmetic has to stay between the two changes of MXCSR. */
static __attribute__((noinline)) void add_steps(float *sums, const float *a, const float *b, int64_t steps) {
  for (int64_t s = 0; s < steps; s++, a += ML_BF16_STEP * MR, b += ML_BF16_STEP * NR) {
    for (int g = 0; g < MR; g += GROUP) add_step(sums + g * NR, a + g, b);
  }
}

static void run(float *c, int64_t ldc, const void *a, int64_t a_stride, int64_t count, const void *b, int64_t steps,
                ml_finish f) {
  _Alignas(64) float sums[MR * NR];
  for (int64_t q = 0; q < count; q++, c += MR * ldc) {
    begin_tile(sums, c, ldc, MR, NR, f.add);
    const uint32_t saved = ml_mxcsr_flush_subnormals();
    add_steps(sums, (const float *)((const char *)a + q * a_stride), b, steps);
    ml_mxcsr_restore(saved);
    end_tile(c, ldc, sums, MR, NR, f);
  }
}

static void pack_a(void *panel, const float *x, int64_t stride_i, int64_t stride_p, int64_t rows, int64_t k,
                   ml_precision precision) {
  pack_widened(panel, MR, x, stride_i, stride_p, rows, k, precision, false);
}

static void pack_b(void *panel, const float *x, int64_t stride_j, int64_t stride_p, int64_t cols, int64_t k,
                   ml_precision precision) {
  pack_widened(panel, NR, x, stride_j, stride_p, cols, k, precision, true);
}

const ml_bf16_micro ml_bf16_avx512 = {MR, NR, sizeof(float), 10, pack_a, pack_b, run};
#endif
