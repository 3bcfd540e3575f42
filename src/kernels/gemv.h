/* One row, or a few, times a layer's weight: what a single image costs. Called by src/ops for inference.
 *
 * Where pixels lie in 0..1, four fifths are zeros, and so are half of the activations behind a ReLU; a zero adds
 * nothing to any output. So the weight w[n, k] is copied once into strips of outputs, in which the weights of one input
 * lie together, and a product reads only those of the inputs that are not zero.
 *
 * Results are ml_gemm's in f32, bit for bit (the sign of a zero apart): an element is the same chain of multiply-adds
 * over ascending inputs in the same blocks. Leaving out a zero changes nothing as long as every weight is finite, since
 * 0 times infinity is NaN; ml_gemv_pack says whether they are. */
#ifndef ML_GEMV_H
#define ML_GEMV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* Floats of the copy of w[n, k]; 0 if that is nothing, or more than can be counted. */
size_t ml_gemv_floats(int64_t n, int64_t k);

/* strips = w[n, k]: for every 256 outputs (the last strip may have fewer, c) a transpose [k][c]. False, with strips not
 * to be used, if a weight is NaN or infinite. Threaded inside. n, k >= 1. */
bool ml_gemv_pack(float *strips, const float *w, int64_t n, int64_t k);

/* y[m, n] = epilogue(x[m, k] w^T) from ml_gemv_pack's strips. A NaN in x reaches its whole row. Where there are many
 * zeros it runs in the caller's thread, as it is over before another would wake. n, k >= 1. */
void ml_gemv(float *y, const float *x, const float *strips, ml_epilogue e, int64_t m, int64_t n, int64_t k);

#endif
