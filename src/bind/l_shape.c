/* Dimensions, shapes and dtypes as arguments and results. Scripts count dimensions from 1 and from the end with -1; the
 * core counts from 0. */
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

int l_dim(lua_State *L, int index, int ndim) {
  if (ndim == 0) return l_raise(L, "a scalar has no dimension to choose");
  int whole = 0;
  lua_Integer dim = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &whole) : 0;
  if (whole && dim >= 1 && dim <= ndim) return (int)dim - 1;
  if (whole && dim <= -1 && dim >= -ndim) return (int)dim + ndim;
  char expected[64];
  snprintf(expected, sizeof expected, "a dimension from 1 to %d or -%d to -1", ndim, ndim);
  return l_bad(L, index, NULL, expected);
}

static void add_size(lua_State *L, ml_shape *shape, int index, bool infer) {
  const int64_t least = infer ? -1 : 0;
  if (shape->ndim == ML_MAX_DIMS) l_raise(L, "a shape has at most %d dimensions", ML_MAX_DIMS);
  if (!lua_isinteger(L, index) || lua_tointeger(L, index) < least) {
    char what[32];
    snprintf(what, sizeof what, "size %d of a shape", shape->ndim + 1);
    shape->size[shape->ndim++] = l_int(L, index, what, least, INT64_MAX);
  } else {
    shape->size[shape->ndim++] = lua_tointeger(L, index);
  }
}

int l_shape(lua_State *L, int first, ml_shape *shape, bool infer) {
  memset(shape, 0, sizeof *shape);
  if (lua_istable(L, first)) {
    lua_Unsigned count = lua_rawlen(L, first);
    for (lua_Unsigned i = 1; i <= count; i++) {
      lua_rawgeti(L, first, (lua_Integer)i);
      add_size(L, shape, -1, infer);
      lua_pop(L, 1);
    }
    return first + 1;
  }
  if (lua_isnoneornil(L, first)) l_bad(L, first, NULL, "sizes, or a table of sizes");
  int top = lua_gettop(L);
  for (int index = first; index <= top; index++) add_size(L, shape, index, infer);
  return top + 1;
}

void l_push_shape(lua_State *L, const ml_shape *shape, int from) {
  lua_createtable(L, shape->ndim, 0);
  for (int i = from; i < shape->ndim; i++) {
    lua_pushinteger(L, shape->size[i]);
    lua_rawseti(L, -2, i - from + 1);
  }
}

ml_dtype l_dtype(lua_State *L, int index, ml_dtype otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (ml_dtype dtype = 0; dtype < ML_DTYPE_COUNT; dtype++) {
    if (strcmp(name, ml_dtype_name(dtype)) == 0) return dtype;
  }
  l_bad(L, index, NULL, "a dtype (\"f32\", \"u8\" or \"i32\")");
  return otherwise;
}
