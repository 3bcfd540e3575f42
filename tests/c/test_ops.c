/* Element-wise operations, reductions and products forward against the naive reference, their refusals with the
 * message, and the gradients that a gradient check cannot see: at ties and zeros. test_ops_move.c and test_ops_loss.c
 * have the other operations; gradients in general are test_gradcheck.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/naive.h"
#include "ops_aid.h"

static const ml_attrs over_all = {.reduce = {.all = true}};

static ml_attrs over(int dim, bool keep) { return (ml_attrs){.reduce = {.dim = dim, .keep = keep}}; }

/* ---- the list ---- */

static void test_list(void **state) {
  (void)state;
  for (size_t i = 0; ml_ops[i]; i++) {
    assert_ptr_equal(ml_op_find(ml_ops[i]->name), ml_ops[i]);
    if (i > 0 && strcmp(ml_ops[i - 1]->name, ml_ops[i]->name) >= 0) fail_msg("%s is out of order", ml_ops[i]->name);
    assert_in_range(ml_ops[i]->max_inputs, ml_ops[i]->min_inputs, ML_OP_MAX_INPUTS);
  }
  assert_null(ml_op_find("convolve"));
}

/* ---- element-wise ---- */

static void test_unary(void **state) {
  (void)state;
  const struct {
    const char *name;
    ml_unary f;
    double a;
    bool positive;
  } cases[] = {
      {"neg", ML_NEG, 0, false},   {"exp", ML_EXP, 0, false},   {"log", ML_LOG, 0, true},
      {"sqrt", ML_SQRT, 0, true},  {"abs", ML_ABS, 0, false},   {"relu", ML_RELU, 0, false},
      {"gelu", ML_GELU, 0, false}, {"silu", ML_SILU, 0, false}, {"sigmoid", ML_SIGMOID, 0, false},
      {"tanh", ML_TANH, 0, false}, {"elu", ML_ELU, 0.7, false}, {"leaky_relu", ML_LEAKY_RELU, 0.01, false},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    ml_tensor *x = aid_random(AID_SHAPE(7, 5), 1);
    if (cases[k].positive)
      for (int i = 0; i < 35; i++) x->f32[i] = fabsf(x->f32[i]);
    float expected[35];
    ml_naive_map_unary(expected, x->f32, 35, cases[k].f, (float)cases[k].a);
    ml_tensor *y = aid_apply(cases[k].name, x, NULL, NULL, &(ml_attrs){.scalar = {cases[k].a}});
    aid_has_shape(y, AID_SHAPE(7, 5));
    aid_close(y->f32, expected, 35, 1e-6);
    aid_unref((ml_tensor *[]){x, y}, 2);
  }
}

static const ml_shape operands[][3] = {
    /* x, y, result */
    {{2, {3, 5}}, {2, {3, 5}}, {2, {3, 5}}},
    {{2, {3, 5}}, {1, {5}}, {2, {3, 5}}},
    {{2, {3, 1}}, {2, {3, 5}}, {2, {3, 5}}},
    {{0}, {2, {3, 5}}, {2, {3, 5}}},
    {{2, {3, 5}}, {0}, {2, {3, 5}}},
    {{2, {3, 1}}, {1, {5}}, {2, {3, 5}}},
    {{0}, {0}, {0}},
    {{2, {1, 1}}, {1, {1}}, {2, {1, 1}}},
    {{4, {2, 3, 5, 7}}, {3, {3, 1, 1}}, {4, {2, 3, 5, 7}}},
    {{3, {2, 1, 3}}, {3, {1, 5, 1}}, {3, {2, 5, 3}}},
    {{6, {2, 3, 2, 3, 2, 3}}, {6, {1, 3, 1, 3, 1, 3}}, {6, {2, 3, 2, 3, 2, 3}}},
    {{2, {0, 5}}, {1, {5}}, {2, {0, 5}}},
};

/* The element of t that result element `at` is computed from: the rule of broadcasting, dimension by dimension. */
static int64_t source(const ml_shape *t, const ml_shape *result, int64_t at) {
  int64_t index = 0, stride = 1;
  for (int d = 1; d <= t->ndim; d++) {
    int64_t size = result->size[result->ndim - d], own = t->size[t->ndim - d];
    if (own > 1) index += at % size * stride;
    stride *= own;
    at /= size;
  }
  return index;
}

