/* One row or more for every operation that has a backward. A new operation adds its rows here; test_gradcheck.c fails
 * for one without any. Sizes are odd, so that no loop only ever sees whole vectors. */
#include "gradcheck_cases.h"

#define D0() {0}
#define D1(a) {1, {a}}
#define D2(a, b) {2, {a, b}}
#define D3(a, b, c) {3, {a, b, c}}
#define D4(a, b, c, d) {4, {a, b, c, d}}

#define REDUCE(all_, dim_, keep_) {.reduce = {.all = all_, .dim = dim_, .keep = keep_}}
#define MATMUL(ta, tb) {.matmul = {.transpose_a = ta, .transpose_b = tb}}
#define SLICE(dim_, begin_, count_) {.slice = {.dim = dim_, .begin = begin_, .count = count_}}
#define ALONG(dim_) {.along = {.dim = dim_}}
#define CROSS(smoothing_, weight_) {.cross_entropy = {.smoothing = smoothing_, .has_weight = weight_}}
#define DROPOUT(p_) {.dropout = {.p = p_, .rng = {.seed = 7, .stream = ML_STREAM_DROPOUT, .step = 3}}}
#define NORM(training_) {.norm = {.eps = 1e-3, .momentum = 0.1, .training = training_}}
#define GROUPS(size_) {.norm = {.eps = 1e-3, .size = size_}}
#define NOISE(std_) {.noise = {.std = std_, .rng = {.seed = 7, .stream = ML_STREAM_NOISE, .step = 3}}}
#define PERMUTE(a, b, c) {.permute = {3, {a, b, c}}}
#define CONV(stride_, top, left, bottom, right, groups_) \
  {.conv2d = {.window = {0, 0, stride_, stride_, top, left, bottom, right}, .groups = groups_}}
#define POOL(kernel, stride_, pad, count) \
  {.pool2d = {.window = {kernel, kernel, stride_, stride_, pad, pad, pad, pad}, .count_padding = count}}
#define ATTENTION(heads_, causal_, p_) \
  {.attention = {.heads = heads_, .causal = causal_, .p = p_, \
                 .rng = {.seed = 7, .stream = ML_STREAM_DROPOUT, .step = 3}}}
/* n x 3 steps of 5 values, one layer of 3 units with so many gates. */
#define RECURRENT(reverse_, last_, relu_) {.recurrent = {.reverse = reverse_, .last = last_, .relu = relu_}}
#define SEQUENCE(n, gates)                                                                                             \
  {GC_SMOOTH, D3(n, 3, 5), 0}, {GC_SMOOTH, D2(3 * gates, 5), 0}, {GC_SMOOTH, D2(3 * gates, 3), 0}
#define BIASES(gates) {GC_SMOOTH, D1(3 * gates), 0}, {GC_SMOOTH, D1(3 * gates), 0}
#define NONE {{0}}

/* Running statistics of three channels, for batch norm outside training. */
static float running_values[] = {0.385f, -1.2f, 0.7f, 2.385f, 0.9f, 1.7f};
static ml_storage running_storage = {.refs = 1, .bytes = sizeof running_values, .data = running_values};
static ml_tensor running_mean = {.refs = 1, .shape = D1(3), .storage = &running_storage, .f32 = running_values};
static ml_tensor running_var = {.refs = 1, .shape = D1(3), .storage = &running_storage, .f32 = running_values + 3};
#define RUNNING {.norm = {.eps = 1e-3, .running_mean = &running_mean, .running_var = &running_var}}

