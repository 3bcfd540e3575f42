/* Optimizer steps over lists of parameters. Everything is checked before the first parameter moves. The learning rate
 * and what follows from it are the script's business: lua/mnistlua/optim. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "kernels/kernels.h"
#include "optim/optim.h"

static const ml_optimizer *optimizer(lua_State *L, int index) {
  const char *names[16] = { NULL };
  const char *name = l_text(L, index, NULL);
  const ml_optimizer *found = ml_optimizer_find(name);
  if (found) return found;
  for (int i = 0; i < 15 && ml_optimizers[i]; i++) names[i] = ml_optimizers[i]->name;
  l_raise(L, "unknown optimizer '%.40s'%s", name, l_suggest(L, name, names));
  return NULL;
}

static double member(lua_State *L, int index, const char *name) {
  l_option(L, index, name);
  double value = lua_isnil(L, -1) ? 0 : l_finite(L, -1, name);
  lua_pop(L, 1);
  return value;
}

/* Members that are left out are 0, false and, for the step, 1. */
static ml_hyper read_hyper(lua_State *L, int index) {
  static const char *const names[] = { "lr",  "momentum", "dampening", "weight_decay", "beta1", "beta2",
                                       "eps", "nesterov", "step",      NULL };
  l_options(L, index, names);
  ml_hyper h = { .lr = member(L, index, "lr"),               .momentum = member(L, index, "momentum"),
                 .dampening = member(L, index, "dampening"), .weight_decay = member(L, index, "weight_decay"),
                 .beta1 = member(L, index, "beta1"),         .beta2 = member(L, index, "beta2"),
                 .eps = member(L, index, "eps"),             .step = 1 };
  h.nesterov = l_flag(L, l_option(L, index, "nesterov"), "nesterov", false);
  int step = l_option(L, index, "step");
  if (!lua_isnil(L, step)) h.step = l_int(L, step, "step", 1, INT64_MAX);
  lua_pop(L, 2);
  return h;
}

static int l_optim_slots(lua_State *L) {
  lua_settop(L, 2);
  const ml_optimizer *o = optimizer(L, 1);
  ml_hyper h = read_hyper(L, 2);
  int count = o->slot_count(&h);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, o->slots[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The i-th parameter of the list at stack index `list`; the list keeps it alive. */
static ml_tensor *parameter(lua_State *L, int list, lua_Integer i) {
  char what[40];
  snprintf(what, sizeof what, "parameter %lld", (long long)i);
  lua_rawgeti(L, list, i);
  ml_tensor *t = l_tensor_named(L, -1, what);
  if (t->dtype != ML_F32) l_raise(L, "%s: expected an f32 tensor, got %s", what, ml_dtype_name(t->dtype));
  if (t->node) l_raise(L, "%s is a computed value, not a parameter; use :detach()", what);
  lua_pop(L, 1);
  return t;
}

/* slots[i], a list of `count` tensors as large as w, which keeps them alive. */
static void slots_of(lua_State *L, ml_tensor **slot, int count, lua_Integer i, const ml_tensor *w) {
  char what[64];
  if (count == 0) return;
  snprintf(what, sizeof what, "state of parameter %lld", (long long)i);
  lua_rawgeti(L, 3, i);
  l_table(L, -1, what);
  for (int k = 0; k < count; k++) {
    lua_rawgeti(L, -1, k + 1);
    slot[k] = l_tensor_named(L, -1, what);
    l_same_kind(L, w, slot[k]);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void move(const ml_optimizer *o, ml_tensor *w, ml_tensor *const *slot, const ml_hyper *h) {
  float *state[ML_OPTIM_MAX_SLOTS] = { NULL };
  for (int i = 0; i < o->slot_count(h); i++) {
    state[i] = slot[i]->f32;
    ml_tensor_changed(slot[i]);
  }
  ml_optimizer_step(o, w->f32, w->grad->f32, state, ml_tensor_count(w), h);
  ml_tensor_changed(w);
}

/* One walk over the parameters that have a gradient; `run` moves them. Allocates nothing, so that no finalizer can take
 * back what the first walk has checked. */
static void walk(lua_State *L, const ml_optimizer *o, const ml_hyper *h, bool run) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *slot[ML_OPTIM_MAX_SLOTS] = { NULL };
    ml_tensor *w = parameter(L, 2, i);
    if (!w->grad) continue;
    slots_of(L, slot, o->slot_count(h), i, w);
    if (run) move(o, w, slot, h);
  }
}

static int l_optim_step(lua_State *L) {
  lua_settop(L, 4);
  const ml_optimizer *o = optimizer(L, 1);
  l_table(L, 2, NULL);
  l_table(L, 3, NULL);
  ml_hyper h = read_hyper(L, 4);
  walk(L, o, &h, false);
  walk(L, o, &h, true);
  return 0;
}

/* ---- gradients of a list of parameters ---- */

static int l_grad_norm(lua_State *L) {
  double squares = 0;
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    const ml_tensor *grad = parameter(L, 1, i)->grad;
    if (grad) squares += ml_sum_squares(grad->f32, ml_tensor_count(grad));
  }
  lua_pushnumber(L, sqrt(squares));
  return 1;
}

static int l_zero_grad(lua_State *L) {
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *t = parameter(L, 1, i), *grad = t->grad;
    t->grad = NULL;
    ml_tensor_unref(grad);
  }
  return 0;
}

void l_open_optim(lua_State *L) {
  const luaL_Reg functions[] = {
    { "optim_slots", l_optim_slots }, { "optim_step", l_optim_step }, { "grad_norm", l_grad_norm },
    { "zero_grad", l_zero_grad },     { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
