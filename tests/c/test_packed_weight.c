/* Weights that are packed once for many products: the bits of ml_gemm on every instruction set and number of threads;
 * never those of older values, nor of another precision; taken along by updates; none without memory or in f32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/packed.h"
#include "kernels/precision.h"
#include "kernels_aid.h"
#include "ops/packed.h"
#include "ops_aid.h"
#include "optim/optim.h"

typedef struct packed_case {
  int64_t m, n, k;
  float *a, *b, *bias;
} packed_case;

/* b[k, n] is the transpose of what lies in memory; the last columns are packed first. */
static void run_packed(float *c, void *ctx) {
  const packed_case *p = ctx;
  const ml_matrix a = {p->a, p->k, 1}, b = {p->b, 1, p->k};
  const ml_epilogue e = {p->bias, true};
  const ml_packing packing = {ML_RIGHT, p->n, p->k};
  const int64_t grain = ml_packed_grain();
  float *packed = kernels_floats((int64_t)ml_packed_floats(packing));
  float *work = kernels_floats((int64_t)ml_gemm_workspace(p->m, p->n, p->k));
  float *want = kernels_floats(p->m * p->n);
  for (int64_t j = (p->n - 1) / grain * grain; j >= 0; j -= grain)
    ml_pack_part(packed, packing, b, 0, p->k, j, j + grain < p->n ? j + grain : p->n);
  ml_gemm_kept(c, p->n, a, b, (ml_kept){.b = packed}, e, p->m, p->n, p->k, work);
  ml_gemm(want, p->n, a, b, e, p->m, p->n, p->k, work);
  kernels_check_equal(c, want, p->m * p->n, "a product with a packed operand");
  ml_free(packed);
  ml_free(work);
  ml_free(want);
}

static void test_bits_of_gemm(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1}, {5, 33, 40}, {40, 70, 65}, {33, 100, 300}, {900, 5, 33}};
  for (int precision = ML_PRECISION_BF16; precision < ML_PRECISION_COUNT; precision++) {
    ml_precision_use((ml_precision)precision);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      packed_case p = {.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2]};
      p.a = kernels_random(p.m * p.k, 1);
      p.b = kernels_random(p.k * p.n, 2);
      p.bias = kernels_random(p.n, 3);
      kernels_run_everywhere(run_packed, NULL, &p, p.m * p.n, true);
      ml_free(p.a);
      ml_free(p.b);
      ml_free(p.bias);
    }
  }
  ml_precision_use(ML_PRECISION_F32);
}

static void test_what_is_not_kept(void **state) {
  (void)state;
  assert_int_equal(ml_packed_floats((ml_packing){ML_RIGHT, 512, 784}), 0); /* f32 */
  ml_precision_use(ML_PRECISION_BF16);
  assert_true(ml_packed_floats((ml_packing){ML_RIGHT, 512, 784}) >= 512 * 784 / 2);
  assert_int_equal(ml_packed_floats((ml_packing){ML_RIGHT, 1025, 8}), 0);
  assert_int_equal(ml_packed_floats((ml_packing){ML_RIGHT, 8, 4000}), 0);
  assert_int_equal(ml_packed_floats((ml_packing){ML_RIGHT, 0, 8}), 0);
  ml_precision_use(ML_PRECISION_F32);
}

/* linear(x, w) against a weight of the same values that was never used before. */
static void check_linear(ml_tensor *x, const ml_tensor *w) {
  ml_tensor *fresh = aid_f32(&w->shape, w->f32);
  ml_tensor *y = aid_apply("linear", x, (ml_tensor *)w, NULL, NULL), *want = aid_apply("linear", x, fresh, NULL, NULL);
  kernels_check_equal(y->f32, want->f32, ml_tensor_count(y), "linear with a packed weight");
  aid_unref((ml_tensor *[]){y, want, fresh}, 3);
}