const gradcheck_case gradcheck_cases[] = {
    {"neg", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"exp", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"log", "matrix", NONE, 1, {{GC_POSITIVE, D2(3, 7), 0}}},
    {"sqrt", "matrix", NONE, 1, {{GC_POSITIVE, D2(3, 7), 0}}},
    {"abs", "matrix", NONE, 1, {{GC_NONZERO, D2(3, 7), 0}}},
    {"relu", "matrix", NONE, 1, {{GC_NONZERO, D2(3, 7), 0}}},
    {"relu", "scalar", NONE, 1, {{GC_NONZERO, D0(), 0}}},
    {"leaky_relu", "slope 0.01", {.scalar = {0.01}}, 1, {{GC_NONZERO, D2(3, 7), 0}}},
    {"elu", "alpha 1", {.scalar = {1.0}}, 1, {{GC_NONZERO, D2(3, 7), 0}}},
    {"elu", "alpha 0.385", {.scalar = {0.385}}, 1, {{GC_NONZERO, D2(3, 7), 0}}},
    {"gelu", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"silu", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"sigmoid", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"tanh", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},

    {"add", "same shape", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"add", "a row to a matrix", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D1(5), 0}}},
    {"add", "a matrix to a column", NONE, 2, {{GC_SMOOTH, D2(3, 1), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"add", "a column and a row", NONE, 2, {{GC_SMOOTH, D2(3, 1), 0}, {GC_SMOOTH, D1(5), 0}}},
    {"add", "a channel bias", NONE, 2, {{GC_SMOOTH, D4(2, 3, 5, 3), 0}, {GC_SMOOTH, D3(3, 1, 1), 0}}},
    {"add", "every other dimension", NONE, 2, {{GC_SMOOTH, {6, {2, 3, 2, 3, 2, 3}}, 0},
                                               {GC_SMOOTH, {6, {1, 3, 1, 3, 1, 3}}, 0}}},
    {"sub", "same shape", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"sub", "a row from a matrix", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D1(5), 0}}},
    {"sub", "a matrix from a scalar", NONE, 2, {{GC_SMOOTH, D0(), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"mul", "same shape", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"mul", "by a scalar", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D0(), 0}}},
    {"mul", "a scalar by a matrix", NONE, 2, {{GC_SMOOTH, D0(), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"mul", "a middle dimension", NONE, 2, {{GC_SMOOTH, D3(3, 1, 5), 0}, {GC_SMOOTH, D3(3, 7, 5), 0}}},
    {"mul", "two scalars", NONE, 2, {{GC_SMOOTH, D0(), 0}, {GC_SMOOTH, D0(), 0}}},
    {"div", "same shape", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_NONZERO, D2(3, 5), 0}}},
    {"div", "by a column", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_NONZERO, D2(3, 1), 0}}},
    {"div", "a scalar by a matrix", NONE, 2, {{GC_SMOOTH, D0(), 0}, {GC_NONZERO, D2(3, 5), 0}}},
    {"pow", "same shape", NONE, 2, {{GC_POSITIVE, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"pow", "to a scalar", NONE, 2, {{GC_POSITIVE, D2(3, 5), 0}, {GC_SMOOTH, D0(), 0}}},
    {"pow", "of a scalar", NONE, 2, {{GC_POSITIVE, D0(), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"maximum", "same shape", NONE, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_BETWEEN, D2(3, 5), 0}}},
    {"maximum", "a row", NONE, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_BETWEEN, D1(5), 0}}},
    {"minimum", "same shape", NONE, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_BETWEEN, D2(3, 5), 0}}},
    {"minimum", "a column", NONE, 2, {{GC_DISTINCT, D2(3, 1), 0}, {GC_BETWEEN, D2(3, 5), 0}}},

    {"sum", "all", REDUCE(true, 0, false), 1, {{GC_SMOOTH, D3(3, 5, 7), 0}}},
    {"sum", "first", REDUCE(false, 0, false), 1, {{GC_SMOOTH, D3(3, 5, 7), 0}}},
    {"sum", "middle, kept", REDUCE(false, 1, true), 1, {{GC_SMOOTH, D3(3, 5, 7), 0}}},
    {"sum", "last", REDUCE(false, 2, false), 1, {{GC_SMOOTH, D3(3, 5, 7), 0}}},
    {"mean", "all, kept", REDUCE(true, 0, true), 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"mean", "first", REDUCE(false, 0, false), 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"mean", "last", REDUCE(false, 1, false), 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"max", "all", REDUCE(true, 0, false), 1, {{GC_DISTINCT, D2(3, 7), 0}}},
    {"max", "first", REDUCE(false, 0, false), 1, {{GC_DISTINCT, D2(3, 7), 0}}},
    {"max", "last", REDUCE(false, 1, true), 1, {{GC_DISTINCT, D2(3, 7), 0}}},
    {"min", "middle", REDUCE(false, 1, false), 1, {{GC_DISTINCT, D3(3, 5, 2), 0}}},

    {"matmul", "plain", MATMUL(false, false), 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(5, 7), 0}}},
    {"matmul", "transposed a", MATMUL(true, false), 2, {{GC_SMOOTH, D2(5, 3), 0}, {GC_SMOOTH, D2(5, 7), 0}}},
    {"matmul", "transposed b", MATMUL(false, true), 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(7, 5), 0}}},
    {"matmul", "both transposed", MATMUL(true, true), 2, {{GC_SMOOTH, D2(5, 3), 0}, {GC_SMOOTH, D2(7, 5), 0}}},
    {"matmul", "a row by a column", MATMUL(false, false), 2, {{GC_SMOOTH, D2(1, 5), 0}, {GC_SMOOTH, D2(5, 1), 0}}},
    {"linear", "with bias", NONE, 3, {{GC_SMOOTH, D2(5, 7), 0}, {GC_SMOOTH, D2(3, 7), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"linear", "without", NONE, 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_SMOOTH, D2(3, 7), 0}}},
    {"linear", "a vector", NONE, 3, {{GC_SMOOTH, D1(7), 0}, {GC_SMOOTH, D2(3, 7), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"linear", "leading dimensions", NONE, 3,
     {{GC_SMOOTH, D3(2, 3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"linear_relu", "with bias", NONE, 3, {{GC_SMOOTH, D2(5, 7), 0}, {GC_SMOOTH, D2(3, 7), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"linear_relu", "without", NONE, 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_SMOOTH, D2(3, 7), 0}}},

    {"t", "matrix", NONE, 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"reshape", "to a matrix", {.reshape = {D2(5, 3)}}, 1, {{GC_SMOOTH, D1(15), 0}}},
    {"rows", "the middle", SLICE(0, 1, 3), 1, {{GC_SMOOTH, D2(5, 3), 0}}},
    {"slice", "first", SLICE(0, 2, 3), 1, {{GC_SMOOTH, D2(5, 3), 0}}},
    {"slice", "last", SLICE(2, 1, 2), 1, {{GC_SMOOTH, D3(3, 2, 5), 0}}},
    {"concat", "first", ALONG(0), 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(2, 5), 0}}},
    {"concat", "last", ALONG(1), 3, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 1), 0}, {GC_SMOOTH, D2(3, 2), 0}}},
    {"gather_rows", "with repeats", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_LABELS, D1(7), 3}}},

    {"softmax", "last", ALONG(1), 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"softmax", "middle", ALONG(1), 1, {{GC_SMOOTH, D3(2, 5, 3), 0}}},
    {"log_softmax", "last", ALONG(1), 1, {{GC_SMOOTH, D2(3, 7), 0}}},
    {"log_softmax", "first", ALONG(0), 1, {{GC_SMOOTH, D2(5, 3), 0}}},
    {"cross_entropy", "labels", CROSS(0, false), 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS, D1(5), 7}}},
    {"cross_entropy", "bytes", CROSS(0, false), 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS_U8, D1(5), 7}}},
    {"cross_entropy", "smoothing", CROSS(0.1, false), 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS, D1(5), 7}}},
    {"cross_entropy", "weight and smoothing", CROSS(0.1, true), 3,
     {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS, D1(5), 7}, {GC_WEIGHTS, D1(7), 0}}},
    {"cross_entropy", "probabilities", CROSS(0.1, true), 3,
     {{GC_SMOOTH, D2(5, 7), 0}, {GC_ROWS, D2(5, 7), 0}, {GC_WEIGHTS, D1(7), 0}}},
    {"nll", "labels", {.nll = {false}}, 2, {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS, D1(5), 7}}},
    {"nll", "weight", {.nll = {true}}, 3,
     {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS_U8, D1(5), 7}, {GC_WEIGHTS, D1(7), 0}}},
    {"smooth_l1", "both", {.scalar = {0.5}}, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_BETWEEN, D2(3, 5), 0}}},
    {"smooth_l1", "beta 0", {.scalar = {0.0}}, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_BETWEEN, D2(3, 5), 0}}},
    {"bce_with_logits", "plain", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_ROWS, D2(3, 5), 0}}},
    {"bce_with_logits", "weight", NONE, 3,
     {{GC_SMOOTH, D3(2, 3, 5), 0}, {GC_WEIGHTS, D3(2, 3, 5), 0}, {GC_WEIGHTS, D1(5), 0}}},
    {"kl_div", "probabilities", {.kl_div = {false, true}}, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_ROWS, D2(3, 5), 0}}},
    {"kl_div", "log target", {.kl_div = {true, false}}, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_WEIGHTS, D2(3, 5), 0}}},
    {"multi_margin", "power 1", {.multi_margin = {1, 1.05}}, 2, {{GC_DISTINCT, D2(3, 5), 0}, {GC_LABELS, D1(3), 5}}},
    {"multi_margin", "power 2, weight", {.multi_margin = {2, 0.7}}, 3,
     {{GC_SMOOTH, D2(5, 7), 0}, {GC_LABELS_U8, D1(5), 7}, {GC_WEIGHTS, D1(7), 0}}},
    {"mse", "both", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"dropout", "p 0.385", DROPOUT(0.385), 1, {{GC_SMOOTH, D2(5, 7), 0}}},
    {"dropout", "p 0", DROPOUT(0.0), 1, {{GC_SMOOTH, D2(3, 5), 0}}},
    {"dropout", "p 1", DROPOUT(1.0), 1, {{GC_SMOOTH, D2(3, 5), 0}}},

    {"dropout2d", "p 0.385", DROPOUT(0.385), 1, {{GC_SMOOTH, D4(3, 5, 2, 3), 0}}},
    {"dropout2d", "p 0", DROPOUT(0.0), 1, {{GC_SMOOTH, D3(3, 2, 3), 0}}},
    {"dropout2d", "p 1", DROPOUT(1.0), 1, {{GC_SMOOTH, D2(3, 5), 0}}},
    {"gaussian_noise", "matrix", NOISE(0.385), 1, {{GC_SMOOTH, D2(5, 7), 0}}},
    {"batch_norm", "rows", NORM(true), 3, {{GC_SMOOTH, D2(7, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm", "images", NORM(true), 3,
     {{GC_SMOOTH, D4(3, 3, 2, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm", "without parameters", NORM(true), 1, {{GC_SMOOTH, D2(7, 3), 0}}},
    {"batch_norm", "by running statistics", RUNNING, 3,
     {{GC_SMOOTH, D4(3, 3, 2, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm_relu", "rows", NORM(true), 3,
     {{GC_SMOOTH, D2(7, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm_relu", "images", NORM(true), 3,
     {{GC_SMOOTH, D4(3, 3, 2, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm_relu", "by running statistics", RUNNING, 3,
     {{GC_SMOOTH, D4(3, 3, 1, 3), 0}, {GC_SMOOTH, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm_relu_halve", "images", NORM(true), 3,
     {{GC_DISTINCT, D4(3, 3, 5, 3), 0}, {GC_POSITIVE, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"batch_norm_relu_halve", "by running statistics", RUNNING, 3,
     {{GC_DISTINCT, D4(3, 3, 2, 3), 0}, {GC_POSITIVE, D1(3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"group_norm", "images", GROUPS(2), 3,
     {{GC_SMOOTH, D4(3, 4, 2, 3), 0}, {GC_SMOOTH, D1(4), 0}, {GC_SMOOTH, D1(4), 0}}},
    {"group_norm", "rows", GROUPS(2), 3, {{GC_SMOOTH, D2(3, 10), 0}, {GC_SMOOTH, D1(10), 0}, {GC_SMOOTH, D1(10), 0}}},
    {"group_norm", "without parameters", GROUPS(1), 1, {{GC_SMOOTH, D3(3, 4, 3), 0}}},
    {"layer_norm", "rows", GROUPS(1), 3, {{GC_SMOOTH, D2(5, 7), 0}, {GC_SMOOTH, D1(7), 0}, {GC_SMOOTH, D1(7), 0}}},
    {"layer_norm", "two dimensions", GROUPS(2), 3,
     {{GC_SMOOTH, D3(3, 2, 5), 0}, {GC_SMOOTH, D2(2, 5), 0}, {GC_SMOOTH, D2(2, 5), 0}}},
    {"layer_norm", "without parameters", GROUPS(1), 1, {{GC_SMOOTH, D3(3, 2, 7), 0}}},
    {"prelu", "one weight", NONE, 2, {{GC_NONZERO, D3(3, 2, 5), 0}, {GC_SMOOTH, D1(1), 0}}},
    {"prelu", "channels", NONE, 2, {{GC_NONZERO, D3(3, 2, 5), 0}, {GC_SMOOTH, D1(2), 0}}},
    {"prelu", "features", NONE, 2, {{GC_NONZERO, D2(3, 5), 0}, {GC_SMOOTH, D1(5), 0}}},
    {"permute", "last to first", PERMUTE(2, 0, 1), 1, {{GC_SMOOTH, D3(3, 2, 5), 0}}},
    {"permute", "two swapped", PERMUTE(0, 2, 1), 1, {{GC_SMOOTH, D3(3, 2, 5), 0}}},

    {"attention", "more keys than queries", ATTENTION(2, false, 0.0), 3,
     {{GC_SMOOTH, D3(2, 3, 6), 0}, {GC_SMOOTH, D3(2, 5, 6), 0}, {GC_SMOOTH, D3(2, 5, 6), 0}}},
    {"attention", "causal", ATTENTION(3, true, 0.0), 3,
     {{GC_SMOOTH, D3(2, 5, 3), 0}, {GC_SMOOTH, D3(2, 4, 3), 0}, {GC_SMOOTH, D3(2, 4, 3), 0}}},
    {"attention", "in one tensor", ATTENTION(2, false, 0.0), 1, {{GC_SMOOTH, D3(2, 5, 12), 0}}},
    {"attention", "in one tensor, causal, dropout", ATTENTION(1, true, 0.385), 1, {{GC_SMOOTH, D3(3, 5, 9), 0}}},
    {"attention", "dropout", ATTENTION(2, false, 0.385), 3,
     {{GC_SMOOTH, D3(3, 2, 4), 0}, {GC_SMOOTH, D3(3, 5, 4), 0}, {GC_SMOOTH, D3(3, 5, 4), 0}}},

    {"conv2d", "with bias", CONV(1, 0, 0, 0, 0, 1), 3,
     {{GC_SMOOTH, D4(2, 2, 5, 3), 0}, {GC_SMOOTH, D4(3, 2, 3, 2), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"conv2d", "padded unevenly", CONV(1, 1, 0, 2, 1, 1), 2,
     {{GC_SMOOTH, D4(1, 3, 3, 5), 0}, {GC_SMOOTH, D4(2, 3, 3, 3), 0}}},
    {"conv2d", "in strides", CONV(2, 1, 1, 1, 1, 1), 3,
     {{GC_SMOOTH, D4(2, 1, 7, 5), 0}, {GC_SMOOTH, D4(5, 1, 3, 3), 0}, {GC_SMOOTH, D1(5), 0}}},
    {"conv2d", "in groups", CONV(1, 1, 1, 1, 1, 2), 3,
     {{GC_SMOOTH, D4(1, 4, 3, 5), 0}, {GC_SMOOTH, D4(6, 2, 3, 3), 0}, {GC_SMOOTH, D1(6), 0}}},
    {"conv2d", "depthwise", CONV(1, 1, 1, 1, 1, 3), 3,
     {{GC_SMOOTH, D4(2, 3, 5, 3), 0}, {GC_SMOOTH, D4(3, 1, 3, 3), 0}, {GC_SMOOTH, D1(3), 0}}},
    {"conv2d", "without channels", CONV(1, 0, 0, 0, 0, 1), 2,
     {{GC_SMOOTH, D3(2, 5, 7), 0}, {GC_SMOOTH, D4(3, 1, 2, 3), 0}}},
    {"conv2d_relu", "all positive", CONV(1, 1, 1, 1, 1, 1), 3,
     {{GC_POSITIVE, D4(2, 2, 3, 5), 0}, {GC_POSITIVE, D4(3, 2, 3, 3), 0}, {GC_POSITIVE, D1(3), 0}}},
    {"conv2d_relu", "either sign", CONV(1, 0, 0, 0, 0, 1), 2,
     {{GC_DISTINCT, D4(2, 1, 3, 5), 0}, {GC_NONZERO, D4(3, 1, 1, 1), 0}}},
    {"max_pool2d", "side by side", POOL(2, 2, 0, true), 1, {{GC_DISTINCT, D4(2, 3, 5, 7), 0}}},
    {"max_pool2d", "overlapping", POOL(3, 2, 1, true), 1, {{GC_DISTINCT, D4(1, 3, 5, 7), 0}}},
    {"max_pool2d", "without channels", POOL(2, 1, 0, true), 1, {{GC_DISTINCT, D3(2, 5, 3), 0}}},
    {"avg_pool2d", "side by side", POOL(2, 2, 0, true), 1, {{GC_SMOOTH, D4(2, 3, 5, 7), 0}}},
    {"avg_pool2d", "padding counts", POOL(3, 2, 1, true), 1, {{GC_SMOOTH, D4(1, 3, 5, 7), 0}}},
    {"avg_pool2d", "it does not", POOL(3, 2, 1, false), 1, {{GC_SMOOTH, D4(1, 3, 5, 7), 0}}},
    {"adaptive_avg_pool2d", "uneven bins", {.size2d = {2, 3}}, 1, {{GC_SMOOTH, D4(1, 2, 5, 7), 0}}},
    {"adaptive_avg_pool2d", "one bin", {.size2d = {1, 1}}, 1, {{GC_SMOOTH, D4(2, 3, 5, 3), 0}}},

    {"rnn", "all steps", RECURRENT(false, false, false), 5, {SEQUENCE(2, 1), BIASES(1)}},
    {"rnn", "the last, without bias", RECURRENT(false, true, false), 3, {SEQUENCE(3, 1)}},
    {"rnn", "relu", RECURRENT(true, false, true), 5,
     {{GC_POSITIVE, D3(2, 3, 5), 0}, {GC_POSITIVE, D2(3, 5), 0}, {GC_POSITIVE, D2(3, 3), 0}, {GC_POSITIVE, D1(3), 0},
      {GC_POSITIVE, D1(3), 0}}},
    {"lstm", "all steps", RECURRENT(false, false, false), 5, {SEQUENCE(2, 4), BIASES(4)}},
    {"lstm", "the last, backwards", RECURRENT(true, true, false), 5, {SEQUENCE(3, 4), BIASES(4)}},
    {"lstm", "without bias", RECURRENT(true, false, false), 3, {SEQUENCE(1, 4)}},
    {"gru", "all steps", RECURRENT(false, false, false), 5, {SEQUENCE(2, 3), BIASES(3)}},
    {"gru", "the last, backwards", RECURRENT(true, true, false), 5, {SEQUENCE(3, 3), BIASES(3)}},
    {"gru", "without bias", RECURRENT(false, true, false), 3, {SEQUENCE(2, 3)}},
};

const size_t gradcheck_case_count = sizeof gradcheck_cases / sizeof *gradcheck_cases;
