/* Philox4x32-10 and what is made of its numbers: uniform, normal, permutations. Everything is a function of its
 * arguments; there is no state here. */
#include "base/rng.h"

#include <stdbool.h>

#include "base/fmath.h"

void ml_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
  ml_philox_block c = {counter[0], counter[1], counter[2], counter[3]};
  ml_philox_rounds(&c, key[0], key[1]);
  out[0] = c.w0;
  out[1] = c.w1;
  out[2] = c.w2;
  out[3] = c.w3;
}

ml_rng ml_rng_make(uint32_t seed, ml_stream stream) {
  return (ml_rng){.seed = seed, .stream = (uint32_t)stream};
}

void ml_rng_next(uint32_t out[4], ml_rng *rng) {
  const uint32_t counter[4] = {rng->epoch, rng->step, rng->sample, rng->block++};
  const uint32_t key[2] = {rng->seed, rng->stream};
  ml_philox(out, counter, key);
}

float ml_rng_unit(uint32_t bits) {
  return (float)(bits >> 8) * 0x1p-24f;
}

/* low + (high - low) * u may round up to high; the largest float below it is taken then. */
static float uniform(uint32_t bits, float low, float high) {
  float x = low + (high - low) * ml_rng_unit(bits);
  if (x < high || low >= high) return x;
  uint32_t b = ml_f32_to_bits(high);
  return high == 0.0f ? -0x1p-149f : ml_bits_to_f32(high > 0 ? b - 1 : b + 1);
}

void ml_rng_uniform(float *out, size_t n, ml_rng *rng, float low, float high) {
  uint32_t bits[4];
  for (size_t i = 0; i < n; i++) {
    if (i % 4 == 0) ml_rng_next(bits, rng);
    out[i] = uniform(bits[i % 4], low, high);
  }
}

/* Box-Muller: two uniform numbers give sqrt(-2 ln u) * (cos, sin)(2 pi v). u comes from all 32 bits and lies in (0, 1],
 * so that the largest result is sqrt(-2 ln 2^-33) = 6.8. */
static void normal_pair(float out[2], uint32_t u_bits, uint32_t v_bits) {
  float u = ((float)u_bits + 0.5f) * 0x1p-32f;
  float radius = __builtin_sqrtf(-2.0f * ml_logf(u));
  float turns = ml_rng_unit(v_bits);
  out[0] = radius * ml_cosf2pi(turns);
  out[1] = radius * ml_sinf2pi(turns);
}

void ml_rng_normal(float *out, size_t n, ml_rng *rng, float mean, float std) {
  for (size_t i = 0; i < n; i += 4) {
    uint32_t bits[4];
    float z[4];
    ml_rng_next(bits, rng);
    normal_pair(z, bits[0], bits[1]);
    normal_pair(z + 2, bits[2], bits[3]);
    for (size_t j = 0; j < 4 && i + j < n; j++) out[i + j] = mean + std * z[j];
  }
}

typedef struct bits_source {
  ml_rng *rng;
  uint32_t bits[4];
  unsigned used;
} bits_source;

static uint32_t next_bits(bits_source *source) {
  if (source->used == 4) {
    ml_rng_next(source->bits, source->rng);
    source->used = 0;
  }
  return source->bits[source->used++];
}

/* Uniform in 0..bound-1: the upper half of bits * bound; products whose lower half is below 2^32 mod bound would favour
 * some results and are drawn again (Lemire, "Fast random integer generation in an interval", 2019). */
static uint32_t bounded(bits_source *source, uint32_t bound) {
  uint32_t threshold = (0u - bound) % bound;
  for (;;) {
    uint64_t product = (uint64_t)next_bits(source) * bound;
    if ((uint32_t)product >= threshold) return (uint32_t)(product >> 32);
  }
}

void ml_rng_permutation(uint32_t *out, uint32_t n, ml_rng *rng) {
  bits_source source = {.rng = rng, .used = 4};
  for (uint32_t i = 0; i < n; i++) out[i] = i;
  for (uint32_t i = n; i > 1; i--) {
    uint32_t j = bounded(&source, i), swapped = out[i - 1];
    out[i - 1] = out[j];
    out[j] = swapped;
  }
}
