/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A number is a pure function of a key (seed, stream) and a counter (epoch, step, sample, block), so it does not depend
 * on the number of threads, on the order of calls, or on how often a run was interrupted. An ml_rng is a value: copy it
 * freely. The fill functions begin at `block` and advance it past what they used. */
#ifndef ML_BASE_RNG_H
#define ML_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Who draws. Two users never share a stream, so adding draws to one changes nothing in another. */
typedef enum ml_stream {
  ML_STREAM_SCRIPT = 1,  /* ml.randn and the like in a script */
  ML_STREAM_INIT,        /* initial weights */
  ML_STREAM_SHUFFLE,     /* order of the samples in an epoch */
  ML_STREAM_SPLIT,       /* which samples are held out */
  ML_STREAM_DROPOUT,
  ML_STREAM_AUGMENT,
  ML_STREAM_NOISE,
  ML_STREAM_DIGITS,      /* the synthetic digits */
  ML_STREAM_MATH         /* math.random in a script */
} ml_stream;

typedef struct ml_rng {
  uint32_t seed, stream;                 /* the key */
  uint32_t epoch, step, sample, block;   /* the counter */
} ml_rng;

/* What a round of Philox4x32 multiplies words 0 and 2 by, and what it adds to the key: 2^32 over the golden ratio, and
 * 2^32 (sqrt(3) - 1). */
enum { ML_PHILOX_ROUNDS = 10 };
#define ML_PHILOX_M0 0xd2511f53u
#define ML_PHILOX_M1 0xcd9e8d57u
#define ML_PHILOX_K0 0x9e3779b9u
#define ML_PHILOX_K1 0xbb67ae85u

typedef struct ml_philox_block {
  uint32_t w0, w1, w2, w3;
} ml_philox_block;

/* Makes of a counter its block under key (k0, k1). For loops over many counters, which compilers vectorise; others call
 * ml_philox. By reference: a structure this small is passed packed into two registers, and unpacking it costs. */
static inline __attribute__((always_inline)) void ml_philox_rounds(ml_philox_block *c, uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
  for (int round = 0; round < ML_PHILOX_ROUNDS; round++) {
    const uint64_t p0 = (uint64_t)ML_PHILOX_M0 * c->w0, p1 = (uint64_t)ML_PHILOX_M1 * c->w2;
    c->w0 = (uint32_t)(p1 >> 32) ^ c->w1 ^ k0;
    c->w2 = (uint32_t)(p0 >> 32) ^ c->w3 ^ k1;
    c->w1 = (uint32_t)p1;
    c->w3 = (uint32_t)p0;
    k0 += ML_PHILOX_K0;
    k1 += ML_PHILOX_K1;
  }
}

/* One Philox4x32-10 block: out[0..3] from counter[0..3] and key[0..1]. */
void ml_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* A generator with a zero counter. */
ml_rng ml_rng_make(uint32_t seed, ml_stream stream);

/* The next block of four 32-bit numbers; advances rng->block. */
void ml_rng_next(uint32_t out[4], ml_rng *rng);

/* A 32-bit number as a float in [0, 1), from its upper 24 bits. */
float ml_rng_unit(uint32_t bits);

/* out[n] uniform in [low, high). */
void ml_rng_uniform(float *out, size_t n, ml_rng *rng, float low, float high);

/* out[n] normal with the given mean and standard deviation (Box-Muller, four numbers a block). */
void ml_rng_normal(float *out, size_t n, ml_rng *rng, float mean, float std);

/* out[n]: a permutation of 0..n-1, uniform over all (Fisher-Yates; bounded numbers by rejection). */
void ml_rng_permutation(uint32_t *out, uint32_t n, ml_rng *rng);

#endif
