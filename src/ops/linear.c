/* linear: y[n, out] = x[n, in] w[out, in]^T + b[out], b being optional; x may have any leading dimensions, which count
 * as n. linear_relu: max(y, 0), the same numbers as relu after linear without the walk over y in between; nn.Sequential
 * calls it. No attributes. */
#include "kernels/kernels.h"
#include "ops/few_rows.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/tape.h"

typedef struct ml_layer {
  int64_t n, in, out;
} ml_layer;

static ml_layer layer_of(const ml_call *c) {
  const ml_shape *x = &c->in[0]->shape, *w = &c->in[1]->shape;
  int64_t n = 1;
  for (int d = 0; d < x->ndim - 1; d++) n *= x->size[d];
  return (ml_layer){.n = n, .in = w->size[1], .out = w->size[0]};
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Floats that the largest of the three products wants, whole cache lines. */
static size_t product_scratch(ml_layer l) {
  size_t floats = ml_gemm_workspace(l.n, l.out, l.in);
  floats = larger(floats, ml_gemm_workspace(l.n, l.in, l.out));
  floats = larger(floats, ml_gemm_workspace(l.out, l.in, l.n));
  return (floats + 15) / 16 * 16;
}

static ml_status check_weight(const ml_shape *x, const ml_shape *w, ml_error *err) {
  if (w->ndim != 2)
    return ml_fail(err, ML_MISUSE, "linear: expected a weight of outputs x inputs, received %s", ML_SHAPE_WORDS(w));
  if (x->ndim == 0)
    return ml_fail(err, ML_MISUSE, "linear: the weight %s cannot apply to a scalar input", ML_SHAPE_WORDS(w));
  int64_t received = x->size[x->ndim - 1];
  if (received != w->size[1])
    return ml_fail(err, ML_MISUSE, "linear: the weight %s expects %lld inputs but receives %lld (input %s)",
                   ML_SHAPE_WORDS(w), (long long)w->size[1], (long long)received, ML_SHAPE_WORDS(x));
  return ML_OK;
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *w = &c->in[1]->shape;
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (check_weight(x, w, err) != ML_OK) return ML_MISUSE;
  if (c->inputs == 3 && !ml_shape_equal(&c->in[2]->shape, &(ml_shape){1, {w->size[0]}}))
    return ml_fail(err, ML_MISUSE, "linear: expected a bias of %lld, one per output, received %s",
                   (long long)w->size[0], ML_SHAPE_WORDS(&c->in[2]->shape));
  ml_shape shape = *x;
  shape.size[x->ndim - 1] = w->size[0];
  ml_set_output(c, &shape);
  ml_want_scratch(c, product_scratch(layer_of(c)));
  return ML_OK;
}

static ml_status linear_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_linear, c, err); }

/* Floats of the gradient before the ReLU, with it packed for two products behind it. */
typedef struct gradient_scratch {
  size_t dz, left, left_t;
} gradient_scratch;

static gradient_scratch gradient_floats(ml_layer l) {
  const size_t dz = (size_t)l.n * (size_t)l.out;
  return (gradient_scratch){(dz + 15) / 16 * 16, ml_packed_floats((ml_packing){ML_LEFT, l.n, l.out}),
                            ml_packed_floats((ml_packing){ML_LEFT, l.out, l.n})};
}

static ml_status linear_relu_shape(ml_call *c, ml_error *err) {
  const ml_status status = shape_of(&ml_op_linear_relu, c, err);
  if (status != ML_OK) return status;
  const ml_layer l = layer_of(c);
  const gradient_scratch g = gradient_floats(l);
  ml_want_scratch(c, product_scratch(l) + g.dz + g.left + g.left_t);
  return ML_OK;
}

