/* exp, log, tanh, erf, sigmoid, sine and cosine of a float by polynomials, in plain float arithmetic without branches
 * that stop a compiler from vectorising. libm picks its code by CPU, so its last bit may differ between machines; these
 * do not. They are inline because the loops of src/kernels are compiled once per instruction set around them.
 *
 * NaN in gives NaN out everywhere. Largest errors measured against double libm are stated at each function, in units in
 * the last place of the exact result. The coefficients are near-minimax fits made for these intervals. */
#ifndef ML_BASE_FMATH_H
#define ML_BASE_FMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float ml_bits_to_f32(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline uint32_t ml_f32_to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Adding this to |x| <= 2^22 leaves round(x) in the low bits of the sum; subtracting it again gives round(x). */
#define ML_ROUNDER 0x1.8p23f

static inline float ml_absf(float x) {
  return ml_bits_to_f32(ml_f32_to_bits(x) & 0x7fffffffu);
}

/* |magnitude| with the sign of sign. */
static inline float ml_copysignf(float magnitude, float sign) {
  return ml_bits_to_f32((ml_f32_to_bits(magnitude) & 0x7fffffffu) | (ml_f32_to_bits(sign) & 0x80000000u));
}

/* 2^n for -126 <= n <= 127, n in two's complement. */
static inline float ml_exp2i(uint32_t n) {
  return ml_bits_to_f32((n + 127u) << 23);
}

/* e^x, 1.1 ulp. exp(n ln 2 + r) = 2^n * (1 + r + r^2 P(r)), |r| <= ln(2) / 2. Underflow is gradual. */
static inline float ml_expf(float x) {
  float c = x > -104.0f ? x : -104.0f; /* below -103.98 the result is 0, and NaN goes here too */
  c = c < 89.0f ? c : 89.0f;           /* above 88.73 it is infinite */
  float shifted = c * 0x1.715476p+0f + ML_ROUNDER;
  uint32_t n = ml_f32_to_bits(shifted) - ml_f32_to_bits(ML_ROUNDER); /* -150..128 */
  float nf = shifted - ML_ROUNDER;
  float r = (c - nf * 0x1.63p-1f) - nf * -0x1.bd0106p-13f; /* nf * the first is exact */
  float p = 0x1.6d1270p-10f;
  p = p * r + 0x1.120cd4p-7f;
  p = p * r + 0x1.555518p-5f;
  p = p * r + 0x1.5554dcp-3f;
  p = p * r + 0.5f;
  float y = 1.0f + (r + r * r * p);
  uint32_t half = ((n + 512u) >> 1) - 256u; /* n / 2 rounded down; 2^n in two factors, so that it need not be normal */
  y = y * ml_exp2i(half) * ml_exp2i(n - half);
  return x == x ? y : x;
}

/* ln x, 0.9 ulp; -inf for 0, NaN for x < 0. ln(2^e (1 + f)) = e ln 2 + f - f^2 / 2 + f^3 P(f) with
 * sqrt(1/2) <= 1 + f < sqrt(2). */
static inline float ml_logf(float x) {
  float scaled = x < 0x1p-126f ? x * 0x1p23f : x; /* subnormals become normal */
  float e_shift = x < 0x1p-126f ? -23.0f : 0.0f;
  uint32_t bits = ml_f32_to_bits(scaled);
  uint32_t e = ((bits - 0x3f3504f3u + 0x40000000u) >> 23) - 128u; /* 0x3f3504f3: sqrt(1/2) */
  float f = ml_bits_to_f32(bits - (e << 23)) - 1.0f;
  float ef = (float)(int32_t)e + e_shift;
  float p = 0x1.1d8ea6p-4f;
  p = p * f - 0x1.d635bcp-4f;
  p = p * f + 0x1.dea282p-4f;
  p = p * f - 0x1.fcf4c6p-4f;
  p = p * f + 0x1.23d21ap-3f;
  p = p * f - 0x1.555b4ap-3f;
  p = p * f + 0x1.999d5ap-3f;
  p = p * f - 0x1.fffffcp-3f;
  p = p * f + 0x1.555554p-2f;
  float ff = f * f;
  float y = (f * ff * p + ef * -0x1.bd0106p-13f) - 0.5f * ff;
  y = (f + y) + ef * 0x1.63p-1f;
  y = x < INFINITY ? y : x;
  y = x == 0.0f ? -INFINITY : y;
  return x < 0.0f ? NAN : y;
}

