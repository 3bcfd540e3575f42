/* Operations that take more than tensors: the arguments of a script become ml_attrs, dimensions and rows counted from 1
 * become counted from 0, and the operation checks the rest. Reached through l_ops.c only. */
#include <stdio.h>

#include "bind/l_ops.h"

static int apply1(lua_State *L, ml_tensor **box, ml_tensor *t, const ml_attrs *attrs) {
  return l_apply(L, box, l_this_op(L), &t, 1, attrs);
}

/* ---- reductions: t:sum([dim [, keep]]) ---- */

static ml_attrs reduce_attrs(lua_State *L, const ml_tensor *t) {
  bool all = lua_isnoneornil(L, 2);
  return (ml_attrs){ .reduce = {
    .all = all, .dim = all ? 0 : l_dim(L, 2, t->shape.ndim), .keep = l_flag(L, 3, NULL, false) } };
}

static int l_reduce(lua_State *L) {
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = reduce_attrs(L, t);
  return apply1(L, box, t, &attrs);
}

/* With a dimension: values and their places. */
static int reduce_with_places(lua_State *L, const char *places) {
  if (lua_isnoneornil(L, 2)) return l_reduce(L);
  lua_settop(L, 3);
  const ml_op *find = l_op(L, places);
  ml_tensor **values = l_box(L), **indices = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = reduce_attrs(L, t);
  ml_error err;
  *values = l_try_apply(L, l_this_op(L), &t, 1, &attrs, &err);
  if (!*values) return l_fail(L, &err);
  l_apply(L, indices, find, &t, 1, &attrs);
  lua_pushvalue(L, 4);
  l_scope_add(L);
  lua_pop(L, 1);
  return 2;
}

static int l_max(lua_State *L) { return reduce_with_places(L, "argmax"); }
static int l_min(lua_State *L) { return reduce_with_places(L, "argmin"); }

/* ---- one number: t:leaky_relu([slope]) ---- */

static int with_number(lua_State *L, double otherwise) {
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = { .scalar = { lua_isnil(L, 2) ? otherwise : l_finite(L, 2, NULL) } };
  return apply1(L, box, t, &attrs);
}

static int l_leaky_relu(lua_State *L) { return with_number(L, 0.01); }
static int l_elu(lua_State *L) { return with_number(L, 1.0); }

static int l_dropout(lua_State *L) {
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = { .dropout = { .p = l_number(L, 2, NULL) } };
  attrs.dropout.rng = l_dropout_rng();
  return apply1(L, box, t, &attrs);
}

/* ---- a dimension: t:softmax([dim]), the last by default; concat({t, ...}, dim) ---- */

static int l_softmax(lua_State *L) {
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = { .along = { lua_isnil(L, 2) ? t->shape.ndim - 1 : l_dim(L, 2, t->shape.ndim) } };
  return apply1(L, box, t, &attrs);
}

static int l_concat(lua_State *L) {
  ml_tensor *in[ML_OP_MAX_INPUTS];
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  l_table(L, 1, NULL);
  lua_Unsigned count = lua_rawlen(L, 1);
  if (count < 1 || count > ML_OP_MAX_INPUTS)
    return l_raise(L, "concat: expected a table of 1 to %d tensors, got %llu", ML_OP_MAX_INPUTS,
                   (unsigned long long)count);
  for (lua_Unsigned i = 0; i < count; i++) {
    char what[32];
    snprintf(what, sizeof what, "concat: tensor %d", (int)i + 1);
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    in[i] = l_tensor_named(L, -1, what);
    lua_pop(L, 1);
  }
  ml_attrs attrs = { .along = { l_dim(L, 2, in[0]->shape.ndim) } };
  return l_apply(L, box, l_this_op(L), in, (int)count, &attrs);
}

/* ---- shapes ---- */

/* The size given as -1 becomes what the others leave over. */
static void infer_size(lua_State *L, ml_shape *shape, const ml_tensor *t) {
  int64_t known = 1, count = ml_tensor_count(t);
  int unknown = -1;
  for (int i = 0; i < shape->ndim; i++) {
    if (shape->size[i] >= 0) {
      if (__builtin_mul_overflow(known, shape->size[i], &known)) known = 0;
    } else {
      if (unknown >= 0) l_raise(L, "reshape: only one size may be -1");
      unknown = i;
    }
  }
  if (unknown < 0) return;
  if (known == 0 || count % known != 0)
    l_raise(L, "reshape: no size in place of -1 makes %lld elements", (long long)count);
  shape->size[unknown] = count / known;
}

static int l_reshape(lua_State *L) {
  ml_attrs attrs = { .reshape = { .shape = { .ndim = 0 } } };
  l_tensor(L, 1);
  l_shape(L, 2, &attrs.reshape.shape, true);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  infer_size(L, &attrs.reshape.shape, t);
  return apply1(L, box, t, &attrs);
}

/* The first dimension stays; the rest becomes one. */
static int l_flatten(lua_State *L) {
  lua_settop(L, 1);
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  ml_attrs attrs = { .reshape = { .shape = { .ndim = 1, .size = { ml_tensor_count(t) } } } };
  if (t->shape.ndim > 1)
    attrs.reshape.shape = (ml_shape){ .ndim = 2, .size = { t->shape.size[0], ml_tensor_row_count(t) } };
  return apply1(L, box, t, &attrs);
}

