/* What is done to gradients before an optimizer's step and to weights after it: clipping, the max-norm constraint,
 * running averages. Called by src/bind. Works on all threads; the same bits on any number of them. */
#ifndef ML_OPTIM_WEIGHTS_H
#define ML_OPTIM_WEIGHTS_H

#include <stdint.h>

/* Brings every g[n] into -limit .. limit. */
void ml_clamp(float *g, int64_t n, float limit);

/* Max-norm (Srivastava et al., JMLR 2014): a row of w[rows, cols] whose Euclidean norm is above limit is scaled to
 * have it. A row holds the weights that enter one unit. */
void ml_limit_rows(float *w, int64_t rows, int64_t cols, double limit);

/* s = s + share (w - s), element by element: with 1 - decay the exponential moving average, with 1 / (k + 1) the mean
 * of k + 1 values. */
void ml_average(float *s, const float *w, int64_t n, float share);

#endif
