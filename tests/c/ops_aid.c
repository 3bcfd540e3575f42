/* See ops_aid.h. Linked into every test executable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ops_aid.h"

static ml_tensor *filled(ml_dtype dtype, const ml_shape *shape, const void *values) {
  ml_error err;
  ml_tensor *t = ml_tensor_new(dtype, shape, &err);
  if (!t) fail_msg("%s", err.message);
  if (values) memcpy(t->data, values, ml_tensor_bytes(t));
  return t;
}

ml_tensor *aid_f32(const ml_shape *shape, const float *values) { return filled(ML_F32, shape, values); }

ml_tensor *aid_i32(const ml_shape *shape, const int32_t *values) { return filled(ML_I32, shape, values); }

ml_tensor *aid_u8(const ml_shape *shape, const uint8_t *values) { return filled(ML_U8, shape, values); }

ml_tensor *aid_random(const ml_shape *shape, uint32_t seed) {
  ml_tensor *t = filled(ML_F32, shape, NULL);
  ml_rng rng = ml_rng_make(seed, ML_STREAM_SCRIPT);
  ml_rng_uniform(t->f32, (size_t)ml_tensor_count(t), &rng, -2.385f, 2.385f);
  return t;
}

ml_tensor *aid_leaf(const ml_shape *shape, uint32_t seed) {
  ml_tensor *t = aid_random(shape, seed);
  t->requires_grad = true;
  return t;
}

static ml_tensor *apply(const char *name, ml_tensor *a, ml_tensor *b, ml_tensor *c, const ml_attrs *attrs,
                        ml_error *err) {
  const ml_op *op = ml_op_find(name);
  if (!op) fail_msg("no operation is called %s", name);
  return ml_apply(op, (ml_tensor *[]){a, b, c}, !a ? 0 : !b ? 1 : !c ? 2 : 3, attrs, err);
}

ml_tensor *aid_apply(const char *name, ml_tensor *a, ml_tensor *b, ml_tensor *c, const ml_attrs *attrs) {
  ml_error err;
  ml_tensor *out = apply(name, a, b, c, attrs, &err);
  if (!out) fail_msg("%s", err.message);
  return out;
}

void aid_refused(const char *message, const char *name, ml_tensor *a, ml_tensor *b, ml_tensor *c,
                 const ml_attrs *attrs) {
  ml_error err = {0};
  assert_null(apply(name, a, b, c, attrs, &err));
  assert_int_equal(err.status, ML_MISUSE);
  assert_string_equal(err.message, message);
}

ml_tensor *aid_sum(ml_tensor *x) { return aid_apply("sum", x, NULL, NULL, &(ml_attrs){.reduce = {.all = true}}); }

ml_tensor *aid_then(const char *name, ml_tensor *a, ml_tensor *b, const ml_attrs *attrs) {
  ml_tensor *out = aid_apply(name, a, b, NULL, attrs);
  ml_tensor_unref(a);
  return out;
}

void aid_backward(ml_tensor *loss) {
  ml_error err;
  if (ml_backward(loss, 1.0f, &err) != ML_OK) fail_msg("%s", err.message);
}

void aid_unref(ml_tensor *const *tensors, size_t count) {
  for (size_t i = 0; i < count; i++) ml_tensor_unref(tensors[i]);
}

void aid_has_shape(const ml_tensor *t, const ml_shape *shape) {
  char found[ML_SHAPE_TEXT], expected[ML_SHAPE_TEXT];
  assert_string_equal(ml_shape_text(found, sizeof found, &t->shape), ml_shape_text(expected, sizeof expected, shape));
}

void aid_has_values(const ml_tensor *t, const float *values) {
  for (int64_t i = 0; i < ml_tensor_count(t); i++)
    if (ml_tensor_get(t, i) != (double)values[i])
      fail_msg("element %lld: expected %g, found %g", (long long)i, (double)values[i], ml_tensor_get(t, i));
}

void aid_close(const float *found, const float *expected, int64_t n, double tolerance) {
  for (int64_t i = 0; i < n; i++)
    if (!(fabs((double)found[i] - expected[i]) <= tolerance * (1.0 + fabs((double)expected[i]))))
      fail_msg("element %lld: expected %.9g, found %.9g", (long long)i, (double)expected[i], (double)found[i]);
}
