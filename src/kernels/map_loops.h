/* The element-wise loops, written once as plain C that compilers vectorise. Included by map_portable.c, map_avx2.c and
 * map_avx512.c, which define ML_MAP_TABLE_NAME and are compiled for their instruction set; by nothing else.
 *
 * NaN propagates through every function but ML_EQUAL. */
#include <math.h>

#include "base/fmath.h"
#include "base/integer.h"
#include "kernels/loop.h"
#include "kernels/map_table.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* ---- unary: v is x[i], a the parameter ---- */

#define UNARY_LOOP(name, value)                                                \
  static void unary_##name(float *y, const float *x, int64_t n, float a) {     \
    (void)a;                                                                   \
    ML_INDEPENDENT                                                             \
    for (int64_t i = 0; i < n; i++) {                                          \
      const float v = x[i];                                                    \
      y[i] = (value);                                                          \
    }                                                                          \
  }

/* e^v - 1 without cancellation, v <= 0: 2 t / (1 - t), t = tanh(v / 2). */
static inline float expm1_of_negative(float v) {
  const float t = ml_tanhf(0.5f * v);
  return 2.0f * t / (1.0f - t);
}

/* The standard normal distribution and its density. */
static inline float normal_cdf(float v) { return 0.5f * (1.0f + ml_erff(v * 0x1.6a09e6p-1f)); }
static inline float normal_pdf(float v) { return 0x1.988454p-2f * ml_expf(-0.5f * v * v); }

UNARY_LOOP(neg, -v)
UNARY_LOOP(exp, ml_expf(v))
UNARY_LOOP(log, ml_logf(v))
UNARY_LOOP(sqrt, sqrtf(v))
UNARY_LOOP(abs, ml_absf(v))
UNARY_LOOP(relu, v < 0.0f ? 0.0f : v)
UNARY_LOOP(leaky_relu, v < 0.0f ? a * v : v)
UNARY_LOOP(elu, v > 0.0f ? v : a * expm1_of_negative(v))
UNARY_LOOP(gelu, v * normal_cdf(v))
UNARY_LOOP(silu, v * ml_sigmoidf(v))
UNARY_LOOP(sigmoid, ml_sigmoidf(v))
UNARY_LOOP(tanh, ml_tanhf(v))

/* ---- their derivatives: g is dy[i], v is x[i], r is y[i] ---- */

#define BACKWARD_LOOP(name, value)                                                                                     \
  static void backward_##name(float *dx, const float *dy, const float *x, const float *y, int64_t n, float a) {        \
    (void)a;                                                                                                           \
    ML_INDEPENDENT                                                                                                     \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
      const float g = dy[i], v = x[i], r = y[i];                                                                       \
      (void)v;                                                                                                         \
      (void)r;                                                                                                         \
      dx[i] = (value);                                                                                                 \
    }                                                                                                                  \
  }

/* d(v s(v))/dv = s (1 + v (1 - s)) */
static inline float silu_slope(float v) {
  const float s = ml_sigmoidf(v);
  return s * (1.0f + v * (1.0f - s));
}

BACKWARD_LOOP(neg, -g)
BACKWARD_LOOP(exp, g * r)
BACKWARD_LOOP(log, g / v)
BACKWARD_LOOP(sqrt, g / (2.0f * r))
BACKWARD_LOOP(abs, v < 0.0f ? -g : (v == 0.0f ? 0.0f : g))
BACKWARD_LOOP(relu, v <= 0.0f ? 0.0f : g)
BACKWARD_LOOP(leaky_relu, v <= 0.0f ? a * g : g)
BACKWARD_LOOP(elu, v > 0.0f ? g : g * (r + a)) /* d(a (e^v - 1))/dv = a e^v = r + a */
BACKWARD_LOOP(gelu, g * (normal_cdf(v) + v * normal_pdf(v)))
BACKWARD_LOOP(silu, g * silu_slope(v))
BACKWARD_LOOP(sigmoid, g * (r * (1.0f - r)))
BACKWARD_LOOP(tanh, g * (1.0f - r * r))

/* ---- binary: v is from x, w from y ---- */

#define BINARY_STRIDED(xi, yi, value)                                                                                  \
  ML_INDEPENDENT                                                                                                       \
  for (int64_t i = 0; i < n; i++) {                                                                                    \
    const float v = x[xi], w = y[yi];                                                                                  \
    z[i] = (value);                                                                                                    \
  }

