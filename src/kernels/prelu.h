/* PReLU on x, seen as [n, c, inner]: one slope for each of c channels (c is 1 where all share one). Called by the
 * operation; allocates nothing, never fails, threaded inside; the same bits on any number of threads. */
#ifndef ML_PRELU_H
#define ML_PRELU_H

#include <stddef.h>
#include <stdint.h>

/* y = x where x > 0, else w[channel] x. */
void ml_prelu(float *y, const float *x, const float *w, int64_t n, int64_t c, int64_t inner);

/* dx = dy where x > 0, else w[channel] dy; dw[channel] = the sum of dy x where x is not > 0, in double. Either may be
 * NULL. work has ml_prelu_workspace floats, 64-byte aligned. */
size_t ml_prelu_workspace(int64_t n, int64_t c, int64_t inner);
void ml_prelu_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, int64_t n, int64_t c,
                       int64_t inner, float *work);

#endif
