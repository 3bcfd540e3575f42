/* The multiply-add peak of AVX-512: 12 independent sums of 16 floats, as many as hide the latency of the two units that
 * add. Called by peak.c only, on processors that have the instructions. */
#include "kernels/peak.h"

#if defined(__x86_64__) && defined(__AVX512F__)
#include <immintrin.h>

enum { SUMS = 12, WIDTH = 16, TURNS = 4000 };

double ml_peak_avx512(void) {
  float start[SUMS][WIDTH] = {{0}}, factor[WIDTH];
  for (int j = 0; j < WIDTH; j++) factor[j] = 0.5f;
  __asm__ volatile("" : : "r"(start), "r"(factor) : "memory"); /* the compiler must not know that the sums are alike */
  __m512 s[SUMS], f = _mm512_loadu_ps(factor);
#pragma GCC unroll 12
  for (int j = 0; j < SUMS; j++) s[j] = _mm512_loadu_ps(start[j]);
  for (int i = 0; i < TURNS; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < SUMS; j++) s[j] = _mm512_fmadd_ps(s[j], f, f);
  }
#pragma GCC unroll 12
  for (int j = 0; j < SUMS; j++) _mm512_storeu_ps(start[j], s[j]);
  __asm__ volatile("" : : "r"(start) : "memory");
  return 2.0 * SUMS * WIDTH * TURNS;
}
#endif