/* The cases worth a loop of their own: both contiguous; one of them a single value. */
#define BINARY_LOOP(name, value)                                                                                       \
  static void binary_##name(float *z, const float *x, const float *y, int64_t n, int64_t xs, int64_t ys) {             \
    if (xs == 1 && ys == 1) {                                                                                          \
      BINARY_STRIDED(i, i, value)                                                                                      \
    } else if (xs == 1 && ys == 0) {                                                                                   \
      const float w = y[0];                                                                                            \
      ML_INDEPENDENT                                                                                                   \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        const float v = x[i];                                                                                          \
        z[i] = (value);                                                                                                \
      }                                                                                                                \
    } else if (xs == 0 && ys == 1) {                                                                                   \
      const float v = x[0];                                                                                            \
      ML_INDEPENDENT                                                                                                   \
      for (int64_t i = 0; i < n; i++) {                                                                                \
        const float w = y[i];                                                                                          \
        z[i] = (value);                                                                                                \
      }                                                                                                                \
    } else {                                                                                                           \
      BINARY_STRIDED(i * xs, i * ys, value)                                                                            \
    }                                                                                                                  \
  }

/* The greater one; w if they compare equal; NaN if either is. */
static inline float maximum(float v, float w) {
  const float greater = v > w ? v : w; /* w if v is NaN */
  return v == v ? greater : v;
}

static inline float minimum(float v, float w) {
  const float least = v < w ? v : w;
  return v == v ? least : v;
}

BINARY_LOOP(add, v + w)
BINARY_LOOP(sub, v - w)
BINARY_LOOP(mul, v * w)
BINARY_LOOP(div, v / w)
BINARY_LOOP(pow, ml_powf(v, w))
BINARY_LOOP(maximum, maximum(v, w))
BINARY_LOOP(minimum, minimum(v, w))
BINARY_LOOP(equal, v == w ? 1.0f : 0.0f)