/* i and j at these indices, of a dimension of n: checks 1 <= i, i - 1 <= j <= n. */
static void read_span(lua_State *L, int i_at, ml_attrs *attrs, const ml_tensor *t, int dim) {
  int64_t n = t->shape.size[dim];
  int64_t i = l_int(L, i_at, NULL, INT64_MIN, INT64_MAX), j = l_int(L, i_at + 1, NULL, INT64_MIN, INT64_MAX);
  if (i < 1 || j > n || j < i - 1)
    l_raise(L, "%s: %lld to %lld is out of range: dimension %d has 1 to %lld", l_this_op(L)->name, (long long)i,
            (long long)j, dim + 1, (long long)n);
  attrs->slice.dim = dim;
  attrs->slice.begin = i - 1;
  attrs->slice.count = j - i + 1;
}

static int l_rows(lua_State *L) {
  lua_settop(L, 3);
  ml_attrs attrs = { .slice = { .dim = 0 } };
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  if (t->shape.ndim == 0) return l_raise(L, "rows: a scalar has no rows");
  read_span(L, 2, &attrs, t, 0);
  return apply1(L, box, t, &attrs);
}

static int l_slice(lua_State *L) {
  lua_settop(L, 4);
  ml_attrs attrs = { .slice = { .dim = 0 } };
  ml_tensor **box = l_box(L);
  ml_tensor *t = l_tensor(L, 1);
  read_span(L, 3, &attrs, t, l_dim(L, 2, t->shape.ndim));
  return apply1(L, box, t, &attrs);
}

/* ---- t:matmul(u [, {transpose_a=, transpose_b=}]) ---- */

static int l_matmul(lua_State *L) {
  static const char *const names[] = { "transpose_a", "transpose_b", NULL };
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  l_options(L, 3, names);
  ml_attrs attrs = { .matmul = { l_flag(L, l_option(L, 3, "transpose_a"), "transpose_a", false),
                                 l_flag(L, l_option(L, 3, "transpose_b"), "transpose_b", false) } };
  lua_settop(L, 4);
  ml_tensor *in[] = { l_tensor(L, 1), l_tensor(L, 2) };
  return l_apply(L, box, l_this_op(L), in, 2, &attrs);
}

/* ---- cross_entropy(logits, target [, {label_smoothing=, weight=}]), nll(log_probs, target [, {weight=}]) ---- */

/* The weight option is left at stack index 5 and becomes the third input. */
static int apply_loss(lua_State *L, ml_tensor **box, ml_attrs *attrs, bool *has_weight) {
  int inputs = 2;
  l_option(L, 3, "weight");
  lua_replace(L, 5);
  lua_settop(L, 5);
  *has_weight = !lua_isnil(L, 5);
  ml_tensor *in[3] = { l_tensor(L, 1), l_tensor(L, 2), NULL };
  if (*has_weight) in[inputs++] = l_tensor_named(L, 5, "weight");
  lua_pushvalue(L, 4);                       /* the box */
  return l_apply(L, box, l_this_op(L), in, inputs, attrs);
}

static int l_cross_entropy(lua_State *L) {
  static const char *const names[] = { "label_smoothing", "weight", NULL };
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  l_options(L, 3, names);
  ml_attrs attrs = { .cross_entropy = { .smoothing = 0 } };
  int smoothing = l_option(L, 3, "label_smoothing");
  if (!lua_isnil(L, smoothing)) attrs.cross_entropy.smoothing = l_finite(L, smoothing, "label_smoothing");
  return apply_loss(L, box, &attrs, &attrs.cross_entropy.has_weight);
}

static int l_nll(lua_State *L) {
  static const char *const names[] = { "weight", NULL };
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  l_options(L, 3, names);
  lua_pushnil(L);
  ml_attrs attrs = { .nll = { .has_weight = false } };
  return apply_loss(L, box, &attrs, &attrs.nll.has_weight);
}

const luaL_Reg l_attrs[] = {
  { "argmax",     l_reduce     }, { "argmin",        l_reduce        }, { "concat",      l_concat  },
  { "cross_entropy", l_cross_entropy }, { "dropout", l_dropout       }, { "elu",         l_elu     },
  { "leaky_relu", l_leaky_relu }, { "log_softmax",   l_softmax       }, { "matmul",      l_matmul  },
  { "max",        l_max        }, { "mean",          l_reduce        }, { "min",         l_min     },
  { "nll",        l_nll        }, { "reshape",       l_reshape       }, { "rows",        l_rows    },
  { "slice",      l_slice      }, { "softmax",       l_softmax       }, { "sum",         l_reduce  },
  { "batch_norm", l_batch_norm }, { "batch_norm_relu", l_batch_norm  }, { "dropout2d",   l_dropout },
  { "batch_norm_relu_halve", l_batch_norm },
  { "gaussian_noise", l_gaussian_noise }, { "group_norm", l_group_norm }, { "layer_norm", l_group_norm },
  { "permute",    l_permute    }, { "conv2d",        l_conv2d        }, { "conv2d_relu", l_conv2d  },
  { "max_pool2d", l_pool2d     }, { "avg_pool2d",    l_pool2d        },
  { "adaptive_avg_pool2d", l_adaptive_pool2d }, { "kl_div", l_kl_div }, { "multi_margin", l_multi_margin },
  { "attention",  l_attention  },
  { "smooth_l1",  l_smooth_l1  },
  { "rnn",        l_recurrent  }, { "lstm",          l_recurrent     }, { "gru",         l_recurrent },
  { NULL,         NULL             },
};

void l_open_attrs(lua_State *L) {
  for (int table = L_CORE; table <= L_METHODS; table++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)l_op(L, "reshape"));
    lua_pushcclosure(L, l_flatten, 1);
    lua_setfield(L, table, "flatten");
  }
}
