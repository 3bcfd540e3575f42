/* Operations that move elements and compute nothing. reshape (attrs.reshape) and rows (attrs.slice, dimension 0) are
 * views; t, slice (attrs.slice), concat (attrs.along) and gather_rows copy. All but t take any dtype. */
#include <string.h>

#include "kernels/kernels.h"
#include "ops/ops.h"

/* An output of x's dtype. */
static void set_output_like(ml_call *c, const ml_tensor *x, const ml_shape *shape) {
  ml_set_output(c, shape);
  c->out_dtype = x->dtype;
}

static void no_forward(ml_call *c) { (void)c; }

/* ---- t: the transpose of a matrix ---- */

static ml_status t_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  if (ml_check_f32(&ml_op_t, c, err) != ML_OK) return ML_MISUSE;
  if (x->ndim != 2)
    return ml_fail(err, ML_MISUSE, "t: expected a matrix, received %s", ML_SHAPE_WORDS(x));
  ml_set_output(c, &(ml_shape){2, {x->size[1], x->size[0]}});
  return ML_OK;
}

static void t_forward(ml_call *c) {
  const int64_t *size = c->in[0]->shape.size;
  ml_transpose(c->out->f32, c->in[0]->f32, size[0], size[1]);
}

static void t_backward(ml_call *c, const float *dout, float *const din[]) {
  const int64_t *size = c->out_shape.size;
  if (din[0]) ml_transpose(din[0], dout, size[0], size[1]);
}

const ml_op ml_op_t = {"t", 1, 1, t_shape, t_forward, t_backward, {0}};

/* ---- reshape ---- */

static ml_status reshape_shape(ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *shape = &c->attrs.reshape.shape;
  int64_t count = 1, have = ml_shape_count(x);
  bool fits = true;
  for (int d = 0; d < shape->ndim; d++)
    fits &= shape->size[d] >= 0 && !__builtin_mul_overflow(count, shape->size[d], &count);
  if (!fits || count != have)
    return ml_fail(err, ML_MISUSE, "reshape: the %lld elements of %s do not fit %s", (long long)have,
                   ML_SHAPE_WORDS(x), ML_SHAPE_WORDS(shape));
  set_output_like(c, c->in[0], shape);
  c->out_is_view = true;
  return ML_OK;
}

static void reshape_backward(ml_call *c, const float *dout, float *const din[]) {
  if (din[0]) ml_copy(din[0], dout, ml_shape_count(&c->out_shape));
}

const ml_op ml_op_reshape = {"reshape", 1, 1, reshape_shape, no_forward, reshape_backward, {0}};

/* ---- rows and slice: begin .. begin + count - 1 of a dimension ---- */

static ml_status range_shape(const ml_op *op, ml_call *c, int dim, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape;
  int64_t begin = c->attrs.slice.begin, count = c->attrs.slice.count;
  if (ml_check_dim(op, x, dim, err) != ML_OK) return ML_MISUSE;
  int64_t size = x->size[dim];
  if (begin < 0 || count < 0 || begin > size || count > size - begin)
    return ml_fail(err, ML_MISUSE, "%s: %lld after the first %lld reach beyond the %lld of dimension %d of %s",
                   op->name, (long long)count, (long long)begin, (long long)size, dim + 1, ML_SHAPE_WORDS(x));
  ml_shape shape = *x;
  shape.size[dim] = count;
  set_output_like(c, c->in[0], &shape);
  return ML_OK;
}

static ml_status rows_shape(ml_call *c, ml_error *err) {
  if (range_shape(&ml_op_rows, c, 0, err) != ML_OK) return ML_MISUSE;
  c->out_is_view = true;
  c->view_offset = c->attrs.slice.begin * ml_tensor_row_count(c->in[0]);
  return ML_OK;
}

static void rows_backward(ml_call *c, const float *dout, float *const din[]) {
  float *dx = din[0];
  if (!dx) return;
  int64_t count = ml_shape_count(&c->out_shape), end = c->view_offset + count;
  ml_fill(dx, c->view_offset, 0.0f);
  ml_copy(dx + c->view_offset, dout, count);
  ml_fill(dx + end, ml_tensor_count(c->in[0]) - end, 0.0f);
}

const ml_op ml_op_rows = {"rows", 1, 1, rows_shape, no_forward, rows_backward, {0}};

static ml_status slice_shape(ml_call *c, ml_error *err) {
  return range_shape(&ml_op_slice, c, c->attrs.slice.dim, err);
}

static void slice_forward(ml_call *c) {
  int64_t outer, n, inner;
  ml_split_dims(&c->in[0]->shape, c->attrs.slice.dim, &outer, &n, &inner);
  size_t element = ml_dtype_size(c->out_dtype), row = (size_t)inner * element;
  size_t width = (size_t)c->attrs.slice.count * row;
  const uint8_t *x = (const uint8_t *)c->in[0]->data + (size_t)c->attrs.slice.begin * row;
  uint8_t *y = c->out->data;
  for (int64_t o = 0; o < outer; o++) memcpy(y + (size_t)o * width, x + (size_t)(o * n) * row, width);
}

static void slice_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t outer, n, inner;
  if (!din[0]) return;
  ml_split_dims(&c->in[0]->shape, c->attrs.slice.dim, &outer, &n, &inner);
  int64_t width = c->attrs.slice.count * inner;
  float *dx = din[0] + c->attrs.slice.begin * inner;
  ml_fill(din[0], outer * n * inner, 0.0f);
  for (int64_t o = 0; o < outer; o++) memcpy(dx + o * n * inner, dout + o * width, (size_t)width * sizeof *dx);
}

