/* The loops of the few-row product, for one instruction set. The file that includes this has defined ML_GEMV_UNIT_NAME,
 * the vector type `vec` and vec_all (a float in all elements), vec_load, vec_store, vec_fma (x w + s, rounded as in
 * that set's matrix kernel) and gather_some, which begins the work of gather and says how far it came.
 *
 * Sums are kept in memory, in L1, rather than in registers, so that weights are read a kilobyte at a time: the pace of
 * the L2 cache and of the prefetcher is what limits this product. */
#include <string.h>

#include "kernels/gemv_unit.h"

enum { LANES = sizeof(vec) / sizeof(float) };

/* The weights of one group of inputs, added to s[n] or, for the `first` one, to zeros. */
static inline __attribute__((always_inline)) void add_group(float *s, const float *value, const int32_t *at,
                                                            const float *w, int n, bool first) {
  const float *row[ML_GEMV_GROUP];
  vec x[ML_GEMV_GROUP];
  for (int g = 0; g < ML_GEMV_GROUP; g++) {
    row[g] = w + (int64_t)at[g] * n;
    x[g] = vec_all(value[g]);
  }
  for (int j = 0; j < n; j += LANES) {
    vec sum = first ? vec_all(0.0f) : vec_load(s + j);
#pragma GCC unroll 8
    for (int g = 0; g < ML_GEMV_GROUP; g++) sum = vec_fma(x[g], vec_load(row[g] + j), sum);
    vec_store(s + j, sum);
  }
}

static void strip(float *c, const ml_gemv_inputs *in, const float *w, int n, ml_finish f) {
  _Alignas(64) float s[ML_GEMV_STRIP];
  if (in->count == 0) memset(s, 0, (size_t)n * sizeof *s);
  for (int i = 0; i < in->count; i += ML_GEMV_GROUP) {
    if (i == 0) {
      add_group(s, in->value, in->at, w, n, true);
    } else {
      add_group(s, in->value + i, in->at + i, w, n, false);
    }
  }
  for (int j = 0; j < n; j++) {
    float v = s[j];
    if (f.add) v = c[j] + v;
    if (f.bias) v += f.bias[j];
    c[j] = f.relu && v < 0.0f ? 0.0f : v;
  }
}

/* A value is always stored; what is zero is overwritten by the next. */
static void gather(ml_gemv_inputs *in, const float *x, int n) {
  int count = 0;
  for (int p = gather_some(in, &count, x, n); p < n; p++) {
    in->value[count] = x[p];
    in->at[count] = p;
    count += x[p] != 0.0f;
  }
  while (count % ML_GEMV_GROUP != 0) {
    in->value[count] = 0.0f;
    in->at[count++] = 0;
  }
  in->count = count;
}

const ml_gemv_unit ML_GEMV_UNIT_NAME = {gather, strip};
