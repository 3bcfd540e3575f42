/* Gradients of every operation against central differences, over the table in gradcheck_cases.c.
 *
 * The probe is L = sum over i of r[i] out[i], with fixed random r and the sum in double. An input element moves by H to
 * either side; the difference is divided by how far the float really moved. With H = 0.01 the truncation error is about
 * H^2 / 6 of the third derivative (1e-4 for exp at 2.4, about 1e-2 for 0.4^y), the rounding error of a float output
 * 1e-7 / H = 1e-5 of its size: TOLERANCE is relative to 1 + |derivative|. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "base/rng.h"
#include "gradcheck_cases.h"
#include "ops/tape.h"

#define H         0.01f
#define TOLERANCE 1.5e-3

static float sign_of(uint32_t bits) { return bits & 1 ? 1.0f : -1.0f; }

static void fill_ladder(float *x, int64_t n, ml_rng *rng, float offset) {
  uint32_t order[256];
  assert_true(n <= 256);
  ml_rng_permutation(order, (uint32_t)n, rng);
  for (int64_t i = 0; i < n; i++) x[i] = 0.385f + offset + 0.2f * ((float)order[i] - (float)n / 2.0f);
}

static void normalise_rows(float *x, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows; i++) {
    float sum = 0.0f;
    for (int64_t j = 0; j < cols; j++) sum += x[i * cols + j];
    for (int64_t j = 0; j < cols; j++) x[i * cols + j] /= sum;
  }
}

static void fill_labels(ml_tensor *t, int classes, ml_rng *rng) {
  for (int64_t i = 0; i < ml_tensor_count(t); i++) {
    uint32_t bits[4];
    ml_rng_next(bits, rng);
    if (t->dtype == ML_U8)
      t->u8[i] = (uint8_t)(bits[0] % (uint32_t)classes);
    else
      t->i32[i] = (int32_t)(bits[0] % (uint32_t)classes);
  }
}

static ml_tensor *make_input(const gradcheck_input *in, ml_rng *rng) {
  bool labels = in->fill == GC_LABELS || in->fill == GC_LABELS_U8;
  ml_dtype dtype = in->fill == GC_LABELS ? ML_I32 : in->fill == GC_LABELS_U8 ? ML_U8 : ML_F32;
  ml_tensor *t = ml_tensor_new(dtype, &in->shape, NULL);
  int64_t n = ml_tensor_count(t);
  assert_non_null(t);
  t->requires_grad = in->fill <= GC_BETWEEN;
  if (labels) {
    fill_labels(t, in->classes, rng);
  } else if (in->fill == GC_DISTINCT || in->fill == GC_BETWEEN) {
    fill_ladder(t->f32, n, rng, in->fill == GC_BETWEEN ? 0.1f : 0.0f);
  } else {
    ml_rng_uniform(t->f32, (size_t)n, rng, in->fill == GC_SMOOTH ? -2.385f : 0.385f, 2.385f);
  }
  if (in->fill == GC_NONZERO)
    for (int64_t i = 0; i < n; i++) {
      uint32_t bits[4];
      ml_rng_next(bits, rng);
      t->f32[i] *= sign_of(bits[0]);
    }
  if (in->fill == GC_ROWS) normalise_rows(t->f32, in->shape.size[0], in->shape.size[1]);
  return t;
}

static void fill_probe(float *r, int64_t n) {
  ml_rng rng = ml_rng_make(11, ML_STREAM_SCRIPT);
  ml_rng_uniform(r, (size_t)n, &rng, -1.0f, 1.0f);
}

/* L at the inputs as they are. */
static double probe(const gradcheck_case *gc, ml_tensor *const *in) {
  ml_error err;
  float r[256];
  ml_tensor *out = ml_apply(ml_op_find(gc->op), in, gc->inputs, &gc->attrs, &err);
  if (!out) fail_msg("%s", err.message);
  int64_t n = ml_tensor_count(out);
  assert_true(n <= 256);
  fill_probe(r, n);
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)r[i] * out->f32[i];
  ml_tensor_unref(out);
  return sum;
}

/* Values that nothing can be computed from. */
static void spoil(ml_tensor *t) {
  if (t->dtype != ML_F32) memset(t->data, 0, ml_tensor_bytes(t));
  else
    for (int64_t i = 0; i < ml_tensor_count(t); i++) t->f32[i] = NAN;
}

/* The gradients of L by the tape: sum(out * r). Between forward and backward all is spoilt that is not in `keep`, a sum
 * of ML_READS. */
