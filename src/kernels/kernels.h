/* The numerical loops: float * in, float * out, void. They know no tensors, allocate nothing and never fail; callers
 * have checked shapes and hand over any workspace. Each is built once per instruction set, and the one that base/cpu.h
 * names is called. naive.h has the slow, obvious version of each, which tests compare with.
 *
 * Every kernel gives the same bits on 1, 2 or any number of threads: outputs are split in chunks whose size depends on
 * the problem, sums inside a chunk run in a fixed order, and chunks of a reduction are combined in ascending order. All
 * but f32 matrix products, which use fused multiply-adds where there are any, also give the same bits on every
 * instruction set.
 *
 * NaN: a NaN in gives some NaN out, in the elements (or rows) that depend on it. Exceptions: ML_EQUAL gives 0, ML_POW
 * follows pow (NaN^0 is 1), ml_dropout gives 0 where it drops, and the slopes of relu, leaky relu and abs count a NaN
 * as positive. The sign of a zero is not promised. Outputs may overlap inputs only where a kernel says so, and then
 * begin at the same element. */
#ifndef ML_KERNELS_H
#define ML_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- matrix product (gemm.c) ---- */

/* A row-major matrix seen through strides: element (i, j) is data[i * row + j * col]. A transpose swaps the two. */
typedef struct ml_matrix {
  const float *data;
  int64_t row, col;
} ml_matrix;

/* Floats of workspace that ml_gemm wants for these sizes. */
size_t ml_gemm_workspace(int64_t m, int64_t n, int64_t k);

/* What is done to an element of column j before it is stored: v += bias[j] unless NULL, then max(v, 0) with `relu`. The
 * same as ML_ADD and ML_RELU afterwards, bit for bit. */
typedef struct ml_epilogue {
  const float *bias;
  bool relu;
} ml_epilogue;

#define ML_NO_EPILOGUE ((ml_epilogue){.bias = NULL})

/* c[m,n] = epilogue(a[m,k] b[k,n]), in the precision in use (kernels/precision.h). c is row-major with leading
 * dimension ldc and is overwritten. work has ml_gemm_workspace(m, n, k) floats (at most 12 MB, however large the
 * product), 64-byte aligned. k of 0 gives the epilogue of zeros. A row of c does not depend on m: computed alone or
 * among others, it has the same bits. In f32, products that are zero for some neighbouring rows of a, or columns of b,
 * are left out where there are many. */
void ml_gemm(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_epilogue e, int64_t m, int64_t n, int64_t k,
             float *work);

/* ---- element-wise: n contiguous floats; the output may be an input; threaded inside ---- */

typedef enum ml_unary {
  ML_NEG, ML_EXP, ML_LOG, ML_SQRT, ML_ABS,
  ML_RELU, ML_LEAKY_RELU /* a = slope */, ML_ELU /* a = alpha */, ML_GELU /* exact: x Phi(x) */, ML_SILU,
  ML_SIGMOID, ML_TANH, ML_UNARY_COUNT
} ml_unary;

typedef enum ml_binary { ML_ADD, ML_SUB, ML_MUL, ML_DIV, ML_POW, ML_MAXIMUM, ML_MINIMUM, ML_EQUAL, ML_BINARY_COUNT }
    ml_binary;

/* y = f(x). a is the parameter of leaky relu and elu. */
void ml_map_unary(float *y, const float *x, int64_t n, ml_unary f, float a);

/* dx = dy f'(x), where y = f(x) is also at hand. dx may be dy. At 0, relu and abs have derivative 0, leaky relu
 * and elu a. */
void ml_map_unary_backward(float *dx, const float *dy, const float *x, const float *y, int64_t n, ml_unary f, float a);

/* z[n] = x[n] op y[n]. maximum and minimum are NaN if either operand is. */
void ml_map_binary(float *z, const float *x, const float *y, int64_t n, ml_binary op);

