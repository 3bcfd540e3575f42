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
#define NONE {{0}}

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
    {"mse", "both", NONE, 2, {{GC_SMOOTH, D2(3, 5), 0}, {GC_SMOOTH, D2(3, 5), 0}}},
    {"dropout", "p 0.385", DROPOUT(0.385), 1, {{GC_SMOOTH, D2(5, 7), 0}}},
    {"dropout", "p 0", DROPOUT(0.0), 1, {{GC_SMOOTH, D2(3, 5), 0}}},
    {"dropout", "p 1", DROPOUT(1.0), 1, {{GC_SMOOTH, D2(3, 5), 0}}},
};

const size_t gradcheck_case_count = sizeof gradcheck_cases / sizeof *gradcheck_cases;