static void test_binary(void **state) {
  (void)state;
  const struct {
    const char *name;
    ml_binary op;
  } cases[] = {{"add", ML_ADD}, {"sub", ML_SUB},         {"mul", ML_MUL},         {"div", ML_DIV},
               {"pow", ML_POW}, {"maximum", ML_MAXIMUM}, {"minimum", ML_MINIMUM}, {"eq", ML_EQUAL}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
    for (size_t s = 0; s < sizeof operands / sizeof *operands; s++) {
      ml_tensor *x = aid_random(&operands[s][0], 1), *y = aid_random(&operands[s][1], 2);
      if (cases[k].op == ML_POW)
        for (int64_t i = 0; i < ml_tensor_count(x); i++) x->f32[i] = fabsf(x->f32[i]);
      if (cases[k].op == ML_EQUAL && ml_tensor_count(x) > 0) y->f32[0] = x->f32[0];
      ml_tensor *z = aid_apply(cases[k].name, x, y, NULL, NULL);
      aid_has_shape(z, &operands[s][2]);
      for (int64_t i = 0; i < ml_tensor_count(z); i++) {
        float v = x->f32[source(&x->shape, &z->shape, i)], w = y->f32[source(&y->shape, &z->shape, i)];
        float expected = (float)ml_naive_binary(v, w, cases[k].op);
        aid_close(&z->f32[i], &expected, 1, 2e-6);
      }
      aid_unref((ml_tensor *[]){x, y, z}, 3);
    }
}

static void test_binary_refusals(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 4), 1), *y = aid_random(AID_SHAPE(5, 4), 1);
  ml_tensor *labels = aid_i32(AID_SHAPE(4), (int32_t[]){0, 1, 2, 3});
  const char *names[] = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char message[200];
    snprintf(message, sizeof message,
             "%s: the shapes 3x4 and 5x4 do not fit: sizes must be equal or 1, from the last back", names[i]);
    aid_refused(message, names[i], x, y, NULL, NULL);
    if (strcmp(names[i], "eq") == 0) continue;
    snprintf(message, sizeof message, "%s: input 2 must be f32, it is i32; convert it with :to(\"f32\")", names[i]);
    aid_refused(message, names[i], x, labels, NULL, NULL);
  }
  aid_unref((ml_tensor *[]){x, y, labels}, 3);
}

static void test_eq_of_any_dtypes(void **state) {
  (void)state;
  ml_tensor *places = aid_i32(AID_SHAPE(3), (int32_t[]){4, 5, 16777217});
  ml_tensor *labels = aid_u8(AID_SHAPE(2, 3), (uint8_t[]){4, 5, 6, 5, 4, 3});
  ml_tensor *values = aid_f32(AID_SHAPE(3), (float[]){4.0f, 5.5f, 16777216.0f});
  ml_tensor *a = aid_apply("eq", places, labels, NULL, NULL), *b = aid_apply("eq", values, places, NULL, NULL);
  aid_has_shape(a, AID_SHAPE(2, 3));
  aid_has_values(a, (float[]){1, 1, 0, 0, 0, 0});
  aid_has_values(b, (float[]){1, 0, 0});
  aid_unref((ml_tensor *[]){places, labels, values, a, b}, 5);
}

/* The gradients of sum(op(x, y)) for two scalars. */
static void scalar_gradients(const char *name, float x, float y, float dx, float dy) {
  ml_tensor *a = aid_f32(AID_SCALAR, &x), *b = aid_f32(AID_SCALAR, &y);
  a->requires_grad = b->requires_grad = true;
  ml_tensor *z = aid_apply(name, a, b, NULL, NULL);
  aid_backward(z);
  aid_has_values(a->grad, &dx);
  aid_has_values(b->grad, &dy);
  aid_unref((ml_tensor *[]){a, b, z}, 3);
}

static void test_gradients_at_ties_and_zeros(void **state) {
  (void)state;
  scalar_gradients("maximum", 2, 1, 1, 0);
  scalar_gradients("maximum", 2, 2, 0.5f, 0.5f);
  scalar_gradients("minimum", 2, 2, 0.5f, 0.5f);
  scalar_gradients("minimum", 2, 1, 0, 1);
  scalar_gradients("pow", 0, 0, 0, 0);
  scalar_gradients("pow", 0, 2, 0, 0);
  scalar_gradients("pow", 0, 1, 1, 0);
  scalar_gradients("pow", 1, 0, 0, 0);
}

/* ---- reductions ---- */

