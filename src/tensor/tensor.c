/* Tensors: making, viewing, owning. Called by every layer above; src/bind wraps a tensor in a userdata that holds one
 * reference. Knows nothing of operations: a node is released through the function pointer that it begins with. */
#include "tensor/tensor.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/companion.h"

/* ---- storage ---- */

static ml_storage *storage_new(size_t bytes) {
  ml_storage *s = ml_small_alloc(sizeof *s);
  if (!s) return NULL;
  s->data = ml_alloc(bytes);
  if (!s->data) {
    ml_small_free(s, sizeof *s);
    return NULL;
  }
  s->refs = 1;
  s->version = 0;
  s->bytes = bytes;
  return s;
}

static void storage_unref(ml_storage *s) {
  if (!s || --s->refs > 0) return;
  ml_free(s->data);
  ml_small_free(s, sizeof *s);
}

/* ---- making ---- */

/* The bytes of a tensor; refuses what no int64 count or ptrdiff_t can hold. */
static ml_status check_shape(size_t *bytes, ml_dtype dtype, const ml_shape *shape, ml_error *err) {
  if (shape->ndim < 0 || shape->ndim > ML_MAX_DIMS)
    return ml_fail(err, ML_MISUSE, "a tensor has 0 to %d dimensions, not %d", ML_MAX_DIMS, shape->ndim);
  int64_t count = 1;
  bool too_large = false;
  for (int d = 0; d < shape->ndim; d++) {
    if (shape->size[d] < 0)
      return ml_fail(err, ML_MISUSE, "a dimension cannot be negative, as in %s", ML_SHAPE_WORDS(shape));
    too_large |= __builtin_mul_overflow(count, shape->size[d], &count);
  }
  int64_t total;
  if (too_large || __builtin_mul_overflow(count, (int64_t)ml_dtype_size(dtype), &total))
    return ml_fail(err, ML_MISUSE, "%s tensor of %s has more elements than can be counted", ml_dtype_noun(dtype),
                   ML_SHAPE_WORDS(shape));
  *bytes = (size_t)total;
  return ML_OK;
}

/* Takes over the caller's reference to s, also on failure. */
static ml_tensor *tensor_over(ml_storage *s, void *data, ml_dtype dtype, const ml_shape *shape) {
  ml_tensor *t = s ? ml_small_alloc(sizeof *t) : NULL;
  if (!t) {
    storage_unref(s);
    return NULL;
  }
  *t = (ml_tensor){.refs = 1, .dtype = dtype, .shape = *shape, .storage = s, .data = data};
  return t;
}

ml_tensor *ml_tensor_new(ml_dtype dtype, const ml_shape *shape, ml_error *err) {
  size_t bytes;
  if (check_shape(&bytes, dtype, shape, err) != ML_OK) return NULL;
  ml_storage *s = storage_new(bytes);
  ml_tensor *t = tensor_over(s, s ? s->data : NULL, dtype, shape);
  if (!t) {
    ml_fail(err, ML_NOMEM, "out of memory: %s tensor of %s needs %zu bytes", ml_dtype_noun(dtype),
            ML_SHAPE_WORDS(shape), bytes);
  }
  return t;
}

ml_tensor *ml_tensor_zeros(ml_dtype dtype, const ml_shape *shape, ml_error *err) {
  ml_tensor *t = ml_tensor_new(dtype, shape, err);
  if (t) memset(t->data, 0, ml_tensor_bytes(t));
  return t;
}

static ml_status check_readable(const ml_tensor *t, ml_error *err) {
  if (t->storage) return ML_OK;
  return ml_fail(err, ML_MISUSE,
                 "the tensor was computed in an earlier step and has expired; keep it with :clone() or :item()");
}

ml_tensor *ml_tensor_clone(const ml_tensor *t, ml_error *err) {
  if (check_readable(t, err) != ML_OK) return NULL;
  ml_tensor *copy = ml_tensor_new(t->dtype, &t->shape, err);
  if (copy) memcpy(copy->data, t->data, ml_tensor_bytes(t));
  return copy;
}