const ml_op ml_op_slice = {"slice", 1, 1, slice_shape, slice_forward, slice_backward, {0}};

/* ---- concat ---- */

static ml_status check_joins(const ml_tensor *x, const ml_tensor *first, int number, int dim, ml_error *err) {
  if (x->dtype != first->dtype)
    return ml_fail(err, ML_MISUSE, "concat: input %d is %s, expected %s as input 1", number, ml_dtype_name(x->dtype),
                   ml_dtype_name(first->dtype));
  ml_shape expected = first->shape;
  if (x->shape.ndim == expected.ndim) expected.size[dim] = x->shape.size[dim];
  if (!ml_shape_equal(&x->shape, &expected))
    return ml_fail(err, ML_MISUSE, "concat: input %d of %s and input 1 of %s may differ in dimension %d only", number,
                   ML_SHAPE_WORDS(&x->shape), ML_SHAPE_WORDS(&first->shape), dim + 1);
  return ML_OK;
}

static ml_status concat_shape(ml_call *c, ml_error *err) {
  const ml_tensor *first = c->in[0];
  int dim = c->attrs.along.dim;
  if (ml_check_dim(&ml_op_concat, &first->shape, dim, err) != ML_OK) return ML_MISUSE;
  ml_shape shape = first->shape;
  for (int i = 1; i < c->inputs; i++) {
    if (check_joins(c->in[i], first, i + 1, dim, err) != ML_OK) return ML_MISUSE;
    shape.size[dim] += c->in[i]->shape.size[dim];
  }
  set_output_like(c, first, &shape);
  return ML_OK;
}

static void concat_forward(ml_call *c) {
  int64_t outer, n, inner;
  size_t element = ml_dtype_size(c->out_dtype), begin = 0;
  ml_split_dims(&c->out_shape, c->attrs.along.dim, &outer, &n, &inner);
  size_t row = (size_t)(n * inner) * element;
  uint8_t *y = c->out->data;
  for (int i = 0; i < c->inputs; i++) {
    size_t width = (size_t)(c->in[i]->shape.size[c->attrs.along.dim] * inner) * element;
    const uint8_t *x = c->in[i]->data;
    for (size_t o = 0; o < (size_t)outer; o++) memcpy(y + o * row + begin, x + o * width, width);
    begin += width;
  }
}

static void concat_backward(ml_call *c, const float *dout, float *const din[]) {
  int64_t outer, n, inner, begin = 0;
  ml_split_dims(&c->out_shape, c->attrs.along.dim, &outer, &n, &inner);
  for (int i = 0; i < c->inputs; i++) {
    int64_t width = c->in[i]->shape.size[c->attrs.along.dim] * inner;
    for (int64_t o = 0; din[i] && o < outer; o++)
      memcpy(din[i] + o * width, dout + o * n * inner + begin, (size_t)width * sizeof *dout);
    begin += width;
  }
}

const ml_op ml_op_concat = {"concat", 1, ML_OP_MAX_INPUTS, concat_shape, concat_forward, concat_backward, {0}};

/* ---- gather_rows: y[i] = x[index[i]] ---- */

static ml_status gather_rows_shape(ml_call *c, ml_error *err) {
  const ml_tensor *x = c->in[0], *index = c->in[1];
  if (ml_check_dim(&ml_op_gather_rows, &x->shape, 0, err) != ML_OK) return ML_MISUSE;
  if (index->dtype != ML_I32 || index->shape.ndim != 1)
    return ml_fail(err, ML_MISUSE, "gather_rows: expected i32 row numbers in one dimension, received %s %s",
                   ml_dtype_name(index->dtype), ML_SHAPE_WORDS(&index->shape));
  for (int64_t i = 0; i < index->shape.size[0]; i++)
    if (index->i32[i] < 0 || index->i32[i] >= x->shape.size[0])
      return ml_fail(err, ML_MISUSE, "gather_rows: row number %d at place %lld, expected 0 to %lld", index->i32[i],
                     (long long)i + 1, (long long)x->shape.size[0] - 1);
  ml_shape shape = x->shape;
  shape.size[0] = index->shape.size[0];
  set_output_like(c, x, &shape);
  return ML_OK;
}

static void gather_rows_forward(ml_call *c) {
  const int32_t *index = c->in[1]->i32;
  size_t width = (size_t)ml_tensor_row_count(c->in[0]) * ml_dtype_size(c->out_dtype);
  const uint8_t *x = c->in[0]->data;
  uint8_t *y = c->out->data;
  for (size_t i = 0; i < (size_t)c->out_shape.size[0]; i++) memcpy(y + i * width, x + (size_t)index[i] * width, width);
}

/* A row that was gathered twice gets both gradients, added in ascending order. */
static void gather_rows_backward(ml_call *c, const float *dout, float *const din[]) {
  const int32_t *index = c->in[1]->i32;
  int64_t width = ml_tensor_row_count(c->in[0]);
  if (!din[0]) return;
  ml_fill(din[0], ml_tensor_count(c->in[0]), 0.0f);
  for (int64_t i = 0; i < c->out_shape.size[0]; i++) {
    float *dx = din[0] + index[i] * width;
    for (int64_t j = 0; j < width; j++) dx[j] += dout[i * width + j];
  }
}

const ml_op ml_op_gather_rows = {
    "gather_rows", 2, 2, gather_rows_shape, gather_rows_forward, gather_rows_backward, {ML_READS(1)}};