/* x reduced over dim (-1 for all): each operation's shape, values and places. */
static void check_reductions(ml_tensor *x, int dim, bool keep) {
  const char *const value[] = {"sum", "mean", "max", "min"}, *const place[] = {NULL, NULL, "argmax", "argmin"};
  const ml_attrs attrs = dim < 0 ? (ml_attrs){.reduce = {.all = true, .keep = keep}} : over(dim, keep);
  int64_t outer = 1, n = ml_tensor_count(x), inner = 1;
  ml_shape shape = {0};
  if (dim >= 0) ml_split_dims(&x->shape, dim, &outer, &n, &inner);
  for (int d = 0; d < x->shape.ndim; d++) {
    bool gone = dim < 0 || d == dim;
    if (!gone || keep) shape.size[shape.ndim++] = gone ? 1 : x->shape.size[d];
  }
  for (int k = 0; k < 4; k++) {
    float expected[105];
    int32_t index[105];
    ml_tensor *y = aid_apply(value[k], x, NULL, NULL, &attrs);
    if (k < 2)
      ml_naive_reduce_sum(expected, x->f32, outer, n, inner, k == 0 ? 1.0 : 1.0 / (double)n);
    else
      ml_naive_reduce_max(expected, index, x->f32, outer, n, inner, k == 3);
    aid_has_shape(y, &shape);
    aid_close(y->f32, expected, outer * inner, 1e-6);
    ml_tensor_unref(y);
    if (!place[k]) continue;
    y = aid_apply(place[k], x, NULL, NULL, &attrs);
    aid_has_shape(y, &shape);
    assert_int_equal(y->dtype, ML_I32);
    assert_memory_equal(y->i32, index, (size_t)(outer * inner) * sizeof *index);
    ml_tensor_unref(y);
  }
}

static void test_reductions(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 5, 7), 1);
  for (int dim = -1; dim < 3; dim++) {
    check_reductions(x, dim, false);
    check_reductions(x, dim, true);
  }
  ml_tensor_unref(x);
}

static void test_ties_of_max(void **state) {
  (void)state;
  ml_tensor *x = aid_f32(AID_SHAPE(2, 3), (float[]){1, 4, 4, 4, 2, 3});
  x->requires_grad = true;
  ml_tensor *all = aid_apply("max", x, NULL, NULL, &over_all), *place = aid_apply("argmax", x, NULL, NULL, &over_all);
  aid_backward(all);
  assert_int_equal(place->i32[0], 1);
  aid_has_values(x->grad, (float[]){0, 1, 0, 0, 0, 0});
  aid_unref((ml_tensor *[]){x, all, place}, 3);
}

static void test_reduction_refusals(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 4), 1), *scalar = aid_random(AID_SCALAR, 1);
  ml_tensor *empty = aid_random(AID_SHAPE(0, 4), 1), *bytes = aid_u8(AID_SHAPE(2), (uint8_t[]){1, 2});
  const ml_attrs third = over(2, false), before = over(-1, false), first = over(0, false);
  const char *names[] = {"sum", "mean", "max", "min", "argmax", "argmin"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char message[200];
    snprintf(message, sizeof message, "%s: expected a dimension from 1 to 2 of a tensor of 3x4, received 3", names[i]);
    aid_refused(message, names[i], x, NULL, NULL, &third);
    snprintf(message, sizeof message, "%s: expected a dimension from 1 to 2 of a tensor of 3x4, received 0", names[i]);
    aid_refused(message, names[i], x, NULL, NULL, &before);
    snprintf(message, sizeof message, "%s: a scalar has no dimensions", names[i]);
    aid_refused(message, names[i], scalar, NULL, NULL, &first);
    snprintf(message, sizeof message, "%s: input 1 must be f32, it is u8; convert it with :to(\"f32\")", names[i]);
    aid_refused(message, names[i], bytes, NULL, NULL, &first);
    if (i < 2) continue;
    snprintf(message, sizeof message, "%s: expected at least one element to choose from, the input is 0x4", names[i]);
    aid_refused(message, names[i], empty, NULL, NULL, &first);
  }
  aid_unref((ml_tensor *[]){x, scalar, empty, bytes}, 4);
}

static void test_of_nothing(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(0, 4), 1), *sum = aid_sum(x), *mean = aid_apply("mean", x, NULL, NULL, &over_all);
  const ml_attrs first = over(0, false);
  ml_tensor *columns = aid_apply("sum", x, NULL, NULL, &first);
  assert_true(sum->f32[0] == 0.0f && isnan(mean->f32[0]));
  aid_has_values(columns, (float[]){0, 0, 0, 0});
  aid_unref((ml_tensor *[]){x, sum, mean, columns}, 4);
}

/* ---- products ---- */

static void test_matmul(void **state) {
  (void)state;
  const int64_t m = 13, n = 17, k = 11;
  for (int flags = 0; flags < 4; flags++) {
    bool ta = flags & 1, tb = flags & 2;
    ml_tensor *a = aid_random(ta ? AID_SHAPE(k, m) : AID_SHAPE(m, k), 1);
    ml_tensor *b = aid_random(tb ? AID_SHAPE(n, k) : AID_SHAPE(k, n), 2);
    float expected[13 * 17];
    ml_matrix av = {a->f32, ta ? 1 : k, ta ? m : 1}, bv = {b->f32, tb ? 1 : n, tb ? k : 1};
    ml_naive_gemm(expected, n, av, bv, NULL, m, n, k);
    ml_tensor *c = aid_apply("matmul", a, b, NULL, &(ml_attrs){.matmul = {ta, tb}});
    aid_has_shape(c, AID_SHAPE(m, n));
    aid_close(c->f32, expected, m * n, 1e-5);
    aid_unref((ml_tensor *[]){a, b, c}, 3);
  }
}

