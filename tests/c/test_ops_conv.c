/* Convolution and pooling as operations: their values and gradients against the naive kernels through the tape, the
 * fused ReLU bit for bit, images without channels, empty batches, windows that are refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"
#include "kernels/naive.h"
#include "kernels/precision.h"
#include "kernels_aid.h"
#include "ops_aid.h"

/* ---- convolution ---- */

/* n, in_c, h, w, out_c, kh, kw, strides, paddings (top, left, bottom, right), groups */
static const ml_conv2d convolutions[] = {
    {3, 1, 9, 11, 5, 3, 3, 1, 1, 0, 0, 0, 0, 1},  {2, 3, 8, 7, 17, 3, 2, 1, 2, 1, 0, 2, 1, 1},
    {5, 4, 6, 6, 6, 5, 5, 2, 2, 2, 2, 2, 2, 2},   {2, 6, 7, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1, 6},
    {1, 40, 5, 5, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1}, {4, 7, 3, 3, 2, 1, 1, 3, 3, 0, 0, 0, 0, 1},
};
enum { CONVOLUTIONS = sizeof convolutions / sizeof *convolutions };

static ml_attrs attrs_of(const ml_conv2d *g) {
  return (ml_attrs){.conv2d = {.window = {0, 0, g->stride_h, g->stride_w, g->pad_top, g->pad_left, g->pad_bottom,
                                          g->pad_right},
                               .groups = g->groups}};
}

typedef struct inputs {
  ml_tensor *x, *w, *b;
} inputs;

static inputs make_inputs(const ml_conv2d *g) {
  return (inputs){aid_leaf(AID_SHAPE(g->n, g->in_c, g->h, g->w), 1),
                  aid_leaf(AID_SHAPE(g->out_c, g->in_c / g->groups, g->kh, g->kw), 2),
                  aid_leaf(AID_SHAPE(g->out_c), 3)};
}

static void release(inputs *in) { aid_unref((ml_tensor *[]){in->x, in->w, in->b}, 3); }

/* A fixed gradient of y's shape. */
static ml_tensor *gradient_like(const ml_tensor *y) { return aid_random(&y->shape, 4); }

/* The backward pass from y with the gradient dy; gives y up. */
static void backward_from(ml_tensor *y, ml_tensor *dy) {
  ml_tensor *product = aid_apply("mul", y, dy, NULL, NULL), *loss = aid_sum(product);
  aid_backward(loss);
  aid_unref((ml_tensor *[]){loss, product, y}, 3);
}

static void check_near(const float *found, const double *want, int64_t n, double terms, const char *what) {
  for (int64_t i = 0; i < n; i++)
    if (!(fabs((double)found[i] - want[i]) <= 1e-6 * terms * (1.0 + fabs(want[i]))))
      fail_msg("%s, element %lld: expected %.9g, found %.9g", what, (long long)i, want[i], (double)found[i]);
}

static double *doubles(int64_t n) {
  double *x = ml_alloc((size_t)(n + 1) * sizeof *x);
  assert_non_null(x);
  return x;
}

static void check_gradients(const ml_conv2d *g, const inputs *in, const ml_tensor *dy) {
  double *dx = doubles(ml_tensor_count(in->x)), *dw = doubles(ml_tensor_count(in->w)), *db = doubles(g->out_c);
  ml_naive_conv2d_dx(dx, dy->f32, in->w->f32, g);
  ml_naive_conv2d_dw(dw, dy->f32, in->x->f32, g);
  ml_naive_conv2d_db(db, dy->f32, g);
  check_near(in->x->grad->f32, dx, ml_tensor_count(in->x), (double)(g->out_c * g->kh * g->kw), "dx");
  check_near(in->w->grad->f32, dw, ml_tensor_count(in->w), (double)ml_tensor_count(dy), "dw");
  check_near(in->b->grad->f32, db, g->out_c, (double)ml_tensor_count(dy), "db");
  ml_free(dx);
  ml_free(dw);
  ml_free(db);
}

