/* Operands that are packed in parts, results and gradients that are packed as they are computed, and activations that
 * the next layer reads packed: the bytes of packing them whole, the bits of products that pack for themselves, on every
 * instruction set and number of threads, and nothing out of date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/packed.h"
#include "kernels/precision.h"
#include "kernels_aid.h"
#include "ops/packed.h"
#include "ops_aid.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* x[rows, cols] as this operand, packed whole. */
static float *packed_whole(ml_packing p, ml_matrix x, int64_t rows, int64_t cols) {
  float *packed = kernels_floats((int64_t)ml_packed_floats(p));
  ml_pack_part(packed, p, x, 0, rows, 0, cols);
  return packed;
}

static void check_packed(const float *got, ml_packing p, ml_matrix x, int64_t rows, int64_t cols) {
  float *want = packed_whole(p, x, rows, cols);
  assert_true(ml_packed_floats(p) > 0);
  assert_memory_equal(got, want, ml_packed_floats(p) * sizeof(float));
  ml_free(want);
}

static void each_precision(void (*test)(void)) {
  for (int precision = ML_PRECISION_BF16; precision < ML_PRECISION_COUNT; precision++) {
    ml_precision_use((ml_precision)precision);
    test();
  }
  ml_precision_use(ML_PRECISION_F32);
}

/* ---- parts ---- */

typedef struct part_case {
  int64_t rows, cols;
  float *data;
} part_case;

/* Parts in descending order, so that none may reach into what comes after it. */
static void check_parts(ml_packing p, ml_matrix x, int64_t rows, int64_t cols) {
  const int64_t grain = ml_packed_grain();
  float *packed = kernels_floats((int64_t)ml_packed_floats(p));
  for (int64_t i = (rows - 1) / grain * grain; i >= 0; i -= grain)
    for (int64_t j = (cols - 1) / grain * grain; j >= 0; j -= grain)
      ml_pack_part(packed, p, x, i, least(i + grain, rows), j, least(j + grain, cols));
  check_packed(packed, p, x, rows, cols);
  ml_free(packed);
}

static void run_parts(float *y, void *ctx) {
  const part_case *c = ctx;
  for (kernels_layout l = LAID_ROWS; l < LAYOUTS; l++) {
    const ml_matrix x = kernels_lay(c->data, c->rows, c->cols, l);
    check_parts((ml_packing){ML_LEFT, c->rows, c->cols}, x, c->rows, c->cols);
    check_parts((ml_packing){ML_RIGHT, c->cols, c->rows}, x, c->rows, c->cols);
  }
  *y = 0.0f;
}

static void parts_of_all_sizes(void) {
  static const int64_t sizes[][2] = {{1, 1}, {33, 5}, {96, 64}, {100, 200}, {130, 31}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    part_case c = {.rows = sizes[i][0], .cols = sizes[i][1]};
    c.data = kernels_random(kernels_room(c.rows, c.cols), 1);
    kernels_run_everywhere(run_parts, NULL, &c, 1, true);
    ml_free(c.data);
  }
}

static void test_parts(void **state) {
  (void)state;
  each_precision(parts_of_all_sizes);
}

/* ---- results ---- */

typedef struct product_case {
  int64_t m, n, k;
  float *a, *b, *bias, *work;
} product_case;