static void test_linear(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(2, 3, 11), 1), *w = aid_random(AID_SHAPE(5, 11), 2);
  ml_tensor *b = aid_random(AID_SHAPE(5), 3), *with = aid_apply("linear", x, w, b, NULL);
  ml_tensor *without = aid_apply("linear", x, w, NULL, NULL);
  float expected[30];
  const ml_matrix xv = {x->f32, 11, 1}, wt = {w->f32, 1, 11};
  aid_has_shape(with, AID_SHAPE(2, 3, 5));
  ml_naive_gemm(expected, 5, xv, wt, b->f32, 6, 5, 11);
  aid_close(with->f32, expected, 30, 1e-5);
  ml_naive_gemm(expected, 5, xv, wt, NULL, 6, 5, 11);
  aid_close(without->f32, expected, 30, 1e-5);
  aid_unref((ml_tensor *[]){x, w, b, with, without}, 5);
}

/* Fused or one by one: the same bits, forward and backward. */
static void test_linear_relu(void **state) {
  (void)state;
  ml_tensor *in[2][3], *out[2], *loss[2];
  for (int fused = 0; fused < 2; fused++) {
    in[fused][0] = aid_random(AID_SHAPE(19, 37), 1);
    in[fused][1] = aid_random(AID_SHAPE(45, 37), 2);
    in[fused][2] = aid_random(AID_SHAPE(45), 3);
    for (int i = 0; i < 3; i++) in[fused][i]->requires_grad = true;
    ml_tensor **p = in[fused];
    out[fused] = fused ? aid_apply("linear_relu", p[0], p[1], p[2], NULL)
                       : aid_then("relu", aid_apply("linear", p[0], p[1], p[2], NULL), NULL, NULL);
    ml_tensor *square = aid_apply("mul", out[fused], out[fused], NULL, NULL);
    loss[fused] = aid_sum(square);
    assert_int_equal(ml_backward(loss[fused], 1.0f, NULL), ML_OK);
    ml_tensor_unref(square);
  }
  assert_memory_equal(out[0]->f32, out[1]->f32, ml_tensor_bytes(out[0]));
  for (int i = 0; i < 3; i++)
    assert_memory_equal(in[0][i]->grad->f32, in[1][i]->grad->f32, ml_tensor_bytes(in[0][i]));
  for (int fused = 0; fused < 2; fused++) {
    aid_unref(in[fused], 3);
    aid_unref((ml_tensor *[]){out[fused], loss[fused]}, 2);
  }
}

static void test_product_refusals(void **state) {
  (void)state;
  ml_tensor *a = aid_random(AID_SHAPE(3, 4), 1), *b = aid_random(AID_SHAPE(5, 6), 1), *v = aid_random(AID_SHAPE(4), 1);
  ml_tensor *x = aid_random(AID_SHAPE(32, 1568), 1), *w = aid_random(AID_SHAPE(128, 784), 1);
  ml_tensor *s = aid_random(AID_SCALAR, 1), *w4 = aid_random(AID_SHAPE(2, 4), 1);
  aid_refused("matmul: 3x4 has 4 columns, but 5x6 has 5 rows", "matmul", a, b, NULL, NULL);
  aid_refused("matmul: 3x4 (transposed) has 3 columns, but 5x6 (transposed) has 6 rows", "matmul", a, b, NULL,
              &(ml_attrs){.matmul = {true, true}});
  aid_refused("matmul: expected two matrices, received 3x4 and 4", "matmul", a, v, NULL, NULL);
  aid_refused("linear: the weight 128x784 expects 784 inputs but receives 1568 (input 32x1568)", "linear", x, w, NULL,
              NULL);
  aid_refused("linear: expected a weight of outputs x inputs, received 4", "linear", a, v, NULL, NULL);
  aid_refused("linear: the weight 2x4 cannot apply to a scalar input", "linear", s, w4, NULL, NULL);
  aid_refused("linear: expected a bias of 2, one per output, received 4", "linear", a, w4, v, NULL);
  aid_unref((ml_tensor *[]){a, b, v, x, w, s, w4}, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list),
      cmocka_unit_test(test_unary),
      cmocka_unit_test(test_binary),
      cmocka_unit_test(test_binary_refusals),
      cmocka_unit_test(test_eq_of_any_dtypes),
      cmocka_unit_test(test_gradients_at_ties_and_zeros),
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_ties_of_max),
      cmocka_unit_test(test_reduction_refusals),
      cmocka_unit_test(test_of_nothing),
      cmocka_unit_test(test_matmul),
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_linear_relu),
      cmocka_unit_test(test_product_refusals),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
