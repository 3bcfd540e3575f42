/* Normalisation of x, seen as [n, c, inner] with c channels (inner is the size of an image; 1 for rows of features):
 * batch norm by channel over n and inner, group norm by sample over groups of channels, of which layer norm is the case
 * of one group. Called by the normalising operations; allocates nothing, never fails, threaded inside.
 *
 * Sums add eight products in float and then go on in double, always in the same order, so results have the same bits on
 * any number of threads and every instruction set. Means are taken from x minus its first value, so that a large common
 * offset costs no precision. Backward, every array is read twice at most, the second time out of the cache.
 *
 * weight and bias have c floats; NULL means ones and zeros. */
#ifndef ML_NORM_H
#define ML_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What comes out is halved: y, dy and index have [n, c, h / 2, w / 2]. */
typedef struct ml_norm_halving {
  int64_t h, w;             /* h w = inner <= ML_NORM_HALVED */
  int32_t *index;           /* the places in their planes of the elements that are left; forward writes it */
} ml_norm_halving;

enum { ML_NORM_HALVED = 4096 };

typedef struct ml_norm {
  int64_t n, c, inner;
  int64_t groups;           /* of channels, a divisor of c: group norm only */
  bool relu;                /* y = max(y, 0) afterwards, and its mask backward: batch norm only */
  const float *weight, *bias;
  const ml_norm_halving *halving; /* max pooling by 2x2 windows two apart in the end: batch norm only; or NULL */
} ml_norm;

/* ---- batch norm: mean, rstd and var have c floats ---- */

/* y = (x - mean) rstd weight + bias with mean and (biased) variance of each channel, rstd = 1 / sqrt(var + eps). Writes
 * all four outputs. n inner >= 1. */
void ml_batch_norm_forward(float *y, float *mean, float *rstd, float *var, const float *x, const ml_norm *g,
                           double eps);

/* The same y with given mean and rstd. */
void ml_batch_norm_apply(float *y, const float *x, const float *mean, const float *rstd, const ml_norm *g);

/* The gradients of x, weight and bias, each NULL if not wanted. With `constant` mean and rstd did not come from x. */
void ml_batch_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean,
                            const float *rstd, const ml_norm *g, bool constant);

/* ---- group norm: mean and rstd have n groups floats ---- */

void ml_group_norm_forward(float *y, float *mean, float *rstd, const float *x, const ml_norm *g, double eps);

/* work has ml_group_norm_workspace floats, 64-byte aligned. */
size_t ml_group_norm_workspace(const ml_norm *g);
void ml_group_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean,
                            const float *rstd, const ml_norm *g, float *work);

#endif
