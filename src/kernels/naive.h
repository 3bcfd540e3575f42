/* The slow, obvious version of every kernel, and of the losses: one loop after the formula, sums and functions in
 * double by libm, one rounding at the end, one thread. For tests only, which compare the fast kernels and the
 * operations with these. Arguments mean what they mean in kernels.h. */
#ifndef ML_NAIVE_H
#define ML_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/attention.h"
#include "kernels/conv.h"
#include "kernels/kernels.h"
#include "kernels/norm.h"
#include "kernels/pooling.h"
#include "kernels/recurrent.h"

void ml_naive_gemm(float *c, int64_t ldc, ml_matrix a, ml_matrix b, const float *bias, int64_t m, int64_t n, int64_t k);

/* naive_bf16.c: x rounded to bf16; ml_gemm in bf16 or, with `split`, bf16x3. Unlike the rest in f32, step by step as
 * bf16.h says, so that fast kernels can be compared to the bit. */
float ml_naive_bf16(float x);
void ml_naive_gemm_bf16(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_epilogue e, int64_t m, int64_t n, int64_t k,
                        bool split);

/* One element: f(x), f'(x) and x op y. */
double ml_naive_unary(double x, ml_unary f, double a);
double ml_naive_unary_slope(double x, ml_unary f, double a);
double ml_naive_binary(double x, double y, ml_binary op);

void ml_naive_map_unary(float *y, const float *x, int64_t n, ml_unary f, float a);
void ml_naive_map_unary_backward(float *dx, const float *dy, const float *x, int64_t n, ml_unary f, float a);
void ml_naive_map_binary(float *z, const float *x, const float *y, int64_t n, ml_binary op);
void ml_naive_map_binary_broadcast(float *z, const float *x, const float *y, const int64_t *shape, const int64_t *xs,
                                   const int64_t *ys, int ndim, ml_binary op);
void ml_naive_axpy(float *y, const float *x, int64_t n, float a);
void ml_naive_scale(float *y, const float *x, int64_t n, float a);
void ml_naive_fill(float *y, int64_t n, float value);
void ml_naive_copy(float *y, const float *x, int64_t n);
void ml_naive_dropout(float *y, const float *x, int64_t n, float p, ml_rng rng);
void ml_naive_transpose(float *y, const float *x, int64_t rows, int64_t cols);

void ml_naive_reduce_sum(float *y, const float *x, int64_t outer, int64_t n, int64_t inner, double scale);
void ml_naive_reduce_max(float *y, int32_t *index, const float *x, int64_t outer, int64_t n, int64_t inner, bool least);
double ml_naive_sum_squares(const float *x, int64_t n);
int64_t ml_naive_count_nonfinite(const float *x, int64_t n);

void ml_naive_softmax(float *y, const float *x, int64_t rows, int64_t c);
void ml_naive_log_softmax(float *y, const float *x, int64_t rows, int64_t c);
void ml_naive_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);
void ml_naive_log_softmax_backward(float *dx, const float *dy, const float *y, int64_t rows, int64_t c);

void ml_naive_gather_u8(float *y, const uint8_t *x, const int32_t *index, int64_t count, int64_t width,
                        const float table[256]);

/* ---- convolutions (naive_conv.c): results in double, to measure errors by ---- */

void ml_naive_conv2d_forward(double *y, const float *x, const float *w, const float *bias, bool relu,
                             const ml_conv2d *g);
void ml_naive_conv2d_dx(double *dx, const float *dy, const float *w, const ml_conv2d *g);
void ml_naive_conv2d_dw(double *dw, const float *dy, const float *x, const ml_conv2d *g);
void ml_naive_conv2d_db(double *db, const float *dy, const ml_conv2d *g);

/* ---- poolings (naive_pooling.c) ---- */

void ml_naive_maxpool2d_forward(float *y, int32_t *index, const float *x, const ml_pooling2d *g);
void ml_naive_maxpool2d_dx(double *dx, const float *dy, const int32_t *index, const ml_pooling2d *g);

