/* The list of all operations. src/bind walks it to make functions and methods; the gradient check walks it to see that
 * none was forgotten. */
#include <string.h>

#include "ops/ops.h"

const ml_op *const ml_ops[] = {
    &ml_op_abs,
    &ml_op_adaptive_avg_pool2d,
    &ml_op_add,
    &ml_op_argmax,
    &ml_op_argmin,
    &ml_op_avg_pool2d,
    &ml_op_batch_norm,
    &ml_op_batch_norm_relu,
    &ml_op_batch_norm_relu_halve,
    &ml_op_bce_with_logits,
    &ml_op_concat,
    &ml_op_conv2d,
    &ml_op_conv2d_relu,
    &ml_op_cross_entropy,
    &ml_op_div,
    &ml_op_dropout,
    &ml_op_dropout2d,
    &ml_op_elu,
    &ml_op_eq,
    &ml_op_exp,
    &ml_op_gather_rows,
    &ml_op_gaussian_noise,
    &ml_op_gelu,
    &ml_op_group_norm,
    &ml_op_kl_div,
    &ml_op_layer_norm,
    &ml_op_leaky_relu,
    &ml_op_linear,
    &ml_op_linear_relu,
    &ml_op_log,
    &ml_op_log_softmax,
    &ml_op_matmul,
    &ml_op_max,
    &ml_op_max_pool2d,
    &ml_op_maximum,
    &ml_op_mean,
    &ml_op_min,
    &ml_op_minimum,
    &ml_op_mse,
    &ml_op_mul,
    &ml_op_multi_margin,
    &ml_op_neg,
    &ml_op_nll,
    &ml_op_permute,
    &ml_op_pow,
    &ml_op_prelu,
    &ml_op_relu,
    &ml_op_reshape,
    &ml_op_rows,
    &ml_op_sigmoid,
    &ml_op_silu,
    &ml_op_slice,
    &ml_op_smooth_l1,
    &ml_op_softmax,
    &ml_op_sqrt,
    &ml_op_sub,
    &ml_op_sum,
    &ml_op_t,
    &ml_op_tanh,
    NULL,
};

const ml_op *ml_op_find(const char *name) {
  for (const ml_op *const *op = ml_ops; *op; op++)
    if (strcmp((*op)->name, name) == 0) return *op;
  return NULL;
}
