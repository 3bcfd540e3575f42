/* Gradients: backward passes, recording, and the marks of training steps. */
#include "bind/bind.h"
#include "ops/tape.h"

static int l_backward(lua_State *L) {
  ml_error err;
  l_collect_if_due(L);
  if (ml_backward(l_tensor(L, 1), 1.0f, &err) != ML_OK) return l_fail(L, &err);
  return 0;
}

/* t:requires_grad_([bool]) -> t; the assignment of the field checks. */
static int l_requires_grad_(lua_State *L) {
  lua_settop(L, 2);
  l_tensor(L, 1);
  lua_pushboolean(L, l_flag(L, 2, NULL, true));
  lua_setfield(L, 1, "requires_grad");
  lua_settop(L, 1);
  return 1;
}

static int l_recording(lua_State *L) {
  bool was = ml_recording();
  ml_set_recording(l_flag(L, 1, NULL, was));
  lua_pushboolean(L, was);
  return 1;
}

static int l_step_begin(lua_State *L) {
  uint32_t epoch = (uint32_t)l_int(L, 1, NULL, 1, UINT32_MAX), step = (uint32_t)l_int(L, 2, NULL, 1, UINT32_MAX);
  l_dropout_clock(epoch, step);
  ml_step_begin();
  return 0;
}

static int l_step_end(lua_State *L) {
  (void)L;
  ml_step_end();
  return 0;
}

void l_open_grad(lua_State *L) {
  const luaL_Reg functions[] = {
    { "recording", l_recording }, { "step_begin", l_step_begin }, { "step_end", l_step_end }, { NULL, NULL },
  };
  const luaL_Reg methods[] = {
    { "backward", l_backward }, { "requires_grad_", l_requires_grad_ }, { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
  l_add(L, L_METHODS, methods);
}
