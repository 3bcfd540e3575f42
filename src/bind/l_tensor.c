/* The Tensor type: a userdata that holds one reference to an ml_tensor, its fields, and rows by index. How tensors are
 * made and printed, and everything that computes, is in the files beside this one. */
#include <string.h>

#include "bind/bind.h"
#include "ops/tape.h"

/* ---- boxes ---- */

/* The metatable, so that nothing here looks it up by its name: its place in the registry, and its address. */
static struct {
  int ref;
  const void *address;
} tensor_meta;

ml_tensor **l_box(lua_State *L) {
  l_collect_if_due(L);
  ml_tensor **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, tensor_meta.ref);
  lua_setmetatable(L, -2);
  return box;
}

/* The box at index; NULL if the value is none. */
static ml_tensor **to_box(lua_State *L, int index) {
  ml_tensor **box = lua_touserdata(L, index);
  if (!box || !lua_getmetatable(L, index)) return NULL;
  bool is_tensor = lua_topointer(L, -1) == tensor_meta.address;
  lua_pop(L, 1);
  return is_tensor ? box : NULL;
}

int l_filled(lua_State *L, ml_tensor **box, ml_tensor *t, const ml_error *err) {
  *box = t;
  return t ? 1 : l_fail(L, err);
}

ml_tensor *l_try_tensor(lua_State *L, int index) {
  ml_tensor **box = to_box(L, index);
  if (!box) return NULL;
  if (!*box) l_raise(L, "this tensor has been released");
  if (!(*box)->storage)
    l_raise(L, "this tensor was computed in an earlier step and has expired; keep it with :clone() or :item()");
  return *box;
}

ml_tensor *l_tensor_named(lua_State *L, int index, const char *what) {
  ml_tensor *t = l_try_tensor(L, index);
  if (!t) l_bad(L, index, what, "a Tensor");
  return t;
}

ml_tensor *l_tensor(lua_State *L, int index) { return l_tensor_named(L, index, NULL); }

ml_tensor *l_writable(lua_State *L, int index) {
  ml_tensor *t = l_tensor(L, index);
  if (t->node)
    l_raise(L, "a recorded value cannot be changed in place, its gradient would be wrong; use :clone() or :detach(), "
               "or compute it where recording is off");
  return t;
}

static int tensor_gc(lua_State *L) {
  ml_tensor **box = to_box(L, 1);
  if (!box) return 0;
  ml_tensor *t = *box;
  *box = NULL;
  ml_tensor_unref(t);
  return 0;
}

/* ---- fields ---- */

static int get_shape(lua_State *L) {
  ml_shape shape = l_tensor(L, 1)->shape;
  l_push_shape(L, &shape, 0);
  return 1;
}

static int get_dtype(lua_State *L) {
  lua_pushstring(L, ml_dtype_name(l_tensor(L, 1)->dtype));
  return 1;
}

static int get_grad(lua_State *L) {
  ml_tensor **box = l_box(L);
  ml_tensor *grad = l_tensor(L, 1)->grad;
  if (!grad) lua_pushnil(L);
  else *box = ml_tensor_ref(grad);
  return 1;
}

static int get_requires_grad(lua_State *L) {
  lua_pushboolean(L, l_tensor(L, 1)->requires_grad);
  return 1;
}

/* As PyTorch's is_leaf: false for what was computed from others with a gradient to pass on. */
static int get_is_leaf(lua_State *L) {
  lua_pushboolean(L, l_tensor(L, 1)->node == NULL);
  return 1;
}

/* nil drops the gradient; a tensor is copied. */
static int set_grad(lua_State *L) {
  ml_error err;
  ml_tensor *t = l_tensor(L, 1), *grad = NULL;
  if (!lua_isnil(L, 3)) {
    if (!luaL_testudata(L, 3, L_TENSOR)) return l_bad(L, 3, "grad", "nil or a Tensor");
    const ml_tensor *given = l_tensor_named(L, 3, "grad");
    if (t->node) return l_raise(L, "only a leaf can be given a gradient");
    l_same_kind(L, t, given);
    if (t->dtype != ML_F32) {
      return l_raise(L, "only an f32 tensor has a gradient, this one is %s", ml_dtype_name(t->dtype));
    }
    grad = ml_tensor_clone(given, &err);
    if (!grad) return l_fail(L, &err);
  }
  ml_tensor *before = t->grad;
  t->grad = grad;
  ml_tensor_unref(before);
  return 0;
}

static int set_requires_grad(lua_State *L) {
  ml_tensor *t = l_tensor(L, 1);
  if (!lua_isboolean(L, 3)) return l_bad(L, 3, "requires_grad", "true or false");
  bool on = lua_toboolean(L, 3);
  if (t->node && !on) return l_raise(L, "requires_grad of a computed value cannot be taken back; use :detach()");
  if (t->dtype != ML_F32 && on)
    return l_raise(L, "only an f32 tensor can require a gradient, this one is %s", ml_dtype_name(t->dtype));
  t->requires_grad = on;
  return 0;
}

static const struct field {
  const char *name;
  lua_CFunction get, set;
} fields[] = {
  { "shape",         get_shape,         NULL              },
  { "dtype",         get_dtype,         NULL              },
  { "grad",          get_grad,          set_grad          },
  { "requires_grad", get_requires_grad, set_requires_grad },
  { "is_leaf",       get_is_leaf,       NULL              },
};

