/* The few-row product for AVX2 with FMA. Called by gemv.c only, on processors that have both. */
#include "kernels/gemv_unit.h"

#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

typedef __m256 vec;

static inline vec vec_all(float x) { return _mm256_set1_ps(x); }
static inline vec vec_load(const float *x) { return _mm256_loadu_ps(x); }
static inline void vec_store(float *y, vec v) { _mm256_storeu_ps(y, v); }
static inline vec vec_fma(vec x, vec w, vec s) { return _mm256_fmadd_ps(x, w, s); }

/* Row m: the places of the bits that are set in m, in ascending order. */
static const uint8_t set_bits[16][4] = {{0},    {0},    {1},    {0, 1},    {2},    {0, 2},    {1, 2},    {0, 1, 2},
                                        {3},    {0, 3}, {1, 3}, {0, 1, 3}, {2, 3}, {0, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}};

/* Four at a time, without a branch: the nonzero ones are moved to the front, and all four are stored. */
static int gather_some(ml_gemv_inputs *in, int *count, const float *x, int n) {
  __m128i at = _mm_setr_epi32(0, 1, 2, 3);
  int p = 0, found = 0;
  for (; p + 4 <= n; p += 4, at = _mm_add_epi32(at, _mm_set1_epi32(4))) {
    const __m128 v = _mm_loadu_ps(x + p);
    const int nonzero = _mm_movemask_ps(_mm_cmp_ps(v, _mm_setzero_ps(), _CMP_NEQ_UQ));
    const __m128i front = _mm_cvtepu8_epi32(_mm_loadu_si32(set_bits[nonzero]));
    _mm_storeu_ps(in->value + found, _mm_permutevar_ps(v, front));
    _mm_storeu_ps((float *)(in->at + found), _mm_permutevar_ps(_mm_castsi128_ps(at), front));
    found += __builtin_popcount((unsigned)nonzero);
  }
  *count = found;
  return p;
}

#define ML_GEMV_UNIT_NAME ml_gemv_avx2
#include "kernels/gemv_loops.h"
#endif
