/* Max pooling by 2x2 windows two apart, from the plane's corner on, as nearly every convolutional network has it: the
 * walk (pooling_halve.c), and the loops of one instruction set, which are in pooling_loops.h and which
 * pooling_portable.c, pooling_avx2.c and pooling_avx512.c compile once each. All give the same bits, those of the
 * general loops of pooling.c. Internal to src/kernels. */
#ifndef ML_POOLING_HALVE_H
#define ML_POOLING_HALVE_H

#include <stdint.h>

/* y[planes, h / 2, w / 2] and, unless NULL, index from x[planes, h, w], as ml_maxpool2d_forward. No threads. */
void ml_halve(float *y, int32_t *index, const float *x, int64_t planes, int64_t h, int64_t w);

/* dx[planes, h, w], as ml_maxpool2d_dx. No threads. */
void ml_halve_dx(float *dx, const float *dy, const int32_t *index, int64_t planes, int64_t h, int64_t w);

typedef struct ml_pooling_table {
  /* y[j] = the greatest of x[2j], x[2j + 1], x[w + 2j], x[w + 2j + 1], j < n; a NaN counts as greater. index[j], unless
   * index is NULL, is its place after x, the lowest at a tie, plus `first`. */
  void (*max2)(float *y, int32_t *index, const float *x, int64_t w, int64_t n, int32_t first);

  /* The gradients of these four elements for every j < n: dy[j] for the one that index[j] names, else 0. */
  void (*max2_dx)(float *dx, const float *dy, const int32_t *index, int64_t w, int64_t n, int32_t first);
} ml_pooling_table;

extern const ml_pooling_table ml_pooling_portable;
#ifdef __x86_64__
extern const ml_pooling_table ml_pooling_avx2, ml_pooling_avx512;
#endif

#endif
