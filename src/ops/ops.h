/* Every operation by its C name, for the list and for the tests. */
#ifndef ML_OPS_OPS_H
#define ML_OPS_OPS_H

#include "ops/op.h"

/* unary.c */
extern const ml_op ml_op_neg, ml_op_exp, ml_op_log, ml_op_sqrt, ml_op_abs;
extern const ml_op ml_op_relu, ml_op_leaky_relu, ml_op_elu, ml_op_gelu, ml_op_silu, ml_op_sigmoid, ml_op_tanh;
/* arithmetic.c, pow.c, maximum.c, eq.c */
extern const ml_op ml_op_add, ml_op_sub, ml_op_mul, ml_op_div, ml_op_pow, ml_op_maximum, ml_op_minimum, ml_op_eq;
/* reduce.c */
extern const ml_op ml_op_sum, ml_op_mean, ml_op_max, ml_op_min, ml_op_argmax, ml_op_argmin;
/* matmul.c, linear.c */
extern const ml_op ml_op_matmul, ml_op_linear, ml_op_linear_relu;
/* conv.c, pooling.c */
extern const ml_op ml_op_conv2d, ml_op_conv2d_relu;
extern const ml_op ml_op_max_pool2d, ml_op_avg_pool2d, ml_op_adaptive_avg_pool2d;
/* movement.c */
extern const ml_op ml_op_t, ml_op_reshape, ml_op_rows, ml_op_slice, ml_op_concat, ml_op_gather_rows;
/* pair_loss.c, multi_margin.c */
extern const ml_op ml_op_smooth_l1, ml_op_bce_with_logits, ml_op_kl_div, ml_op_multi_margin;
/* softmax.c, cross_entropy.c, loss.c, dropout.c */
extern const ml_op ml_op_softmax, ml_op_log_softmax, ml_op_cross_entropy, ml_op_nll, ml_op_mse, ml_op_dropout;
/* attention.c */
extern const ml_op ml_op_attention;
/* batch_norm.c, group_norm.c, prelu.c, noise.c, permute.c */
extern const ml_op ml_op_batch_norm, ml_op_batch_norm_relu, ml_op_batch_norm_relu_halve;
extern const ml_op ml_op_group_norm, ml_op_layer_norm;
extern const ml_op ml_op_prelu, ml_op_gaussian_noise, ml_op_dropout2d, ml_op_permute;
/* recurrent.c */
extern const ml_op ml_op_rnn, ml_op_lstm, ml_op_gru;

#endif
