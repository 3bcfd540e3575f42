/* Operations as functions and methods. l_open_ops walks the core's list, so an operation that takes tensors and nothing
 * else needs no line here; those with attributes have a function in l_attrs.c. */
#include <string.h>

#include "bind/l_ops.h"
#include "ops/accuracy.h"
#include "ops/tape.h"

/* ---- calling the core ---- */

const ml_op *l_op(lua_State *L, const char *name) {
  const ml_op *op = ml_op_find(name);
  if (!op) l_raise(L, "there is no operation '%s'", name);
  return op;
}

ml_tensor *l_try_apply(lua_State *L, const ml_op *op, ml_tensor *const *in, int count, const ml_attrs *attrs,
                       ml_error *err) {
  ml_tensor *out = ml_apply(op, in, count, attrs, err);
  if (out || err->status != ML_NOMEM) return out;
  for (int i = 0; i < count; i++) ml_tensor_ref(in[i]);     /* a finalizer may release what holds them */
  l_collect(L);
  out = ml_apply(op, in, count, attrs, err);
  for (int i = 0; i < count; i++) ml_tensor_unref(in[i]);
  return out;
}

int l_computed(lua_State *L, ml_tensor **box, ml_tensor *t, const ml_error *err) {
  if (!t) return l_fail(L, err);
  *box = t;
  l_scope_add(L);
  return 1;
}

int l_apply(lua_State *L, ml_tensor **box, const ml_op *op, ml_tensor *const *in, int count, const ml_attrs *attrs) {
  ml_error err;
  ml_tensor *out = l_try_apply(L, op, in, count, attrs, &err);
  return l_computed(L, box, out, &err);
}

/* ---- operands: tensors, and numbers as 0-d tensors ---- */

static void check_operand(lua_State *L, int index) {
  if (l_try_tensor(L, index)) return;
  if (lua_type(L, index) != LUA_TNUMBER) l_bad(L, index, NULL, "a Tensor or a number");
  l_value(L, index, NULL, ML_F32);
}

/* The operand with one reference of its own; NULL with err filled if memory is short. */
static ml_tensor *take_operand(lua_State *L, int index, ml_error *err) {
  if (lua_type(L, index) != LUA_TNUMBER) return ml_tensor_ref(*(ml_tensor **)lua_touserdata(L, index));
  ml_tensor *t = ml_tensor_new(ML_F32, &(ml_shape){ .ndim = 0 }, err);
  if (t) t->f32[0] = (float)lua_tonumber(L, index);
  return t;
}

/* op over the `count` arguments from the bottom of the stack; leaves the result on top. */
static int apply_operands(lua_State *L, const ml_op *op, int count) {
  ml_error err;
  ml_tensor *in[ML_OP_MAX_INPUTS], *out = NULL;
  int taken = 0;
  lua_settop(L, count);
  ml_tensor **box = l_box(L);
  for (int i = 1; i <= count; i++) check_operand(L, i);
  while (taken < count && (in[taken] = take_operand(L, taken + 1, &err)) != NULL) taken++;
  if (taken == count) out = l_try_apply(L, op, in, count, NULL, &err);
  while (taken > 0) ml_tensor_unref(in[--taken]);
  return l_computed(L, box, out, &err);
}

/* Any operation without attributes; the operation is the upvalue. */
static int l_generic(lua_State *L) {
  const ml_op *op = lua_touserdata(L, lua_upvalueindex(1));
  int count = lua_gettop(L);
  while (count > op->min_inputs && lua_isnil(L, count)) count--;
  if (count < op->min_inputs) return l_bad(L, count + 1, NULL, "a Tensor or a number");
  if (count > op->max_inputs)
    return l_raise(L, "%s: expected at most %d inputs, got %d", op->name, op->max_inputs, count);
  return apply_operands(L, op, count);
}

/* Lua calls the metamethod of unary minus with its operand twice. */
static int l_unm(lua_State *L) { return apply_operands(L, lua_touserdata(L, lua_upvalueindex(1)), 1); }

/* count_correct(scores, labels) -> how many rows of scores have their greatest element at their label */
static int l_count_correct(lua_State *L) {
  ml_error err;
  int64_t count;
  if (ml_count_correct(&count, l_tensor(L, 1), l_tensor(L, 2), &err) != ML_OK) return l_fail(L, &err);
  lua_pushinteger(L, count);
  return 1;
}

/* ---- opening ---- */

static lua_CFunction function_of(const ml_op *op) {
  for (const luaL_Reg *special = l_attrs; special->name; special++) {
    if (strcmp(special->name, op->name) == 0) return special->func;
  }
  return l_generic;
}

static void set_function(lua_State *L, int table, const char *name, const ml_op *op, lua_CFunction function) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)op);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, table, name);
}

static void open_arithmetic(lua_State *L) {
  static const struct { const char *event, *op; lua_CFunction function; } events[] = {
    { "__add", "add", l_generic }, { "__sub", "sub", l_generic }, { "__mul", "mul", l_generic },
    { "__div", "div", l_generic }, { "__pow", "pow", l_generic }, { "__unm", "neg", l_unm     },
  };
  luaL_getmetatable(L, L_TENSOR);
  int mt = lua_gettop(L);
  for (size_t i = 0; i < sizeof events / sizeof *events; i++)
    set_function(L, mt, events[i].event, l_op(L, events[i].op), events[i].function);
  lua_pop(L, 1);
}

void l_open_ops(lua_State *L) {
  lua_newtable(L);                           /* ... names */
  int names = lua_gettop(L);
  for (int i = 0; ml_ops[i]; i++) {
    set_function(L, L_CORE, ml_ops[i]->name, ml_ops[i], function_of(ml_ops[i]));
    set_function(L, L_METHODS, ml_ops[i]->name, ml_ops[i], function_of(ml_ops[i]));
    lua_pushstring(L, ml_ops[i]->name);
    lua_rawseti(L, names, i + 1);
  }
  lua_setfield(L, L_CORE, "ops");
  lua_pushcfunction(L, l_count_correct);
  lua_setfield(L, L_CORE, "count_correct");
  l_open_attrs(L);
  open_arithmetic(L);
}
