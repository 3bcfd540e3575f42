/* The few-row product for AVX-512. Called by gemv.c only, on processors that have AVX-512 F. */
#include "kernels/gemv_unit.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

typedef __m512 vec;

static inline vec vec_all(float x) { return _mm512_set1_ps(x); }
static inline vec vec_load(const float *x) { return _mm512_loadu_ps(x); }
static inline void vec_store(float *y, vec v) { _mm512_storeu_ps(y, v); }
static inline vec vec_fma(vec x, vec w, vec s) { return _mm512_fmadd_ps(x, w, s); }

/* Sixteen at a time, without a branch: the nonzero ones are moved to the front, and all are stored. */
static int gather_some(ml_gemv_inputs *in, int *count, const float *x, int n) {
  __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  int p = 0, found = 0;
  for (; p + 16 <= n; p += 16, at = _mm512_add_epi32(at, _mm512_set1_epi32(16))) {
    const __m512 v = _mm512_loadu_ps(x + p);
    const __mmask16 nonzero = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(in->value + found, _mm512_maskz_compress_ps(nonzero, v));
    _mm512_storeu_si512(in->at + found, _mm512_maskz_compress_epi32(nonzero, at));
    found += __builtin_popcount(_cvtmask16_u32(nonzero)); /* gcc 12 may read 32 bits of a mask it stored as 16 */
  }
  *count = found;
  return p;
}

#define ML_GEMV_UNIT_NAME ml_gemv_avx512
#include "kernels/gemv_loops.h"
#endif