static void axpy(float *y, const float *x, int64_t n, float a) {
  ML_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void scale(float *y, const float *x, int64_t n, float a) {
  ML_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = a * x[i];
}

/* y = scale x + offset in double, whose 53 bits leave the floats that the bytes' table holds. */
static void bytes_line(float *restrict y, const uint8_t *restrict x, int64_t n, double scale, double offset) {
  for (int64_t i = 0; i < n; i++) y[i] = (float)(scale * (double)x[i] + offset);
}

/* ---- dropout ---- */

enum { LANES = ML_DROPOUT_STEP / ML_PHILOX_WORDS };

/* words[4 l + w] = word w of Philox4x32-10 block rng.block + l, as ml_philox computes it, for LANES blocks at once. */
#ifdef __AVX2__
/* Four blocks at a time, a word in the lower half of each 64-bit lane, where vpmuludq reads it; upper halves are
 * rubbish until the end. Compilers do not find this by themselves. */
static inline void philox_4(uint32_t words[4 * ML_PHILOX_WORDS], ml_rng rng) {
  __m256i c0 = _mm256_set1_epi64x(rng.epoch), c1 = _mm256_set1_epi64x(rng.step);
  __m256i c2 = _mm256_set1_epi64x(rng.sample);
  __m256i c3 = _mm256_add_epi32(_mm256_set1_epi64x(rng.block), _mm256_set_epi64x(3, 2, 1, 0));
  const __m256i m0 = _mm256_set1_epi64x(ML_PHILOX_M0), m1 = _mm256_set1_epi64x(ML_PHILOX_M1);
  for (uint32_t round = 0; round < ML_PHILOX_ROUNDS; round++) {
    const __m256i p0 = _mm256_mul_epu32(c0, m0), p1 = _mm256_mul_epu32(c2, m1);
    const __m256i k0 = _mm256_set1_epi64x(rng.seed + round * ML_PHILOX_K0);
    const __m256i k1 = _mm256_set1_epi64x(rng.stream + round * ML_PHILOX_K1);
    c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1), k0);
    c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3), k1);
    c1 = p1;
    c3 = p0;
  }
  const __m256i w01 = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa);
  const __m256i w23 = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
  const __m256i even = _mm256_unpacklo_epi64(w01, w23), odd = _mm256_unpackhi_epi64(w01, w23); /* blocks 0 2, 1 3 */
  _mm256_storeu_si256((__m256i *)words, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256((__m256i *)(words + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}

static void philox_lanes(uint32_t words[ML_DROPOUT_STEP], ml_rng rng) {
#pragma GCC unroll 4
  for (int l = 0; l < LANES; l += 4, rng.block += 4) philox_4(words + ML_PHILOX_WORDS * l, rng);
}
#else
static void philox_lanes(uint32_t words[ML_DROPOUT_STEP], ml_rng rng) {
  uint32_t w0[LANES], w1[LANES], w2[LANES], w3[LANES];
  for (uint32_t l = 0; l < LANES; l++) {
    ml_philox_block c = {rng.epoch, rng.step, rng.sample, rng.block + l};
    ml_philox_rounds(&c, rng.seed, rng.stream);
    w0[l] = c.w0;
    w1[l] = c.w1;
    w2[l] = c.w2;
    w3[l] = c.w3;
  }
  for (int l = 0; l < LANES; l++) {
    words[4 * l] = w0[l];
    words[4 * l + 1] = w1[l];
    words[4 * l + 2] = w2[l];
    words[4 * l + 3] = w3[l];
  }
}
#endif

/* y = keep ? x / (1 - p) : 0, where keep is: the word's upper 24 bits, as a number in [0, 1), are not below p. */
static void dropout(float *y, const float *x, int64_t n, float p, ml_rng rng) {
  const float factor = 1.0f / (1.0f - p);
  uint32_t words[ML_DROPOUT_STEP];
  for (int64_t begin = 0; begin < n; begin += ML_DROPOUT_STEP, rng.block += LANES) {
    const int64_t count = ml_min64(n - begin, ML_DROPOUT_STEP);
    philox_lanes(words, rng);
    ML_INDEPENDENT
    for (int64_t i = 0; i < count; i++) {
      const float u = (float)(int32_t)(words[i] >> 8) * 0x1p-24f;
      y[begin + i] = u >= p ? factor * x[begin + i] : 0.0f;
    }
  }
}

/* y = x + std z, z as ml_rng_normal draws it: of each pair of words one gives the radius, the other the angle. */
static void gaussian_noise(float *y, const float *x, int64_t n, float std, ml_rng rng) {
  uint32_t words[ML_DROPOUT_STEP];
  float z[ML_DROPOUT_STEP];
  for (int64_t begin = 0; begin < n; begin += ML_DROPOUT_STEP, rng.block += LANES) {
    const int64_t count = ml_min64(n - begin, ML_DROPOUT_STEP);
    philox_lanes(words, rng);
    ML_INDEPENDENT
    for (int64_t i = 0; i < ML_DROPOUT_STEP / 2; i++) {
      const uint32_t bits = words[2 * i];
      const float u = ((float)bits + 0.5f) * 0x1p-32f;
      const float radius = sqrtf(-2.0f * ml_logf(u)), turns = (float)(int32_t)(words[2 * i + 1] >> 8) * 0x1p-24f;
      z[2 * i] = radius * ml_cosf2pi(turns);
      z[2 * i + 1] = radius * ml_sinf2pi(turns);
    }
    ML_INDEPENDENT
    for (int64_t i = 0; i < count; i++) y[begin + i] = x[begin + i] + std * z[i];
  }
}

const ml_map_table ML_MAP_TABLE_NAME = {
    .unary = {[ML_NEG] = unary_neg, [ML_EXP] = unary_exp, [ML_LOG] = unary_log, [ML_SQRT] = unary_sqrt,
              [ML_ABS] = unary_abs, [ML_RELU] = unary_relu, [ML_LEAKY_RELU] = unary_leaky_relu, [ML_ELU] = unary_elu,
              [ML_GELU] = unary_gelu, [ML_SILU] = unary_silu, [ML_SIGMOID] = unary_sigmoid, [ML_TANH] = unary_tanh},
    .unary_backward = {[ML_NEG] = backward_neg, [ML_EXP] = backward_exp, [ML_LOG] = backward_log,
                       [ML_SQRT] = backward_sqrt, [ML_ABS] = backward_abs, [ML_RELU] = backward_relu,
                       [ML_LEAKY_RELU] = backward_leaky_relu, [ML_ELU] = backward_elu, [ML_GELU] = backward_gelu,
                       [ML_SILU] = backward_silu, [ML_SIGMOID] = backward_sigmoid, [ML_TANH] = backward_tanh},
    .binary = {[ML_ADD] = binary_add, [ML_SUB] = binary_sub, [ML_MUL] = binary_mul, [ML_DIV] = binary_div,
               [ML_POW] = binary_pow, [ML_MAXIMUM] = binary_maximum, [ML_MINIMUM] = binary_minimum,
               [ML_EQUAL] = binary_equal},
    .axpy = axpy,
    .scale = scale,
    .dropout = dropout,
    .gaussian_noise = gaussian_noise,
    .bytes_line = bytes_line,
};
