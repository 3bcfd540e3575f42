/* Single numbers going into tensors and coming out of them: which values a dtype can hold, conversion between dtypes,
 * and nested lists. Used by the other files that bind Tensor. */
#include <math.h>
#include <string.h>

#include "bind/bind.h"
#include "kernels/kernels.h"

#define FLOAT_LIMIT 0x1.ffffffp127   /* the least double that rounds to infinity as a float */

/* Fractions are rounded to f32; infinities and NaN are values of it. */
bool l_fits(ml_dtype dtype, double value) {
  if (dtype == ML_F32) return !(isfinite(value) && fabs(value) >= FLOAT_LIMIT);
  double low = dtype == ML_U8 ? 0 : INT32_MIN, high = dtype == ML_U8 ? UINT8_MAX : INT32_MAX;
  return value >= low && value <= high && value == floor(value);
}

void l_set_element(ml_tensor *t, int64_t index, double value) {
  switch (t->dtype) {
  case ML_U8: t->u8[index] = (uint8_t)value; break;
  case ML_I32: t->i32[index] = (int32_t)value; break;
  default: t->f32[index] = (float)value; break;
  }
}

double l_value(lua_State *L, int index, const char *what, ml_dtype dtype) {
  static const char *const expected[ML_DTYPE_COUNT] = {
    [ML_F32] = "a number that f32 can hold (up to 3.4e38)",
    [ML_U8] = "a whole number from 0 to 255 for a u8 tensor",
    [ML_I32] = "a whole number of 32 bits for an i32 tensor",
  };
  double value = l_number(L, index, what);
  if (!l_fits(dtype, value)) l_bad(L, index, what, expected[dtype]);
  return value;
}

void l_fill(lua_State *L, ml_tensor *t, int index, const char *what) {
  double value = l_value(L, index, what, t->dtype);
  int64_t n = ml_tensor_count(t);
  ml_tensor_changed(t);
  if (t->dtype == ML_F32) {
    ml_fill(t->f32, n, (float)value);
    return;
  }
  for (int64_t i = 0; i < n; i++) l_set_element(t, i, value);
}

void l_push_element(lua_State *L, const ml_tensor *t, int64_t index) {
  if (t->dtype == ML_F32) lua_pushnumber(L, t->f32[index]);
  else lua_pushinteger(L, t->dtype == ML_U8 ? t->u8[index] : t->i32[index]);
}

void l_same_kind(lua_State *L, const ml_tensor *a, const ml_tensor *b) {
  if (a->dtype == b->dtype && ml_shape_equal(&a->shape, &b->shape)) return;
  l_raise(L, "expected %s tensor of %s, got %s of %s", ml_dtype_noun(a->dtype),
          ML_SHAPE_WORDS(&a->shape), ml_dtype_name(b->dtype), ML_SHAPE_WORDS(&b->shape));
}

int64_t l_convert(ml_tensor *to, const ml_tensor *from) {
  int64_t n = ml_tensor_count(from);
  ml_tensor_changed(to);
  if (to->dtype == from->dtype) {
    memmove(to->data, from->data, ml_tensor_bytes(from));
    return -1;
  }
  if (to->dtype == ML_F32 && from->dtype == ML_U8) {   /* pixels: all of them fit */
    float *values = to->f32;
    const uint8_t *bytes = from->u8;
    for (int64_t i = 0; i < n; i++) values[i] = bytes[i];
    return -1;
  }
  for (int64_t i = 0; i < n; i++) {
    double value = trunc(ml_tensor_get(from, i));
    if (!l_fits(to->dtype, value)) return i;
    l_set_element(to, i, value);
  }
  return -1;
}

static void push_dimension(lua_State *L, const ml_tensor *t, int dim, int64_t *next) {
  if (dim == t->shape.ndim) {
    l_push_element(L, t, (*next)++);
    return;
  }
  int64_t n = t->shape.size[dim];
  lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
  for (int64_t i = 1; i <= n; i++) {
    push_dimension(L, t, dim + 1, next);
    lua_rawseti(L, -2, i);
  }
}

void l_push_nested(lua_State *L, const ml_tensor *t) {
  int64_t next = 0;
  luaL_checkstack(L, ML_MAX_DIMS + 2, NULL);
  push_dimension(L, t, 0, &next);
}
