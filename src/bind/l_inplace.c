/* Methods of a Tensor that compute nothing new: asking, copying, converting, and changing in place. None of these is
 * recorded for gradients. */
#include <math.h>

#include "bind/bind.h"
#include "kernels/kernels.h"

/* ---- asking ---- */

static int l_item(lua_State *L) {
  const ml_tensor *t = l_tensor(L, 1);
  if (ml_tensor_count(t) != 1)
    return l_raise(L, "item: expected a tensor of one element, got %s", ML_SHAPE_WORDS(&t->shape));
  l_push_element(L, t, 0);
  return 1;
}

static int l_totable(lua_State *L) {
  lua_settop(L, 1);
  ml_error err;
  ml_tensor **view = l_box(L);               /* keeps the storage, whatever a finalizer does meanwhile */
  ml_tensor *t = l_tensor(L, 1);
  *view = ml_tensor_reshape(t, &t->shape, &err);
  if (!*view) return l_fail(L, &err);
  l_push_nested(L, *view);
  return 1;
}

static int l_numel(lua_State *L) {
  lua_pushinteger(L, ml_tensor_count(l_tensor(L, 1)));
  return 1;
}

static int l_ndim(lua_State *L) {
  lua_pushinteger(L, l_tensor(L, 1)->shape.ndim);
  return 1;
}

static int l_size(lua_State *L) {
  ml_shape shape = l_tensor(L, 1)->shape;
  if (lua_isnoneornil(L, 2)) l_push_shape(L, &shape, 0);
  else lua_pushinteger(L, shape.size[l_dim(L, 2, shape.ndim)]);
  return 1;
}

static int l_isfinite(lua_State *L) {
  const ml_tensor *t = l_tensor(L, 1);
  lua_pushboolean(L, t->dtype != ML_F32 || ml_count_nonfinite(t->f32, ml_tensor_count(t)) == 0);
  return 1;
}

/* ---- copying ---- */

static int l_clone(lua_State *L) {
  lua_settop(L, 1);
  ml_error err;
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1), *copy = ml_tensor_clone(t, &err);
  return l_filled(L, box, copy, &err);
}

static int l_detach(lua_State *L) {
  lua_settop(L, 1);
  ml_error err;
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1), *view = ml_tensor_reshape(t, &t->shape, &err);
  return l_filled(L, box, view, &err);
}

static int l_to(lua_State *L) {
  lua_settop(L, 2);
  ml_error err;
  if (lua_isnil(L, 2)) return l_bad(L, 2, NULL, "a dtype (\"f32\", \"u8\" or \"i32\")");
  ml_dtype dtype = l_dtype(L, 2, ML_F32);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  if (t->dtype == dtype) {
    lua_settop(L, 1);
    return 1;
  }
  *box = ml_tensor_new(dtype, &t->shape, &err);
  if (!*box) return l_fail(L, &err);
  int64_t bad = l_convert(*box, t);
  if (bad < 0) return 1;
  return l_raise(L, "to: element %lld is %g, which does not fit %s", (long long)bad + 1, ml_tensor_get(t, bad),
                 ml_dtype_name(dtype));
}

/* ---- changing in place; each returns the tensor ---- */

static int l_zero_(lua_State *L) {
  ml_tensor *t = l_writable(L, 1);
  lua_settop(L, 1);
  lua_pushinteger(L, 0);
  l_fill(L, t, 2, NULL);
  lua_settop(L, 1);
  return 1;
}

static int l_fill_(lua_State *L) {
  l_fill(L, l_writable(L, 1), 2, NULL);
  lua_settop(L, 1);
  return 1;
}

static int l_copy_(lua_State *L) {
  ml_tensor *t = l_writable(L, 1);
  const ml_tensor *from = l_tensor(L, 2);
  l_same_kind(L, t, from);
  l_convert(t, from);
  lua_settop(L, 1);
  return 1;
}

static ml_tensor *writable_f32(lua_State *L, int index) {
  ml_tensor *t = l_writable(L, index);
  if (t->dtype != ML_F32) l_bad(L, index, NULL, "an f32 Tensor");
  return t;
}

/* t:add_(u or number [, alpha]) adds alpha u. */
static int l_add_(lua_State *L) {
  ml_tensor *t = writable_f32(L, 1);
  float alpha = lua_isnoneornil(L, 3) ? 1.0f : (float)l_value(L, 3, NULL, ML_F32);
  const ml_tensor *u = l_try_tensor(L, 2);
  int64_t n = ml_tensor_count(t), each = 1, same = 0;
  if (u) {
    l_same_kind(L, t, u);
    ml_axpy(t->f32, u->f32, n, alpha);
  } else {
    if (lua_type(L, 2) != LUA_TNUMBER) return l_bad(L, 2, NULL, "a Tensor or a number");
    float value = (float)l_value(L, 2, NULL, ML_F32) * alpha;
    ml_map_binary_broadcast(t->f32, t->f32, &value, &n, &each, &same, 1, ML_ADD);
  }
  ml_tensor_changed(t);
  lua_settop(L, 1);
  return 1;
}

static int l_mul_(lua_State *L) {
  ml_tensor *t = writable_f32(L, 1);
  const ml_tensor *u = l_try_tensor(L, 2);
  if (u) {
    l_same_kind(L, t, u);
    ml_map_binary(t->f32, t->f32, u->f32, ml_tensor_count(t), ML_MUL);
  } else {
    if (lua_type(L, 2) != LUA_TNUMBER) return l_bad(L, 2, NULL, "a Tensor or a number");
    ml_scale(t->f32, t->f32, ml_tensor_count(t), (float)l_value(L, 2, NULL, ML_F32));
  }
  ml_tensor_changed(t);
  lua_settop(L, 1);
  return 1;
}

void l_open_inplace(lua_State *L) {
  const luaL_Reg methods[] = {
    { "item",     l_item     }, { "totable", l_totable }, { "numel",  l_numel  }, { "dim",   l_ndim  },
    { "size",     l_size     }, { "clone",   l_clone   }, { "detach", l_detach }, { "to",    l_to    },
    { "isfinite", l_isfinite }, { "zero_",   l_zero_   }, { "fill_",  l_fill_  }, { "copy_", l_copy_ },
    { "add_",     l_add_     }, { "mul_",    l_mul_    }, { NULL,     NULL     },
  };
  l_add(L, L_METHODS, methods);
}