static void test_values_and_precisions_change(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(9, 37), 1), *w = aid_leaf(AID_SHAPE(45, 37), 2);
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
    for (int round = 0; round < 6; round++) {
      ml_precision_use((ml_precision)(round % ML_PRECISION_COUNT));
      for (int use = 0; use < 2; use++) check_linear(x, w);
      w->f32[round * 40] = 2.385f;
      ml_tensor_changed(w);
      check_linear(x, w);
    }
  }
  ml_precision_use(ML_PRECISION_F32);
  aid_unref((ml_tensor *[]){x, w}, 2);
}

static void step(ml_tensor *w, const float *gradient) {
  const ml_hyper h = {.lr = 0.1, .step = 1};
  ml_span span = {.w = w->f32, .g = gradient, .n = ml_tensor_count(w)};
  if (!ml_packed_weight_update(w, &span.refresh)) span.refresh.fn = NULL;
  ml_optimizer_step(ml_optimizer_find("SGD"), &span, 1, &h);
}

/* An update takes the packed copy along, and gives it up where it is of another precision or older values. */
static void test_follows_updates(void **state) {
  (void)state;
  static const int64_t sizes[][2] = {{45, 37}, {512, 100}, {1, 1}, {33, 784}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int64_t out = sizes[i][0], in = sizes[i][1];
    ml_tensor *x = aid_random(AID_SHAPE(9, in), 1), *w = aid_leaf(AID_SHAPE(out, in), 2);
    float *gradient = kernels_random(out * in, 3);
    for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
      assert_int_equal(ml_cpu_use((ml_isa)isa, NULL), ML_OK);
      for (int threads = 1; threads <= 3; threads += 2) {
        assert_int_equal(ml_pool_start(threads, NULL), ML_OK);
        ml_precision_use(ML_PRECISION_BF16);
        check_linear(x, w);
        step(w, gradient);
        const ml_companion *c = ml_tensor_companion(w, ML_COMPANION_RIGHT_T);
        assert_true(c->state == ML_COMPANION_READY && c->version == w->storage->version);
        check_linear(x, w);
        ml_precision_use(ML_PRECISION_BF16X3);
        step(w, gradient);
        assert_int_equal(ml_tensor_companion(w, ML_COMPANION_RIGHT_T)->state, ML_COMPANION_STALE);
        check_linear(x, w);
      }
    }
    ml_pool_stop();
    ml_free(gradient);
    aid_unref((ml_tensor *[]){x, w}, 2);
  }
  ml_precision_use(ML_PRECISION_F32);
}

/* Without memory for the packed weight the layer is computed all the same. */
static void test_every_allocation_fails(void **state) {
  (void)state;
  ml_precision_use(ML_PRECISION_BF16);
  ml_tensor *x = aid_random(AID_SHAPE(9, 37), 1), *w = aid_leaf(AID_SHAPE(45, 37), 2);
  ml_tensor *other = aid_leaf(AID_SHAPE(45, 37), 2), *want = aid_apply("linear", x, other, NULL, NULL);
  bool computed = false;
  for (uint64_t nth = 1; !w->companions || !w->companions->data; nth++) {
    ml_error err = {0};
    ml_memory_fail_from(nth);
    ml_tensor *y = ml_apply(ml_op_find("linear"), (ml_tensor *[]){x, w}, 2, NULL, &err);
    ml_memory_fail_from(0);
    if (y) kernels_check_equal(y->f32, want->f32, 9 * 45, "linear without memory");
    if (!y) assert_int_equal(err.status, ML_NOMEM);
    computed = computed || y;
    ml_tensor_unref(y);
    assert_true(nth < 30);
  }
  assert_true(computed);
  ml_precision_use(ML_PRECISION_F32);
  aid_unref((ml_tensor *[]){x, w, other, want}, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bits_of_gemm),
      cmocka_unit_test(test_what_is_not_kept),
      cmocka_unit_test(test_values_and_precisions_change),
      cmocka_unit_test(test_follows_updates),
      cmocka_unit_test(test_every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
