/* The multiply-add peak without instruction sets beyond the compiler's own: 8 independent sums of 4 floats, a
 * multiplication and an addition each, as the portable matrix kernel does them. */
#include "kernels/peak.h"
#include "kernels/vec4.h"

enum { SUMS = 8, TURNS = 4000 };

double ml_peak_portable(void) {
  float start[SUMS][4] = {{0}}, factor[4] = {0.5f, 0.5f, 0.5f, 0.5f};
  __asm__ volatile("" : : "r"(start), "r"(factor) : "memory"); /* the compiler must not know that the sums are alike */
  ml_vec4 s[SUMS], f = ml_vec4_load(factor);
#pragma GCC unroll 8
  for (int j = 0; j < SUMS; j++) s[j] = ml_vec4_load(start[j]);
  for (int i = 0; i < TURNS; i++) {
#pragma GCC unroll 8
    for (int j = 0; j < SUMS; j++) s[j] = s[j] * f + f;
  }
  for (int j = 0; j < SUMS; j++) ml_vec4_store(start[j], s[j]);
  __asm__ volatile("" : : "r"(start) : "memory");
  return 2.0 * SUMS * 4 * TURNS;
}