/* tanh x, 1.4 ulp: x + x^3 P(x^2) for |x| < 0.625, else 1 - 2 / (e^2|x| + 1) with the sign of x. */
static inline float ml_tanhf(float x) {
  float a = ml_absf(x), z = x * x;
  float p = -0x1.8c2d0ap-8f;
  p = p * z + 0x1.576e30p-6f;
  p = p * z - 0x1.b91582p-5f;
  p = p * z + 0x1.110dd8p-3f;
  p = p * z - 0x1.555552p-2f;
  float small = a + a * (z * p);
  float large = 1.0f - 2.0f / (ml_expf(2.0f * a) + 1.0f);
  return ml_copysignf(a < 0.625f ? small : large, x);
}

/* 1 / (1 + e^-x), 2.4 ulp, without cancellation for negative x. */
static inline float ml_sigmoidf(float x) {
  float e = ml_expf(-ml_absf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/* The error function, 1.5 ulp: x + x P(x^2) for |x| < 0.875, else 1 - e^Q(|x|), Q fitted to ln erfc, with the sign of
 * x. */
static inline float ml_erff(float x) {
  float a = ml_absf(x), z = x * x;
  float p = -0x1.45d2c0p-11f;
  p = p * z + 0x1.49eebap-8f;
  p = p * z - 0x1.b6f9c4p-6f;
  p = p * z + 0x1.ce218ep-4f;
  p = p * z - 0x1.81270ep-2f;
  p = p * z + 0x1.06eba6p-3f;
  float small = x + x * p;
  float t = a > 4.0f ? 4.0f : a; /* erf(4) rounds to 1 */
  float q = 0x1.b8612ap-20f;
  q = q * t - 0x1.82c518p-15f;
  q = q * t + 0x1.39044ep-11f;
  q = q * t - 0x1.37eddcp-8f;
  q = q * t + 0x1.b0d542p-6f;
  q = q * t - 0x1.c2d69ep-4f;
  q = q * t - 0x1.438174p-1f;
  q = q * t - 0x1.2155d4p+0f;
  q = q * t + 0x1.499e38p-12f;
  float large = ml_copysignf(1.0f - ml_expf(q), x);
  return a < 0.875f ? small : large;
}

/* sin(pi / 2 * (4 x + quadrant)), from sine and cosine of pi / 2 * r, |r| <= 1/2. */
static inline float ml_quarter_wave(float x, uint32_t quadrant) {
  float t = ml_absf(x) < 0x1p20f ? 4.0f * x : 0.0f * x;
  float shifted = t + ML_ROUNDER;
  float r = t - (shifted - ML_ROUNDER), z = r * r;
  uint32_t q = ml_f32_to_bits(shifted) + quadrant; /* the lowest bits of ML_ROUNDER are 0 */
  float s = 0x1.4cb762p-13f;
  s = s * z - 0x1.32ce1ep-8f;
  s = s * z + 0x1.466bc2p-4f;
  s = s * z - 0x1.4abbcep-1f;
  s = r * 0x1.921fb6p+0f + r * (z * s - 0x1.777a5cp-25f); /* pi / 2 in two parts */
  float c = 0x1.db6492p-11f;
  c = c * z - 0x1.55cb98p-6f;
  c = c * z + 0x1.03c1eap-2f;
  c = c * z - 0x1.3bd3ccp+0f;
  c = 1.0f + z * c;
  float y = (q & 1u) != 0 ? c : s;
  return ml_bits_to_f32(ml_f32_to_bits(y) ^ ((q & 2u) << 30));
}

/* sin(2 pi x), x in turns: 1.6 ulp, and zeros and extremes are exact. Beyond |x| = 2^20 any finite x counts as a whole
 * number of turns. */
static inline float ml_sinf2pi(float x) {
  return ml_quarter_wave(x, 0);
}

/* cos(2 pi x), likewise. */
static inline float ml_cosf2pi(float x) {
  return ml_quarter_wave(x, 1);
}

/* x^y by double pow rounded to float: a negative x is fine with an integer y. Not vectorised. */
static inline float ml_powf(float x, float y) {
  return (float)pow((double)x, (double)y);
}

#endif
