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
  ML_STREAM_DIGITS       /* the synthetic digits */
} ml_stream;

typedef struct ml_rng {
  uint32_t seed, stream;                 /* the key */
  uint32_t epoch, step, sample, block;   /* the counter */
} ml_rng;

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