/* ---- viewing ---- */

ml_tensor *ml_tensor_view(ml_tensor *t, const ml_shape *shape, int64_t offset, ml_error *err) {
  size_t bytes;
  if (check_readable(t, err) != ML_OK || check_shape(&bytes, t->dtype, shape, err) != ML_OK) return NULL;
  int64_t count = ml_tensor_count(t);
  if (offset < 0 || offset > count || ml_shape_count(shape) > count - offset) {
    ml_fail(err, ML_MISUSE, "a view of %s at element %lld reaches beyond a tensor of %s",
            ML_SHAPE_WORDS(shape), (long long)offset, ML_SHAPE_WORDS(&t->shape));
    return NULL;
  }
  t->storage->refs++;
  unsigned char *first = (unsigned char *)t->data + (size_t)offset * ml_dtype_size(t->dtype);
  ml_tensor *view = tensor_over(t->storage, first, t->dtype, shape);
  if (!view) ml_fail(err, ML_NOMEM, "out of memory: a view of a tensor");
  return view;
}

ml_tensor *ml_tensor_rows(ml_tensor *t, int64_t begin, int64_t count, ml_error *err) {
  if (t->shape.ndim == 0) {
    ml_fail(err, ML_MISUSE, "a scalar has no rows");
    return NULL;
  }
  int64_t rows = t->shape.size[0];
  if (begin < 0 || count < 0 || begin > rows || count > rows - begin) {
    ml_fail(err, ML_MISUSE, "%lld rows after the first %lld reach beyond the %lld rows of a tensor of %s",
            (long long)count, (long long)begin, (long long)rows, ML_SHAPE_WORDS(&t->shape));
    return NULL;
  }
  ml_shape shape = t->shape;
  shape.size[0] = count;
  return ml_tensor_view(t, &shape, begin * ml_tensor_row_count(t), err);
}

ml_tensor *ml_tensor_reshape(ml_tensor *t, const ml_shape *shape, ml_error *err) {
  size_t bytes;
  if (check_shape(&bytes, t->dtype, shape, err) != ML_OK) return NULL;
  if (ml_shape_count(shape) != ml_tensor_count(t)) {
    ml_fail(err, ML_MISUSE, "%s has %lld elements, %s has %lld", ML_SHAPE_WORDS(&t->shape),
            (long long)ml_tensor_count(t), ML_SHAPE_WORDS(shape), (long long)ml_shape_count(shape));
    return NULL;
  }
  return ml_tensor_view(t, shape, 0, err);
}

/* ---- owning ---- */

ml_tensor *ml_tensor_ref(ml_tensor *t) {
  if (t) t->refs++;
  return t;
}

void ml_tensor_unref(ml_tensor *t) {
  if (!t || --t->refs > 0) return;
  if (t->node) t->node->release(t->node);
  ml_tensor_unref(t->grad);
  ml_tensor_drop_companions(t);
  storage_unref(t->storage);
  ml_small_free(t, sizeof *t);
}

void ml_tensor_expire(ml_tensor *t) {
  ml_tensor_drop_companions(t);
  storage_unref(t->storage);
  t->storage = NULL;
  t->data = NULL;
}

/* ---- asking ---- */

int64_t ml_tensor_count(const ml_tensor *t) { return ml_shape_count(&t->shape); }

size_t ml_tensor_bytes(const ml_tensor *t) { return (size_t)ml_tensor_count(t) * ml_dtype_size(t->dtype); }

int64_t ml_tensor_row_count(const ml_tensor *t) {
  int64_t count = 1;
  for (int d = 1; d < t->shape.ndim; d++) count *= t->shape.size[d];
  return count;
}

double ml_tensor_get(const ml_tensor *t, int64_t index) {
  switch (t->dtype) {
  case ML_U8:
    return t->u8[index];
  case ML_I32:
    return t->i32[index];
  default:
    return t->f32[index];
  }
}
