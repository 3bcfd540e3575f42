/* sum, mean, max, min, argmax, argmin over one dimension or (attrs.reduce.all) over all. With `keep` the dimension
 * stays with size 1. max and min give the gradient to one element, the lowest-numbered of the greatest, also over all;
 * argmax and argmin give its place, i32 from 0, and have no gradient. */
#include "kernels/kernels.h"
#include "ops/ops.h"

/* The input seen as [outer, n, inner], reduced over n. */
typedef struct ml_extent {
  int64_t outer, n, inner;
} ml_extent;

static ml_extent extent_of(const ml_call *c) {
  ml_extent e = {1, ml_tensor_count(c->in[0]), 1};
  if (!c->attrs.reduce.all) ml_split_dims(&c->in[0]->shape, c->attrs.reduce.dim, &e.outer, &e.n, &e.inner);
  return e;
}

static ml_status reduced_shape(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  bool all = c->attrs.reduce.all, keep = c->attrs.reduce.keep;
  ml_shape shape = {0};
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (!all && ml_check_dim(op, x, c->attrs.reduce.dim, err) != ML_OK) return ML_MISUSE;
  for (int d = 0; d < x->ndim; d++) {
    bool gone = all || d == c->attrs.reduce.dim;
    if (!gone || keep) shape.size[shape.ndim++] = gone ? 1 : x->size[d];
  }
  ml_set_output(c, &shape);
  return ML_OK;
}

/* ---- sum and mean ---- */

static double mean_scale(const ml_call *c) { return 1.0 / (double)extent_of(c).n; }

static void sum_scaled(ml_call *c, double scale) {
  ml_extent e = extent_of(c);
  ml_reduce_sum(c->out->f32, c->in[0]->f32, e.outer, e.n, e.inner, scale);
}

/* dx[o, i, j] = scale dout[o, j] */
static void sum_scaled_backward(const ml_call *c, const float *dout, float *dx, double scale) {
  ml_extent e = extent_of(c);
  const float factor = (float)scale;
  const int64_t shape[3] = {e.outer, e.n, e.inner}, repeat[3] = {e.inner, 0, 1}, same[3] = {0, 0, 0};
  if (!dx || ml_tensor_count(c->in[0]) == 0) return;
  ml_map_binary_broadcast(dx, dout, &factor, shape, repeat, same, 3, ML_MUL);
}

static ml_status sum_shape(ml_call *c, ml_error *err) { return reduced_shape(&ml_op_sum, c, err); }

static void sum_forward(ml_call *c) { sum_scaled(c, 1.0); }

static void sum_backward(ml_call *c, const float *dout, float *const din[]) {
  sum_scaled_backward(c, dout, din[0], 1.0);
}

const ml_op ml_op_sum = {"sum", 1, 1, sum_shape, sum_forward, sum_backward, {0}};

static ml_status mean_shape(ml_call *c, ml_error *err) { return reduced_shape(&ml_op_mean, c, err); }

static void mean_forward(ml_call *c) { sum_scaled(c, mean_scale(c)); }

static void mean_backward(ml_call *c, const float *dout, float *const din[]) {
  sum_scaled_backward(c, dout, din[0], mean_scale(c));
}

const ml_op ml_op_mean = {"mean", 1, 1, mean_shape, mean_forward, mean_backward, {0}};

/* ---- max, min and their places ---- */

static ml_status extremum_shape(const ml_op *op, ml_call *c, ml_error *err) {
  if (reduced_shape(op, c, err) != ML_OK) return ML_MISUSE;
  int64_t n = extent_of(c).n;
  if (n == 0)
    return ml_fail(err, ML_MISUSE, "%s: expected at least one element to choose from, the input is %s", op->name,
                   ML_SHAPE_WORDS(&c->in[0]->shape));
  if (n > INT32_MAX)
    return ml_fail(err, ML_MISUSE, "%s: expected at most %ld elements to choose from, received %lld", op->name,
                   (long)INT32_MAX, (long long)n);
  return ML_OK;
}

/* saved holds the places, one int32_t where a float would be. */
static ml_status value_shape(const ml_op *op, ml_call *c, ml_error *err) {
  _Static_assert(sizeof(int32_t) == sizeof(float), "a place fits where a float does");
  if (extremum_shape(op, c, err) != ML_OK) return ML_MISUSE;
  c->saved_floats = (size_t)ml_shape_count(&c->out_shape);
  return ML_OK;
}

static void value_forward(ml_call *c, bool least) {
  ml_extent e = extent_of(c);
  ml_reduce_max(c->out->f32, (int32_t *)c->saved, c->in[0]->f32, e.outer, e.n, e.inner, least);
}

static void value_backward(ml_call *c, const float *dout, float *const din[]) {
  ml_extent e = extent_of(c);
  const int32_t *place = (const int32_t *)c->saved;
  float *dx = din[0];
  if (!dx) return;
  ml_fill(dx, e.outer * e.n * e.inner, 0.0f);
  for (int64_t o = 0; o < e.outer; o++)
    for (int64_t j = 0; j < e.inner; j++) {
      int64_t at = o * e.inner + j;
      dx[(o * e.n + place[at]) * e.inner + j] = dout[at];
    }
}

static ml_status place_shape(const ml_op *op, ml_call *c, ml_error *err) {
  if (extremum_shape(op, c, err) != ML_OK) return ML_MISUSE;
  c->out_dtype = ML_I32;
  c->scratch_floats = (size_t)ml_shape_count(&c->out_shape);
  return ML_OK;
}

static void place_forward(ml_call *c, bool least) {
  ml_extent e = extent_of(c);
  ml_reduce_max(c->scratch, c->out->i32, c->in[0]->f32, e.outer, e.n, e.inner, least);
}

#define EXTREMUM(value, place, least)                                                                                  \
  static ml_status value##_shape(ml_call *c, ml_error *err) { return value_shape(&ml_op_##value, c, err); }            \
  static void value##_forward(ml_call *c) { value_forward(c, least); }                                                 \
  const ml_op ml_op_##value = {#value, 1, 1, value##_shape, value##_forward, value_backward, {0}};                     \
  static ml_status place##_shape(ml_call *c, ml_error *err) { return place_shape(&ml_op_##place, c, err); }            \
  static void place##_forward(ml_call *c) { place_forward(c, least); }                                                 \
  const ml_op ml_op_##place = {#place, 1, 1, place##_shape, place##_forward, NULL, {0}}

EXTREMUM(max, argmax, false);
EXTREMUM(min, argmin, true);