/* By how much element (r, c) of a plane counts in the mean of window (i, j). */
double ml_naive_avgpool2d_weight(const ml_pooling2d *g, bool count_padding, int64_t i, int64_t j, int64_t r,
                                 int64_t c);
double ml_naive_adaptive_avgpool2d_weight(int64_t h, int64_t w, int64_t oh, int64_t ow, int64_t i, int64_t j,
                                          int64_t r, int64_t c);

/* ---- normalisation, PReLU, noise (naive_norm.c) ---- */

void ml_naive_batch_norm_forward(float *y, float *mean, float *rstd, float *var, const float *x, const ml_norm *g,
                                 double eps);
void ml_naive_batch_norm_apply(float *y, const float *x, const float *mean, const float *rstd, const ml_norm *g);
void ml_naive_group_norm_forward(float *y, float *mean, float *rstd, const float *x, const ml_norm *g, double eps);
/* Of batch norm or else of group norm; y is the output, which says where relu made it 0. All three outputs are wanted.
 */
void ml_naive_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *y,
                            const float *mean, const float *rstd, const ml_norm *g, bool batch, bool constant);
void ml_naive_prelu(float *y, const float *x, const float *w, int64_t n, int64_t c, int64_t inner);
void ml_naive_prelu_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, int64_t n,
                             int64_t c, int64_t inner);
void ml_naive_gaussian_noise(float *y, const float *x, int64_t n, float std, ml_rng rng);

/* ---- attention (naive_attention.c): the gradients are added to what dq, dk and dv hold ---- */

void ml_naive_attention_forward(float *y, float *p, const float *q, const float *k, const float *v,
                                const ml_attention *g);
void ml_naive_attention_backward(double *dq, double *dk, double *dv, const float *dy, const float *q, const float *k,
                                 const float *v, const float *p, const ml_attention *g);

/* ---- losses (naive_loss.c): the mean over rows as PyTorch defines it; dx[rows, c] (may be NULL) gets its gradient.
 * weight[c] may be NULL, which means ones. ---- */

/* Cross entropy of softmax(x[rows, c]) with labels: sum over rows of ((1 - s) w[label] (-ln p[label]) + s/c sum over
 * classes of w[j] (-ln p[j])), divided by the sum of w[label]; s is the smoothing. */
double ml_naive_cross_entropy(float *dx, const float *x, const int32_t *label, const float *weight, double smoothing,
                              int64_t rows, int64_t c);

/* The same with target probabilities [rows, c], smoothed to (1 - s) target + s/c, divided by the number of rows. */
double ml_naive_cross_entropy_soft(float *dx, const float *x, const float *target, const float *weight,
                                   double smoothing, int64_t rows, int64_t c);

/* Negative log likelihood of log probabilities x: -sum of w[label] x[label], divided by the sum of w[label]. */
double ml_naive_nll(float *dx, const float *x, const int32_t *label, const float *weight, int64_t rows, int64_t c);

/* Mean of (x - target)^2 over n elements. */
double ml_naive_mse(float *dx, const float *x, const float *target, int64_t n);

/* Means over n elements: src/ops/pair_loss.c has the formulas. weight repeats every `places` elements, NULL for ones.
 * */
double ml_naive_smooth_l1(float *dx, const float *x, const float *target, double beta, int64_t n);
double ml_naive_bce_with_logits(float *dx, const float *x, const float *target, const float *weight, int64_t places,
                                int64_t n);
/* Divided by `divisor`. */
double ml_naive_kl_div(float *dx, const float *x, const float *target, bool log_target, double divisor, int64_t n);

/* The multi-class hinge loss of src/ops/multi_margin.c. */
double ml_naive_multi_margin(float *dx, const float *x, const int32_t *label, const float *weight, int power,
                             double margin, int64_t rows, int64_t c);

/* naive_recurrent.c: arguments as in recurrent.h. Backward, state has 2 hidden doubles. */
void ml_naive_recurrent_forward(float *h, float *gates, float *cells, const float *w_hh, const float *b_hn,
                                const ml_recurrent *g);
void ml_naive_recurrent_backward(float *gates, const float *h, const float *cells, const float *dh, bool last,
                                 const float *w_hh, const ml_recurrent *g, double *state);

#endif