/* c with every operand kept and the result packed twice, then with some of that: the same bits as ml_gemm's. */
static void run_product(float *c, void *ctx) {
  const product_case *p = ctx;
  const ml_matrix a = {p->a, p->k, 1}, b = {p->b, 1, p->k};
  const ml_epilogue e = {p->bias, true};
  const ml_packing left = {ML_LEFT, p->m, p->n}, right = {ML_RIGHT, p->n, p->m};
  float *packed_a = packed_whole((ml_packing){ML_LEFT, p->m, p->k}, a, p->m, p->k);
  float *packed_b = packed_whole((ml_packing){ML_RIGHT, p->n, p->k}, b, p->k, p->n);
  float *c_left = kernels_floats((int64_t)ml_packed_floats(left)), *want = kernels_floats(p->m * p->n);
  float *c_right = kernels_floats((int64_t)ml_packed_floats(right));
  ml_gemm(want, p->n, a, b, e, p->m, p->n, p->k, p->work);
  for (int with = 0; with < 16; with++) {
    const ml_kept kept = {with & 1 ? packed_a : NULL, with & 2 ? packed_b : NULL, with & 4 ? c_left : NULL,
                          with & 8 ? c_right : NULL};
    memset(c_left, 0x7f, ml_packed_floats(left) * sizeof(float));
    memset(c_right, 0x7f, ml_packed_floats(right) * sizeof(float));
    ml_gemm_kept(c, p->n, a, b, kept, e, p->m, p->n, p->k, p->work);
    kernels_check_equal(c, want, p->m * p->n, "a product with kept operands");
    if (kept.c_left) check_packed(c_left, left, (ml_matrix){c, p->n, 1}, p->m, p->n);
    if (kept.c_right) check_packed(c_right, right, (ml_matrix){c, p->n, 1}, p->m, p->n);
  }
  float *const blocks[] = {packed_a, packed_b, c_left, c_right, want};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) ml_free(blocks[i]);
}

static void products_of_all_sizes(void) {
  static const int64_t sizes[][3] = {{1, 1, 1}, {5, 33, 40}, {128, 130, 65}, {300, 70, 33}, {800, 100, 33}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    product_case p = {.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2]};
    if (ml_packed_floats((ml_packing){ML_RIGHT, p.n, p.m}) == 0) continue;
    p.a = kernels_random(p.m * p.k, 1);
    p.b = kernels_random(p.k * p.n, 2);
    p.bias = kernels_random(p.n, 3);
    p.work = kernels_floats((int64_t)ml_gemm_workspace(p.m, p.n, p.k));
    kernels_run_everywhere(run_product, NULL, &p, p.m * p.n, true);
    float *const blocks[] = {p.a, p.b, p.bias, p.work};
    for (size_t j = 0; j < sizeof blocks / sizeof *blocks; j++) ml_free(blocks[j]);
  }
}

static void test_results(void **state) {
  (void)state;
  each_precision(products_of_all_sizes);
}

/* ---- gradients ---- */

typedef struct relu_case {
  int64_t rows, cols;
  float *dy, *out;
} relu_case;

/* dz, then db. */
static void run_relu(float *y, void *ctx) {
  const relu_case *r = ctx;
  const int64_t rows = r->rows, cols = r->cols;
  const ml_packing left = {ML_LEFT, rows, cols}, left_t = {ML_LEFT, cols, rows};
  float *packed = kernels_floats((int64_t)ml_packed_floats(left)), *want = kernels_floats((rows + 1) * cols);
  float *packed_t = kernels_floats((int64_t)ml_packed_floats(left_t));
  ml_relu_bias_backward(want, want + rows * cols, r->dy, r->out, rows, cols);
  ml_relu_bias_backward_packed(y, y + rows * cols, r->dy, r->out, rows, cols, packed, packed_t);
  kernels_check_equal(y, want, (rows + 1) * cols, "relu and bias backward, packed");
  check_packed(packed, left, (ml_matrix){y, cols, 1}, rows, cols);
  check_packed(packed_t, left_t, (ml_matrix){y, 1, cols}, cols, rows);
  ml_free(packed);
  ml_free(packed_t);
  ml_free(want);
}

static void gradients_of_all_sizes(void) {
  static const int64_t sizes[][2] = {{1, 1}, {7, 1}, {5, 64}, {130, 128}, {130, 200}, {33, 310}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    relu_case r = {.rows = sizes[i][0], .cols = sizes[i][1]};
    r.dy = kernels_random(r.rows * r.cols, 1);
    r.out = kernels_random(r.rows * r.cols, 2);
    kernels_run_everywhere(run_relu, NULL, &r, (r.rows + 1) * r.cols, true);
    ml_free(r.dy);
    ml_free(r.out);
  }
}

static void test_gradients(void **state) {
  (void)state;
  each_precision(gradients_of_all_sizes);
}

/* ---- activations ---- */

/* Two layers. With `apart` the second reads another tensor of the same values, which nobody has packed. */
typedef struct layers {
  ml_tensor *x, *w1, *b1, *w2, *b2, *hidden, *y;
} layers;