static void test_conv_is_the_naive_one(void **state) {
  (void)state;
  for (int i = 0; i < CONVOLUTIONS; i++) {
    const ml_conv2d *g = &convolutions[i];
    const ml_attrs attrs = attrs_of(g);
    inputs in = make_inputs(g);
    ml_tensor *y = aid_apply("conv2d", in.x, in.w, in.b, &attrs), *dy = gradient_like(y);
    aid_has_shape(y, AID_SHAPE(g->n, g->out_c, ml_conv2d_out_h(g), ml_conv2d_out_w(g)));
    double *want = doubles(ml_tensor_count(y));
    ml_naive_conv2d_forward(want, in.x->f32, in.w->f32, in.b->f32, false, g);
    check_near(y->f32, want, ml_tensor_count(y), (double)(g->in_c * g->kh * g->kw), "y");
    ml_free(want);
    backward_from(y, dy);
    check_gradients(g, &in, dy);
    ml_tensor_unref(dy);
    release(&in);
  }
}

/* out: y, dx, dw, db one after the other, of conv2d_relu or of relu(conv2d). */
static float *run_relu(float *out, const ml_conv2d *g, bool fused) {
  const ml_attrs attrs = attrs_of(g);
  inputs in = make_inputs(g);
  ml_tensor *y = aid_apply(fused ? "conv2d_relu" : "conv2d", in.x, in.w, in.b, &attrs);
  if (!fused) y = aid_then("relu", y, NULL, NULL);
  ml_tensor *dy = gradient_like(y);
  const ml_tensor *parts[] = {y, in.x, in.w, in.b};
  memcpy(out, y->f32, ml_tensor_bytes(y));
  out += ml_tensor_count(y);
  backward_from(y, dy);
  for (int i = 1; i < 4; i++) {
    memcpy(out, parts[i]->grad->f32, ml_tensor_bytes(parts[i]));
    out += ml_tensor_count(parts[i]);
  }
  ml_tensor_unref(dy);
  release(&in);
  return out;
}

static int64_t result_count(const ml_conv2d *g) {
  return g->n * g->out_c * ml_conv2d_out_h(g) * ml_conv2d_out_w(g) + g->n * g->in_c * g->h * g->w +
         g->out_c * (g->in_c / g->groups) * g->kh * g->kw + g->out_c;
}

static void run_fused(float *out, void *ctx) { run_relu(out, ctx, true); }

static void check_fused(const float *out, void *ctx) {
  const ml_conv2d *g = ctx;
  const int64_t n = result_count(g);
  float *want = ml_alloc((size_t)n * sizeof *want);
  assert_non_null(want);
  assert_ptr_equal(run_relu(want, g, false), want + n);
  for (int64_t i = 0; i < n; i++)
    if (memcmp(out + i, want + i, sizeof *out) != 0)
      fail_msg("element %lld: expected %.9g, found %.9g", (long long)i, (double)want[i], (double)out[i]);
  ml_free(want);
}

static void test_fused_relu_gives_the_same_bits(void **state) {
  (void)state;
  for (int precision = 0; precision < ML_PRECISION_COUNT; precision++) {
    ml_precision_use((ml_precision)precision);
    for (int i = 0; i < CONVOLUTIONS; i++)
      kernels_run_everywhere(run_fused, check_fused, (void *)(uintptr_t)&convolutions[i],
                             result_count(&convolutions[i]), false);
  }
  ml_precision_use(ML_PRECISION_F32);
}

static const ml_attrs plain = {.conv2d = {.window = {.stride_h = 1, .stride_w = 1}, .groups = 1}};

static void test_images_without_channels(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 7, 6), 1), *same = aid_f32(AID_SHAPE(3, 1, 7, 6), x->f32);
  ml_tensor *w = aid_leaf(AID_SHAPE(5, 1, 3, 3), 2);
  ml_tensor *y = aid_apply("conv2d", x, w, NULL, &plain), *want = aid_apply("conv2d", same, w, NULL, &plain);
  aid_has_shape(y, &want->shape);
  kernels_check_equal(y->f32, want->f32, ml_tensor_count(y), "images without channels");
  aid_unref((ml_tensor *[]){x, same, w, y, want}, 5);
}

static void test_empty_batch(void **state) {
  (void)state;
  ml_tensor *x = aid_leaf(AID_SHAPE(0, 2, 7, 6), 1), *w = aid_leaf(AID_SHAPE(5, 2, 3, 3), 2);
  ml_tensor *b = aid_leaf(AID_SHAPE(5), 3);
  ml_tensor *y = aid_apply("conv2d_relu", x, w, b, &plain);
  y = aid_then("max_pool2d", y, NULL, &(ml_attrs){.pool2d = {.window = {2, 2, 2, 2, 0, 0, 0, 0}}});
  y = aid_then("adaptive_avg_pool2d", y, NULL, &(ml_attrs){.size2d = {1, 1}});
  aid_has_shape(y, AID_SHAPE(0, 5, 1, 1));
  ml_tensor *loss = aid_sum(y);
  aid_backward(loss);
  for (int i = 0; i < 5 * 2 * 3 * 3; i++) assert_true(w->grad->f32[i] == 0.0f);
  for (int i = 0; i < 5; i++) assert_true(b->grad->f32[i] == 0.0f);
  aid_unref((ml_tensor *[]){x, w, b, y, loss}, 5);
}

