/* Recurrent layers: the arguments of rnn, lstm and gru become inputs and ml_attrs, and the operation checks the rest.
 * Reached through l_ops.c only. */
#include <string.h>

#include "bind/l_ops.h"

static bool flag_option(lua_State *L, const char *name) {
  const bool value = l_flag(L, l_option(L, 6, name), name, false);
  lua_pop(L, 1);
  return value;
}

static ml_attrs read_attrs(lua_State *L) {
  static const char *const names[] = { "last", "relu", "reverse", NULL };
  l_options(L, 6, names);
  ml_attrs attrs = { .recurrent = { .reverse = flag_option(L, "reverse"), .last = flag_option(L, "last"),
                                    .relu = flag_option(L, "relu") } };
  if (attrs.recurrent.relu && strcmp(l_this_op(L)->name, "rnn") != 0)
    l_raise(L, "%s: relu is an option of rnn", l_this_op(L)->name);
  return attrs;
}

/* x:lstm(w_ih, w_hh [, b_ih, b_hh [, {last=, reverse=}]]), gru alike; rnn also has relu */
int l_recurrent(lua_State *L) {
  static const char *const names[] = { "x", "w_ih", "w_hh", "b_ih", "b_hh" };
  ml_tensor *in[5];
  lua_settop(L, 6);
  ml_tensor **box = l_box(L);                                        /* x w_ih w_hh b_ih b_hh options box */
  ml_attrs attrs = read_attrs(L);
  const int count = lua_isnil(L, 4) && lua_isnil(L, 5) ? 3 : 5;
  for (int i = 0; i < count; i++) in[i] = l_tensor_named(L, i + 1, names[i]);
  return l_apply(L, box, l_this_op(L), in, count, &attrs);
}