/* A broadcast: z has `ndim` dimensions `shape`; x and y are read with element strides xs and ys (0 where that operand
 * is repeated). ML_EQUAL gives 1 or 0. ndim <= 8. z may be an operand that is not repeated and lies like z. */
void ml_map_binary_broadcast(float *z, const float *x, const float *y, const int64_t *shape, const int64_t *xs,
                             const int64_t *ys, int ndim, ml_binary op);

void ml_axpy(float *y, const float *x, int64_t n, float a);        /* y += a x */
void ml_scale(float *y, const float *x, int64_t n, float a);       /* y = a x */
void ml_fill(float *y, int64_t n, float value);
void ml_copy(float *y, const float *x, int64_t n);
/* y = x mask, mask of 0 or 1/(1-p) from a counter-based stream: used forward and, on dy, backward. Element i is kept if
 * ml_rng_unit of word i % 4 of the stream's block rng.block + i / 4 is at least p. 0 <= p <= 1. */
struct ml_rng;
void ml_dropout(float *y, const float *x, int64_t n, float p, struct ml_rng rng);
/* y = x + std z, z being what ml_rng_normal draws from the stream with mean 0 and deviation 1. */
void ml_gaussian_noise(float *y, const float *x, int64_t n, float std, struct ml_rng rng);

/* ---- moving data ---- */

/* y[cols, rows] = transpose of x[rows, cols]. y must not be x. */
void ml_transpose(float *y, const float *x, int64_t rows, int64_t cols);

/* ---- reductions; x seen as [outer, n, inner], result [outer, inner]; sums in double, rounded once ---- */

void ml_reduce_sum(float *y, const float *x, int64_t outer, int64_t n, int64_t inner, double scale);

/* For out = relu(z + bias): dz = the gradient of z, db[cols] = its sum over rows; all others [rows, cols]. What
 * ml_map_unary_backward and ml_reduce_sum give, bit for bit, in one walk. dz may be dy. */
void ml_relu_bias_backward(float *dz, float *db, const float *dy, const float *out, int64_t rows, int64_t cols);

/* The same, and dz packed (kernels/packed.h): as the left operand {ML_LEFT, rows, cols}, and its transpose as the left
 * operand {ML_LEFT, cols, rows}. Either may be NULL. */
void ml_relu_bias_backward_packed(float *dz, float *db, const float *dy, const float *out, int64_t rows, int64_t cols,
                                  float *left, float *left_t);

/* Greatest (or with `least` smallest) value; index[outer, inner] (may be NULL) gets its place 0..n-1, the lowest
 * at a tie. A NaN counts as the greatest (or smallest), as in PyTorch. n >= 1. */
void ml_reduce_max(float *y, int32_t *index, const float *x, int64_t outer, int64_t n, int64_t inner, bool least);

/* Sum of squares of x[n], in double. */
double ml_sum_squares(const float *x, int64_t n);

/* Number of elements that are NaN or infinite. */
int64_t ml_count_nonfinite(const float *x, int64_t n);

/* ---- rows of logits x[rows, c]; the output may be the first input. Any finite values and -inf are fine; a row with
 * +inf, or of nothing but -inf, gives NaN, as in PyTorch ---- */

void ml_softmax(float *y, const float *x, int64_t rows, int64_t c);
void ml_log_softmax(float *y, const float *x, int64_t rows, int64_t c);
void ml_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);
void ml_log_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);

/* ---- bytes to floats: the loader's gather ---- */

/* What each byte stands for. With `linear`, every table[v] is also (float)(scale * v + offset), computed in double. */
typedef struct ml_byte_values {
  float table[256];
  bool linear;
  double scale, offset;
} ml_byte_values;

/* table[v] = (v / 255 - mean) / std, computed in double. */
void ml_byte_values_normalise(ml_byte_values *values, double mean, double std);

/* y[count, width] = table[x[index[i] * width + j]]; single-threaded, it runs as a pool job. */
void ml_gather_u8(float *y, const uint8_t *x, const int32_t *index, int64_t count, int64_t width,
                  const ml_byte_values *values);

#endif