/* ---- poolings ---- */

static const ml_pooling2d poolings[] = {
    {6, 8, 10, 2, 2, 2, 2, 0, 0, 0, 0}, {6, 9, 7, 3, 2, 2, 3, 1, 1, 1, 1}, {6, 7, 12, 3, 3, 1, 1, 1, 1, 1, 1}};

static ml_tensor *pool(const char *op, const ml_pooling2d *g, ml_tensor *x, bool count_padding) {
  const ml_attrs attrs = {.pool2d = {.window = {g->kh, g->kw, g->stride_h, g->stride_w, g->pad_top, g->pad_left,
                                                g->pad_bottom, g->pad_right},
                                     .count_padding = count_padding}};
  return aid_apply(op, x, NULL, NULL, &attrs);
}

static void check_max(const ml_pooling2d *g) {
  ml_tensor *x = aid_leaf(AID_SHAPE(2, 3, g->h, g->w), 1), *y = pool("max_pool2d", g, x, false);
  const int64_t n = ml_tensor_count(y);
  aid_has_shape(y, AID_SHAPE(2, 3, ml_pooling2d_out_h(g), ml_pooling2d_out_w(g)));
  float *want = ml_alloc((size_t)n * sizeof *want);
  int32_t *index = ml_alloc((size_t)n * sizeof *index);
  double *dx = doubles(ml_tensor_count(x));
  assert_true(want && index);
  ml_naive_maxpool2d_forward(want, index, x->f32, g);
  kernels_check_equal(y->f32, want, n, "max_pool2d");
  ml_tensor *dy = gradient_like(y);
  backward_from(y, dy);
  ml_naive_maxpool2d_dx(dx, dy->f32, index, g);
  check_near(x->grad->f32, dx, ml_tensor_count(x), 10, "dx of max_pool2d");
  ml_free(want);
  ml_free(index);
  ml_free(dx);
  aid_unref((ml_tensor *[]){x, dy}, 2);
}

static double mean_at(const ml_pooling2d *g, const float *plane, bool count_padding, int64_t i, int64_t j) {
  double sum = 0.0;
  for (int64_t e = 0; e < g->h * g->w; e++)
    sum += (double)plane[e] * ml_naive_avgpool2d_weight(g, count_padding, i, j, e / g->w, e % g->w);
  return sum;
}

static void check_mean(const ml_pooling2d *g, bool count_padding) {
  ml_tensor *x = aid_leaf(AID_SHAPE(6, g->h, g->w), 1), *y = pool("avg_pool2d", g, x, count_padding);
  const int64_t oh = ml_pooling2d_out_h(g), ow = ml_pooling2d_out_w(g);
  aid_has_shape(y, AID_SHAPE(6, oh, ow));
  for (int64_t o = 0; o < 6 * oh * ow; o++) {
    const double want = mean_at(g, x->f32 + o / (oh * ow) * g->h * g->w, count_padding, o / ow % oh, o % ow);
    check_near(y->f32 + o, &want, 1, 10, "avg_pool2d");
  }
  aid_unref((ml_tensor *[]){x, y}, 2);
}

static void test_pooling_is_the_naive_one(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++) {
    check_max(&poolings[i]);
    check_mean(&poolings[i], true);
    check_mean(&poolings[i], false);
  }
}

/* ---- what is refused ---- */

static ml_attrs conv_with(int64_t stride, int64_t pad, int64_t groups) {
  return (ml_attrs){.conv2d = {.window = {0, 0, stride, stride, pad, pad, pad, pad}, .groups = groups}};
}

static ml_attrs pool_with(int64_t kernel, int64_t stride, int64_t pad) {
  return (ml_attrs){.pool2d = {.window = {kernel, kernel, stride, stride, pad, pad, pad, pad}}};
}

