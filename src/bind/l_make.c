/* Making tensors: from numbers and nested lists, filled with one value, counted up. */
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

/* ---- nested lists ---- */

/* The shape along the first element of every level; the rest is checked while it is read. Leaves the stack alone. */
static void list_shape(lua_State *L, int index, ml_shape *shape) {
  int top = lua_gettop(L);
  memset(shape, 0, sizeof *shape);
  lua_pushvalue(L, index);
  while (lua_istable(L, -1)) {
    if (shape->ndim == ML_MAX_DIMS) l_raise(L, "a tensor has at most %d dimensions", ML_MAX_DIMS);
    shape->size[shape->ndim++] = (int64_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, top);
}

static void read_number(lua_State *L, ml_tensor *t, int64_t at) {
  char what[64];
  snprintf(what, sizeof what, "element %lld", (long long)at + 1);
  l_set_element(t, at, l_value(L, -1, what, t->dtype));
}

/* The list on top of the stack into t from element *next on. */
static void read_list(lua_State *L, ml_tensor *t, int dim, int64_t *next) {
  if (dim == t->shape.ndim) {
    read_number(L, t, (*next)++);
    return;
  }
  int64_t expected = t->shape.size[dim];
  if (!lua_istable(L, -1)) l_bad(L, -1, "a row of a nested table", "a table");
  if ((int64_t)lua_rawlen(L, -1) != expected)
    l_raise(L, "rows of a nested table differ: expected %lld elements, got %lld", (long long)expected,
            (long long)lua_rawlen(L, -1));
  for (int64_t i = 1; i <= expected; i++) {
    lua_rawgeti(L, -1, i);
    read_list(L, t, dim + 1, next);
    lua_pop(L, 1);
  }
}

static int l_make_tensor(lua_State *L) {
  lua_settop(L, 2);
  ml_shape shape;
  ml_error err;
  ml_dtype dtype = l_dtype(L, 2, ML_F32);
  if (!lua_istable(L, 1) && lua_type(L, 1) != LUA_TNUMBER)
    return l_bad(L, 1, NULL, "a number or a nested table of them");
  luaL_checkstack(L, ML_MAX_DIMS + 8, NULL);
  list_shape(L, 1, &shape);
  ml_tensor **box = l_box(L);
  *box = l_try_new(L, dtype, &shape, false, &err);
  if (!*box) return l_fail(L, &err);
  int64_t next = 0;
  lua_pushvalue(L, 1);
  read_list(L, *box, 0, &next);
  lua_settop(L, 3);
  return 1;
}

/* ---- filled ---- */

/* zeros(d1, d2, ...), zeros({d1, d2} [, dtype]) */
static int l_zeros(lua_State *L) {
  ml_shape shape;
  ml_error err;
  ml_dtype dtype = l_dtype(L, l_shape(L, 1, &shape, false), ML_F32);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_try_new(L, dtype, &shape, true, &err);
  return l_filled(L, box, t, &err);
}

/* Fills the tensor in the box at the top, which l_zeros made, with the number at index. */
static int fill_top(lua_State *L, int index) {
  ml_tensor **box = lua_touserdata(L, -1);
  l_fill(L, *box, index, "value");
  return 1;
}

static int l_ones(lua_State *L) {
  l_zeros(L);
  lua_pushinteger(L, 1);
  lua_insert(L, 1);
  return fill_top(L, 1);
}

/* full({d1, d2}, value [, dtype]) */
static int l_full(lua_State *L) {
  lua_settop(L, 3);
  l_table(L, 1, NULL);
  l_number(L, 2, NULL);
  lua_rotate(L, 2, 1);                       /* sizes dtype value */
  l_zeros(L);
  return fill_top(L, 3);
}

static int l_arange(lua_State *L) {
  ml_shape shape = { .ndim = 1, .size = { l_int(L, 1, NULL, 0, INT64_MAX) } };
  ml_error err;
  ml_tensor **box = l_box(L);
  *box = l_try_new(L, ML_F32, &shape, false, &err);
  if (!*box) return l_fail(L, &err);
  for (int64_t i = 0; i < shape.size[0]; i++) (*box)->f32[i] = (float)i;
  return 1;
}

void l_open_make(lua_State *L) {
  const luaL_Reg functions[] = {
    { "tensor", l_make_tensor }, { "zeros", l_zeros }, { "ones", l_ones }, { "full", l_full }, { "arange", l_arange },
    { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