static const struct field *find_field(const char *name) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strcmp(fields[i].name, name) == 0) return &fields[i];
  }
  return NULL;
}

static int unknown_name(lua_State *L, const char *name) {
  static const char *const names[] = { "shape", "dtype", "grad", "requires_grad", "is_leaf", NULL };
  const char *guess = l_suggest(L, name, names);
  if (!*guess) guess = l_suggest_key(L, name, lua_upvalueindex(1));
  return l_raise(L, "a Tensor has no field or method '%.60s'%s", name, guess);
}

/* ---- rows ---- */

/* Row i (from 0) without its dimension. */
static ml_tensor *try_row(lua_State *L, ml_tensor *t, int64_t i, ml_error *err) {
  ml_attrs rows = { .slice = { .dim = 0, .begin = i, .count = 1 } };
  ml_attrs flat = { .reshape = { .shape = { .ndim = t->shape.ndim - 1 } } };
  memcpy(flat.reshape.shape.size, t->shape.size + 1, (size_t)(t->shape.ndim - 1) * sizeof *t->shape.size);
  ml_tensor *kept = l_try_apply(L, ml_op_find("rows"), &t, 1, &rows, err);
  if (!kept) return NULL;
  ml_tensor *row = l_try_apply(L, ml_op_find("reshape"), &kept, 1, &flat, err);
  ml_tensor_unref(kept);
  return row;
}

/* The row number at stack index 2, from 0; one past the last is allowed. */
static int64_t row_number(lua_State *L, const ml_tensor *t) {
  if (lua_type(L, 2) != LUA_TNUMBER) l_bad(L, 2, "index of a Tensor", "a row number or a name");
  if (t->shape.ndim == 0) l_raise(L, "a scalar has no rows; :item() gives its value");
  int64_t n = t->shape.size[0], i = l_int(L, 2, "index of a Tensor", INT64_MIN, INT64_MAX);
  if (i < 1 || i > n + 1)
    l_raise(L, "row %lld is out of range: a tensor of %s has rows 1 to %lld", (long long)i,
            ML_SHAPE_WORDS(&t->shape), (long long)n);
  return i - 1;
}

static int get_row(lua_State *L) {
  ml_tensor *t = l_tensor(L, 1);
  int64_t i = row_number(L, t);
  if (i == t->shape.size[0]) {
    lua_pushnil(L);
    return 1;
  }
  if (t->shape.ndim == 1) {
    l_push_element(L, t, i);
    return 1;
  }
  ml_error err;
  ml_tensor **box = l_box(L);
  ml_tensor *row = try_row(L, l_tensor(L, 1), i, &err);   /* asked again: making a box may run finalizers */
  return l_computed(L, box, row, &err);
}

static int set_row(lua_State *L) {
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_writable(L, 1);
  int64_t i = row_number(L, t);
  if (i == t->shape.size[0]) return l_raise(L, "row %lld is out of range: rows cannot be added", (long long)i + 1);
  ml_error err;
  bool recording = ml_set_recording(false);
  *box = try_row(L, t, i, &err);
  ml_set_recording(recording);
  if (!*box) return l_fail(L, &err);
  const ml_tensor *value = l_try_tensor(L, 3);
  if (value) {
    l_same_kind(L, *box, value);
    l_convert(*box, value);
  } else {
    l_fill(L, *box, 3, "value");
  }
  return 0;
}

/* ---- metamethods ---- */

static int tensor_index(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TSTRING) return get_row(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_tostring(L, 2);
  const struct field *field = find_field(name);
  return field ? field->get(L) : unknown_name(L, name);
}

static int tensor_newindex(lua_State *L) {
  lua_settop(L, 3);
  if (lua_type(L, 2) != LUA_TSTRING) return set_row(L);
  const char *name = lua_tostring(L, 2);
  const struct field *field = find_field(name);
  if (!field) return unknown_name(L, name);
  return field->set ? field->set(L) : l_raise(L, "the %s of a Tensor cannot be set", name);
}

static int tensor_len(lua_State *L) {
  const ml_tensor *t = l_tensor(L, 1);
  if (t->shape.ndim == 0) return l_raise(L, "a scalar has no length");
  lua_pushinteger(L, t->shape.size[0]);
  return 1;
}

/* Two boxes of one tensor are equal; the elements are compared by :eq(). */
static int tensor_eq(lua_State *L) {
  ml_tensor **a = to_box(L, 1), **b = to_box(L, 2);
  lua_pushboolean(L, a && b && *a == *b);
  return 1;
}

void l_open_tensor(lua_State *L) {
  const luaL_Reg meta[] = {
    { "__gc", tensor_gc }, { "__len", tensor_len }, { "__eq", tensor_eq }, { "__tostring", l_tensor_tostring },
    { NULL, NULL },
  };
  const luaL_Reg access[] = { { "__index", tensor_index }, { "__newindex", tensor_newindex }, { NULL, NULL } };
  l_new_type(L, L_TENSOR, "Tensor", meta, NULL);
  luaL_getmetatable(L, L_TENSOR);            /* ... mt */
  lua_pushvalue(L, L_METHODS);               /* ... mt methods */
  luaL_setfuncs(L, access, 1);
  tensor_meta.address = lua_topointer(L, -1);
  tensor_meta.ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
