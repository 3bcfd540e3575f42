/* Losses with settings of their own: an option table becomes ml_attrs. cross_entropy and nll are in l_attrs.c. Reached
 * through l_ops.c only. */
#include "bind/l_ops.h"

/* smooth_l1(x, y [, beta]) */
int l_smooth_l1(lua_State *L) {
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  ml_attrs attrs = { .scalar = { lua_isnil(L, 3) ? 1.0 : l_finite(L, 3, "beta") } };
  ml_tensor *in[] = { l_tensor(L, 1), l_tensor(L, 2) };
  return l_apply(L, box, l_this_op(L), in, 2, &attrs);
}

/* kl_div(log_probs, target [, {log_target=, batch_mean=}]) */
int l_kl_div(lua_State *L) {
  static const char *const names[] = { "log_target", "batch_mean", NULL };
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  l_options(L, 3, names);
  ml_attrs attrs = { .kl_div = { .log_target = false } };
  attrs.kl_div.log_target = l_flag(L, l_option(L, 3, "log_target"), "log_target", false);
  attrs.kl_div.batch_mean = l_flag(L, l_option(L, 3, "batch_mean"), "batch_mean", false);
  lua_settop(L, 4);                          /* the box on top */
  ml_tensor *in[] = { l_tensor(L, 1), l_tensor(L, 2) };
  return l_apply(L, box, l_this_op(L), in, 2, &attrs);
}

/* multi_margin(scores, labels [, {p=, margin=, weight=}]) */
int l_multi_margin(lua_State *L) {
  static const char *const names[] = { "p", "margin", "weight", NULL };
  int inputs = 2;
  lua_settop(L, 3);
  l_options(L, 3, names);
  ml_attrs attrs = { .multi_margin = { .power = 1, .margin = 1.0 } };
  int power = l_option(L, 3, "p"), margin = l_option(L, 3, "margin");
  if (!lua_isnil(L, power)) attrs.multi_margin.power = (int)l_int(L, power, "p", 1, 2);
  if (!lua_isnil(L, margin)) attrs.multi_margin.margin = l_finite(L, margin, "margin");
  int weight = l_option(L, 3, "weight");
  ml_tensor **box = l_box(L);
  ml_tensor *in[3] = { l_tensor(L, 1), l_tensor(L, 2), NULL };
  if (!lua_isnil(L, weight)) in[inputs++] = l_tensor_named(L, weight, "weight");
  return l_apply(L, box, l_this_op(L), in, inputs, &attrs);
}
