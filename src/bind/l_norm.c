/* Normalising operations and those with a like handful of options: their arguments become ml_attrs, and the operation
 * checks the rest. Reached through l_ops.c only, which finds them in l_attrs.c's table. */
#include "bind/l_ops.h"

/* ---- batch_norm(x, weight, bias, {training=, momentum=, eps=, running_mean=, running_var=}) ---- */

/* The running tensor of this name, left on the stack; NULL if there is none. In training it must allow a change. */
static ml_tensor *running(lua_State *L, const char *name, bool training) {
  int index = l_option(L, 4, name);
  if (lua_isnil(L, index)) return NULL;
  l_tensor_named(L, index, name);
  return training ? l_writable(L, index) : l_tensor_named(L, index, name);
}

static double number_option(lua_State *L, const char *name, double otherwise) {
  int index = l_option(L, 4, name);
  return lua_isnil(L, index) ? otherwise : l_finite(L, index, name);
}

static ml_attrs batch_norm_attrs(lua_State *L) {
  static const char *const names[] = { "training", "momentum", "eps", "running_mean", "running_var", NULL };
  l_options(L, 4, names);
  ml_attrs attrs = { .norm = { .training = l_flag(L, l_option(L, 4, "training"), "training", false),
                               .momentum = number_option(L, "momentum", 0.1),
                               .eps = number_option(L, "eps", 1e-5) } };
  attrs.norm.running_mean = running(L, "running_mean", attrs.norm.training);
  attrs.norm.running_var = running(L, "running_var", attrs.norm.training);
  return attrs;
}

/* x and, unless both are nil, weight and bias at stack indices 2 and 3. */
static int norm_inputs(lua_State *L, ml_tensor *in[3], int weight_at) {
  in[0] = l_tensor(L, 1);
  if (lua_isnil(L, weight_at) && lua_isnil(L, weight_at + 1)) return 1;
  in[1] = l_tensor_named(L, weight_at, "weight");
  in[2] = l_tensor_named(L, weight_at + 1, "bias");
  return 3;
}

int l_batch_norm(lua_State *L) {
  ml_tensor *in[3];
  ml_error err;
  lua_settop(L, 4);
  ml_tensor **box = l_box(L);                                        /* x weight bias options box */
  ml_attrs attrs = batch_norm_attrs(L);                              /* .. box and the options' values */
  int count = norm_inputs(L, in, 2);
  /* The call holds its inputs if a finalizer runs; what else it uses is held here. */
  ml_tensor *mean = ml_tensor_ref(attrs.norm.running_mean), *var = ml_tensor_ref(attrs.norm.running_var);
  ml_tensor *out = l_try_apply(L, l_this_op(L), in, count, &attrs, &err);
  ml_tensor_unref(mean);
  ml_tensor_unref(var);
  lua_pushvalue(L, 5);                                               /* .. box */
  return l_computed(L, box, out, &err);
}

/* ---- group_norm(x, groups [, weight, bias [, eps]]), layer_norm(x, dims [, weight, bias [, eps]]) ---- */

int l_group_norm(lua_State *L) {
  ml_tensor *in[3];
  lua_settop(L, 5);
  ml_tensor **box = l_box(L);
  ml_attrs attrs = { .norm = { .size = lua_isnil(L, 2) ? 1 : l_int(L, 2, NULL, 1, INT64_MAX) } };
  attrs.norm.eps = lua_isnil(L, 5) ? 1e-5 : l_finite(L, 5, NULL);
  int count = norm_inputs(L, in, 3);
  return l_apply(L, box, l_this_op(L), in, count, &attrs);
}

/* ---- x:gaussian_noise(std) ---- */

int l_gaussian_noise(lua_State *L) {
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = { .noise = { .std = l_number(L, 2, NULL) } };
  attrs.noise.rng = l_noise_rng();
  return l_apply(L, box, l_this_op(L), &t, 1, &attrs);
}

/* ---- x:permute(d1, d2, ...) or x:permute({d1, d2, ...}), dimensions from 1 ---- */

/* The numbers are at stack index 2 and on. */
static void read_order(lua_State *L, ml_attrs *attrs, int ndim) {
  int count = lua_gettop(L) - 1;
  if (count > ML_MAX_DIMS) l_raise(L, "permute: expected at most %d dimensions, got %d", ML_MAX_DIMS, count);
  attrs->permute.ndim = count;
  for (int i = 0; i < count; i++) attrs->permute.order[i] = l_dim(L, i + 2, ndim);
}

int l_permute(lua_State *L) {
  ml_attrs attrs = { .permute = { .ndim = 0 } };
  if (lua_istable(L, 2)) {
    lua_settop(L, 2);
    lua_Unsigned count = lua_rawlen(L, 2);
    for (lua_Unsigned i = 1; i <= count && i <= ML_MAX_DIMS + 1; i++) lua_rawgeti(L, 2, (lua_Integer)i);
    lua_remove(L, 2);
  }
  read_order(L, &attrs, l_tensor(L, 1)->shape.ndim);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  return l_apply(L, box, l_this_op(L), &t, 1, &attrs);
}

/* ---- q:attention(k, v, {heads=, causal=, dropout=}); k and v are nil where q holds all three ---- */

int l_attention(lua_State *L) {
  static const char *const names[] = { "causal", "dropout", "heads", NULL };
  lua_settop(L, 4);
  ml_tensor **box = l_box(L);
  l_options(L, 4, names);
  ml_attrs attrs = { .attention = { .causal = l_flag(L, l_option(L, 4, "causal"), "causal", false) } };
  const int heads = l_option(L, 4, "heads"), dropout = l_option(L, 4, "dropout");
  attrs.attention.heads = lua_isnil(L, heads) ? 1 : l_int(L, heads, "heads", INT32_MIN, INT32_MAX);
  attrs.attention.p = lua_isnil(L, dropout) ? 0.0 : l_number(L, dropout, "dropout");
  if (attrs.attention.p > 0.0) attrs.attention.rng = l_dropout_rng();
  lua_settop(L, 5);
  ml_tensor *in[3] = { l_tensor(L, 1), NULL, NULL };
  const int inputs = lua_isnil(L, 2) && lua_isnil(L, 3) ? 1 : 3;
  if (inputs == 3) in[1] = l_tensor_named(L, 2, "k");
  if (inputs == 3) in[2] = l_tensor_named(L, 3, "v");
  return l_apply(L, box, l_this_op(L), in, inputs, &attrs);
}