static void backward(const gradcheck_case *gc, ml_tensor *const *in, uint32_t keep) {
  ml_error err;
  ml_attrs all = {.reduce = {.all = true}};
  ml_tensor *out = ml_apply(ml_op_find(gc->op), in, gc->inputs, &gc->attrs, &err);
  if (!out) fail_msg("%s", err.message);
  ml_tensor *r = ml_tensor_new(ML_F32, &out->shape, NULL);
  fill_probe(r->f32, ml_tensor_count(r));
  ml_tensor *product = ml_apply(ml_op_find("mul"), (ml_tensor *[]){out, r}, 2, NULL, &err);
  ml_tensor *loss = ml_apply(ml_op_find("sum"), &product, 1, &all, &err);
  assert_non_null(loss);
  for (int i = 0; i < gc->inputs; i++)
    if (!(keep & ML_READS(i))) spoil(in[i]);
  if (!(keep & ML_READS_OUT) && out->storage != in[0]->storage) spoil(out);
  if (ml_backward(loss, 1.0f, &err) != ML_OK) fail_msg("%s", err.message);
  ml_tensor_unref(loss);
  ml_tensor_unref(product);
  ml_tensor_unref(r);
  ml_tensor_unref(out);
}

static void set_element(ml_tensor *t, int64_t i, float value) {
  t->f32[i] = value;
  ml_tensor_changed(t);
}

static void check_input(const gradcheck_case *gc, ml_tensor *const *in, int which) {
  ml_tensor *t = in[which];
  assert_non_null(t->grad);
  assert_true(ml_shape_equal(&t->shape, &t->grad->shape));
  bool before = ml_set_recording(false);
  for (int64_t i = 0; i < ml_tensor_count(t); i++) {
    float x = t->f32[i];
    volatile float high = x + H, low = x - H;
    set_element(t, i, high);
    double up = probe(gc, in);
    set_element(t, i, low);
    double down = probe(gc, in);
    set_element(t, i, x);
    double expected = (up - down) / ((double)high - (double)low), found = t->grad->f32[i];
    if (!(fabs(found - expected) <= TOLERANCE * (1.0 + fabs(expected))))
      fail_msg("%s (%s): input %d, element %lld: expected %.7g, found %.7g", gc->op, gc->what, which + 1, (long long)i,
               expected, found);
  }
  ml_set_recording(before);
}

static void test_gradients(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(2385, ML_STREAM_SCRIPT);
  for (size_t row = 0; row < gradcheck_case_count; row++) {
    const gradcheck_case *gc = &gradcheck_cases[row];
    ml_tensor *in[GRADCHECK_MAX_INPUTS] = {NULL};
    if (!ml_op_find(gc->op)) fail_msg("no operation is called %s", gc->op);
    for (int i = 0; i < gc->inputs; i++) in[i] = make_input(&gc->in[i], &rng);
    backward(gc, in, UINT32_MAX);
    for (int i = 0; i < gc->inputs; i++)
      if (in[i]->requires_grad) check_input(gc, in, i);
    for (int i = 0; i < gc->inputs; i++) ml_tensor_unref(in[i]);
  }
}

/* The gradient of input `which` does not change if all is lost that the operation does not say it reads for it. */
static void check_reads(const gradcheck_case *gc, ml_tensor *const *in, int which) {
  float expected[256];
  int64_t n = ml_tensor_count(in[which]);
  assert_true(n <= 256);
  for (int pass = 0; pass < 2; pass++) {
    ml_tensor *copy[GRADCHECK_MAX_INPUTS];
    for (int i = 0; i < gc->inputs; i++) {
      copy[i] = ml_tensor_clone(in[i], NULL);
      copy[i]->requires_grad = i == which;
    }
    backward(gc, copy, pass == 0 ? UINT32_MAX : ml_op_find(gc->op)->reads[which]);
    if (pass == 0) memcpy(expected, copy[which]->grad->f32, (size_t)n * sizeof *expected);
    else if (memcmp(expected, copy[which]->grad->f32, (size_t)n * sizeof *expected) != 0)
      fail_msg("%s (%s): the gradient of input %d reads more than its `reads` says", gc->op, gc->what, which + 1);
    for (int i = 0; i < gc->inputs; i++) ml_tensor_unref(copy[i]);
  }
}

static void test_operations_say_what_they_read(void **state) {
  (void)state;
  ml_rng rng = ml_rng_make(2385, ML_STREAM_SCRIPT);
  for (size_t row = 0; row < gradcheck_case_count; row++) {
    const gradcheck_case *gc = &gradcheck_cases[row];
    ml_tensor *in[GRADCHECK_MAX_INPUTS] = {NULL};
    for (int i = 0; i < gc->inputs; i++) in[i] = make_input(&gc->in[i], &rng);
    for (int i = 0; i < gc->inputs; i++)
      if (in[i]->requires_grad) check_reads(gc, in, i);
    for (int i = 0; i < gc->inputs; i++) ml_tensor_unref(in[i]);
  }
}

static void test_every_operation_has_a_case(void **state) {
  (void)state;
  for (const ml_op *const *op = ml_ops; *op; op++) {
    size_t rows = 0;
    for (size_t i = 0; i < gradcheck_case_count; i++) rows += strcmp(gradcheck_cases[i].op, (*op)->name) == 0;
    if ((*op)->backward && rows == 0) fail_msg("%s has no row in tests/c/gradcheck_cases.c", (*op)->name);
    if (!(*op)->backward && rows > 0) fail_msg("%s has no backward but a row in the table", (*op)->name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_operation_has_a_case),
      cmocka_unit_test(test_gradients),
      cmocka_unit_test(test_operations_say_what_they_read),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