/* What a ReLU follows is a hidden layer, and its result nearly always another linear layer's input. */
static void forward(ml_call *c, bool relu) {
  const ml_layer l = layer_of(c);
  const float *bias = c->inputs == 3 ? c->in[2]->f32 : NULL;
  const ml_matrix x = {c->in[0]->f32, l.in, 1}, wt = {c->in[1]->f32, 1, l.in};
  const ml_epilogue e = {bias, relu};
  if (ml_few_rows(c->out->f32, c->in[0]->f32, c->in[1], e, l.n)) return;
  ml_kept kept = ML_NOTHING_KEPT;
  if (l.n > 0 && l.in > 0 && l.out > 0) {
    kept.a = ml_packed_value(c->in[0], ML_COMPANION_LEFT);
    kept.b = ml_packed_weight(c->in[1], ML_COMPANION_RIGHT_T);
    if (relu) ml_packed_result(c->out, true, ml_recording(), &kept);
  }
  ml_gemm_kept(c->out->f32, l.out, x, wt, kept, e, l.n, l.out, l.in, c->scratch);
}

static void linear_forward(ml_call *c) { forward(c, false); }
static void linear_relu_forward(ml_call *c) { forward(c, true); }

/* A gradient [n, out], and it and its transpose as packed left operands or NULL. */
typedef struct gradient {
  const float *dz, *left, *left_t;
} gradient;

/* dx = dz w, dw = dz^T x */
static void backward_products(ml_call *c, ml_layer l, gradient g, float *const din[]) {
  const ml_matrix rows = {g.dz, l.out, 1}, columns = {g.dz, 1, l.out};
  const ml_matrix x = {c->in[0]->f32, l.in, 1}, w = {c->in[1]->f32, l.in, 1};
  const bool any = l.n > 0 && l.in > 0 && l.out > 0;
  if (din[0]) {
    const ml_kept kept = {.a = g.left, .b = any ? ml_packed_weight(c->in[1], ML_COMPANION_RIGHT) : NULL};
    ml_gemm_kept(din[0], l.in, rows, w, kept, ML_NO_EPILOGUE, l.n, l.in, l.out, c->scratch);
  }
  if (din[1]) {
    const ml_kept kept = {.a = g.left_t, .b = any ? ml_packed_value(c->in[0], ML_COMPANION_RIGHT) : NULL};
    ml_gemm_kept(din[1], l.in, columns, x, kept, ML_NO_EPILOGUE, l.out, l.in, l.n, c->scratch);
  }
}

/* db = sum of dz over n */
static void linear_backward(ml_call *c, const float *dout, float *const din[]) {
  ml_layer l = layer_of(c);
  backward_products(c, l, (gradient){dout, NULL, NULL}, din);
  if (c->inputs == 3 && din[2]) ml_reduce_sum(din[2], dout, 1, l.n, l.out, 1.0);
}

static void linear_relu_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_layer l = layer_of(c);
  const gradient_scratch floats = gradient_floats(l);
  const float *y = c->out->f32;
  float *dz = c->scratch + product_scratch(l), *left = NULL, *left_t = NULL;
  if (c->inputs == 3 && din[2]) {
    const bool room = c->scratch_floats >= product_scratch(l) + floats.dz + floats.left + floats.left_t;
    if (room && din[0] && floats.left > 0) left = dz + floats.dz;
    if (room && din[1] && floats.left_t > 0) left_t = dz + floats.dz + floats.left;
    ml_relu_bias_backward_packed(dz, din[2], dout, y, l.n, l.out, left, left_t);
  } else {
    ml_map_unary_backward(dz, dout, y, y, l.n * l.out, ML_RELU, 0);
  }
  backward_products(c, l, (gradient){dz, left, left_t}, din);
}

const ml_op ml_op_linear = {
    "linear", 2, 3, linear_shape, linear_forward, linear_backward, {ML_READS(1), ML_READS(0), 0}};

/* ReLU's slope shows in its output as well as in its input. */
const ml_op ml_op_linear_relu = {
    "linear_relu",       2, 3, linear_relu_shape, linear_relu_forward, linear_relu_backward,
    {ML_READS(1) | ML_READS_OUT, ML_READS(0) | ML_READS_OUT, ML_READS_OUT}};
