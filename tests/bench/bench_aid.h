/* What the benches in C share: the clock, and memory that is there or ends the program. */
#ifndef BENCH_AID_H
#define BENCH_AID_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"

/* Seconds since some fixed time. */
static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Room for so many floats, from ml_alloc. */
static inline void *must_alloc(int64_t floats) {
  void *p = ml_alloc((size_t)floats * sizeof(float));
  if (!p) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return p;
}

/* n floats, uniform in [-1, 1). */
static inline float *random_floats(int64_t n, uint32_t seed) {
  float *x = must_alloc(n);
  ml_rng rng = ml_rng_make(seed, ML_STREAM_NOISE);
  ml_rng_uniform(x, (size_t)n, &rng, -1.0f, 1.0f);
  return x;
}

#endif