static void test_conv_refuses(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(2, 4, 3, 3), 1), *w = aid_random(AID_SHAPE(6, 4, 3, 3), 2);
  ml_tensor *big = aid_random(AID_SHAPE(6, 4, 5, 5), 2), *b = aid_random(AID_SHAPE(5), 3);
  ml_tensor *row = aid_random(AID_SHAPE(9), 4);
  const ml_attrs good = conv_with(1, 0, 1), three = conv_with(1, 0, 3), two = conv_with(1, 0, 2);
  const ml_attrs still = conv_with(0, 0, 1), negative = conv_with(1, -1, 1), huge = conv_with(1, 70000, 1);
  aid_refused("conv2d: expected images, count x channels x height x width or count x height x width, received 9",
              "conv2d", row, w, NULL, &good);
  aid_refused("conv2d: expected a weight of outputs x inputs / groups x height x width, received 9", "conv2d", x, row,
              NULL, &good);
  aid_refused("conv2d: groups is 3, which does not divide 4 input and 6 output channels", "conv2d", x, w, NULL, &three);
  aid_refused("conv2d: the weight 6x4x3x3 in 2 groups expects 8 channels but receives 4 (input 2x4x3x3)", "conv2d", x,
              w, NULL, &two);
  aid_refused("conv2d_relu: expected a bias of 6, one per output, received 5", "conv2d_relu", x, w, b, &good);
  aid_refused("conv2d: a kernel of 5x5 is larger than the images, 3x3 with their padding", "conv2d", x, big, NULL,
              &good);
  aid_refused("conv2d: the stride is 0x0; expected 1 to 65536", "conv2d", x, w, NULL, &still);
  aid_refused("conv2d: the padding is -1x-1; expected 0 to 65536", "conv2d", x, w, NULL, &negative);
  aid_refused("conv2d: the padding is 70000x70000; expected 0 to 65536", "conv2d", x, w, NULL, &huge);
  aid_unref((ml_tensor *[]){x, w, big, b, row}, 5);
}

static void test_pooling_refuses(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(2, 4, 3, 3), 1), *row = aid_random(AID_SHAPE(9, 3), 4);
  const ml_attrs good = pool_with(2, 1, 0), large = pool_with(4, 1, 0), none = pool_with(0, 1, 0);
  const ml_attrs padded = pool_with(3, 1, 2), nothing = {.size2d = {0, 2}};
  aid_refused("max_pool2d: expected images, count x channels x height x width or count x height x width, received 9x3",
              "max_pool2d", row, NULL, NULL, &good);
  aid_refused("avg_pool2d: a kernel of 4x4 is larger than the images, 3x3 with their padding", "avg_pool2d", x, NULL,
              NULL, &large);
  aid_refused("max_pool2d: the kernel is 0x0; expected 1 to 65536", "max_pool2d", x, NULL, NULL, &none);
  aid_refused("max_pool2d: the padding 2x2 is more than half of the kernel, 3x3", "max_pool2d", x, NULL, NULL, &padded);
  aid_refused("adaptive_avg_pool2d: the output's size is 0x2; expected 1 to 32767", "adaptive_avg_pool2d", x, NULL,
              NULL, &nothing);
  aid_unref((ml_tensor *[]){x, row}, 2);
}

/* Without memory a call fails as a whole and leaves nothing behind. */
static void test_every_allocation_fails(void **state) {
  (void)state;
  const ml_conv2d *g = &convolutions[1];
  const ml_attrs attrs = attrs_of(g);
  inputs in = make_inputs(g);
  const uint64_t live = ml_memory_get_stats().live_blocks;
  ml_tensor *y = NULL;
  for (uint64_t nth = 1; !y; nth++) {
    ml_error err = {0};
    ml_memory_fail_from(nth);
    y = ml_apply(ml_op_find("conv2d_relu"), (ml_tensor *[]){in.x, in.w, in.b}, 3, &attrs, &err);
    ml_memory_fail_from(0);
    if (!y) assert_int_equal(err.status, ML_NOMEM);
    if (!y) assert_int_equal(ml_memory_get_stats().live_blocks, live);
    assert_true(nth < 20);
  }
  ml_tensor_unref(y);
  release(&in);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_is_the_naive_one),
      cmocka_unit_test(test_fused_relu_gives_the_same_bits),
      cmocka_unit_test(test_images_without_channels),
      cmocka_unit_test(test_empty_batch),
      cmocka_unit_test(test_pooling_is_the_naive_one),
      cmocka_unit_test(test_conv_refuses),
      cmocka_unit_test(test_pooling_refuses),
      cmocka_unit_test(test_every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