static layers run_layers(bool apart) {
  layers l = {.x = aid_leaf(AID_SHAPE(4, 10, 37), 1), .w1 = aid_leaf(AID_SHAPE(130, 37), 2),
              .b1 = aid_leaf(AID_SHAPE(130), 3), .w2 = aid_leaf(AID_SHAPE(70, 130), 4),
              .b2 = aid_leaf(AID_SHAPE(70), 5)};
  l.hidden = aid_apply("linear_relu", l.x, l.w1, l.b1, NULL);
  ml_tensor *between = ml_tensor_ref(l.hidden);
  if (apart) between = aid_then("reshape", between, NULL, &(ml_attrs){.reshape = {{3, {4, 10, 130}}}});
  l.y = aid_apply("linear_relu", between, l.w2, l.b2, NULL);
  ml_tensor_unref(between);
  return l;
}

static void drop_layers(layers l) {
  aid_unref((ml_tensor *[]){l.x, l.w1, l.b1, l.w2, l.b2, l.hidden, l.y}, 7);
}

static void backward(layers l) {
  ml_tensor *loss = aid_sum(l.y);
  aid_backward(loss);
  ml_tensor_unref(loss);
}

static void layers_on_every_isa(void) {
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    layers got = run_layers(false), want = run_layers(true);
    assert_non_null(ml_packed_value(got.hidden, ML_COMPANION_LEFT));
    assert_non_null(ml_packed_value(got.hidden, ML_COMPANION_RIGHT));
    kernels_check_equal(got.y->f32, want.y->f32, ml_tensor_count(got.y), "a layer on a packed activation");
    backward(got);
    backward(want);
    ml_tensor *const a[] = {got.x, got.w1, got.b1, got.w2, got.b2};
    ml_tensor *const b[] = {want.x, want.w1, want.b1, want.w2, want.b2};
    for (int i = 0; i < 5; i++)
      kernels_check_equal(a[i]->grad->f32, b[i]->grad->f32, ml_tensor_count(a[i]), "its gradients");
    drop_layers(got);
    drop_layers(want);
  }
}

static void test_activations(void **state) {
  (void)state;
  each_precision(layers_on_every_isa);
}

/* Values that were changed, and another precision, are not what was packed; without recording nothing is packed for a
 * gradient; in f32 nothing is packed. */
static void test_what_is_out_of_date(void **state) {
  (void)state;
  ml_precision_use(ML_PRECISION_BF16);
  layers l = run_layers(false);
  assert_non_null(ml_packed_value(l.hidden, ML_COMPANION_LEFT));
  ml_precision_use(ML_PRECISION_BF16X3);
  assert_null(ml_packed_value(l.hidden, ML_COMPANION_LEFT));
  ml_precision_use(ML_PRECISION_BF16);
  l.hidden->f32[3] = 2.385f;
  ml_tensor_changed(l.hidden);
  assert_null(ml_packed_value(l.hidden, ML_COMPANION_LEFT));
  assert_null(ml_packed_value(l.hidden, ML_COMPANION_RIGHT));
  ml_tensor *same = aid_f32(&l.hidden->shape, l.hidden->f32);
  ml_tensor *y = aid_apply("linear", l.hidden, l.w2, l.b2, NULL), *want = aid_apply("linear", same, l.w2, l.b2, NULL);
  kernels_check_equal(y->f32, want->f32, ml_tensor_count(y), "a layer on a changed activation");
  aid_unref((ml_tensor *[]){same, y, want}, 3);
  drop_layers(l);

  const bool recording = ml_set_recording(false);
  l = run_layers(false);
  ml_set_recording(recording);
  assert_non_null(ml_packed_value(l.hidden, ML_COMPANION_LEFT));
  assert_null(ml_packed_value(l.hidden, ML_COMPANION_RIGHT));
  drop_layers(l);

  ml_precision_use(ML_PRECISION_F32);
  l = run_layers(false);
  assert_null(l.hidden->companions);
  drop_layers(l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parts),       cmocka_unit_test(test_results),
      cmocka_unit_test(test_gradients),   cmocka_unit_test(test_activations),
      cmocka_unit_test(test_what_is_out_of_date),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
