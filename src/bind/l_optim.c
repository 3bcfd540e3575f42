/* Optimizer steps over lists of parameters. Everything is checked before the first parameter moves. The learning rate
 * and what follows from it are the script's business: lua/mnistlua/optim. */
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "ops/packed.h"
#include "optim/optim.h"

static void refuse_optimizer(lua_State *L, const char *name) {
  const char *names[16] = { NULL };
  for (int i = 0; i < 15 && ml_optimizers[i]; i++) names[i] = ml_optimizers[i]->name;
  l_raise(L, "unknown optimizer '%.40s'%s", name, l_suggest(L, name, names));
}

static const ml_optimizer *optimizer(lua_State *L, int index) {
  const char *name = l_text(L, index, NULL);
  const ml_optimizer *found = ml_optimizer_find(name);
  if (!found) refuse_optimizer(L, name);
  return found;
}

static const struct member {
  const char *name;
  size_t offset;
} numbers[] = {
  { "lr",           offsetof(ml_hyper, lr)           }, { "momentum", offsetof(ml_hyper, momentum) },
  { "weight_decay", offsetof(ml_hyper, weight_decay) }, { "dampening", offsetof(ml_hyper, dampening) },
  { "beta1",        offsetof(ml_hyper, beta1)        }, { "beta2",    offsetof(ml_hyper, beta2)    },
  { "eps",          offsetof(ml_hyper, eps)          }, { "alpha",    offsetof(ml_hyper, alpha)    },
  { "lr_decay",     offsetof(ml_hyper, lr_decay)     }, { "mu",       offsetof(ml_hyper, mu)       },
  { "mu_next",      offsetof(ml_hyper, mu_next)      }, { "mu_product", offsetof(ml_hyper, mu_product) },
  { "average_share", offsetof(ml_hyper, average_share) },
  { "initial_accumulator_value", offsetof(ml_hyper, initial_accumulator_value) },
};

/* Reads the value at the top of the stack into the member of this name; false if there is none. */
static bool read_member(lua_State *L, ml_hyper *h, const char *name) {
  if (strcmp(name, "step") == 0) {
    h->step = l_int(L, -1, name, 1, INT64_MAX);
    return true;
  }
  bool *flag = strcmp(name, "nesterov") == 0 ? &h->nesterov : strcmp(name, "centered") == 0 ? &h->centered : NULL;
  if (flag) {
    *flag = l_flag(L, -1, name, false);
    return true;
  }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strcmp(name, numbers[i].name) != 0) continue;
    double value = l_finite(L, -1, name);
    memcpy((char *)h + numbers[i].offset, &value, sizeof value);
    return true;
  }
  return false;
}

/* One walk over the table, since this runs in every step. Members that are left out are 0, false and, for the step,
 * 1. */
static ml_hyper read_hyper(lua_State *L, int index) {
  static const char *const names[] = {
    "lr",      "momentum", "dampening", "weight_decay",  "beta1",    "beta2",  "eps", "nesterov", "step", "alpha",
    "lr_decay", "mu",      "mu_next",   "mu_product", "average_share", "initial_accumulator_value", "centered", NULL,
  };
  ml_hyper h = { .step = 1 };
  bool known = lua_istable(L, index) || lua_isnil(L, index);
  if (lua_istable(L, index)) {
    for (lua_pushnil(L); known && lua_next(L, index); lua_pop(L, 1))
      known = lua_type(L, -2) == LUA_TSTRING && read_member(L, &h, lua_tostring(L, -2));
  }
  if (!known) l_options(L, index, names);    /* tells what is wrong */
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

/* Raises what is wrong with parameter i, the value at the top of the stack; t is NULL if it is no tensor. */
static void refuse_parameter(lua_State *L, const ml_tensor *t, lua_Integer i) {
  char what[40];
  snprintf(what, sizeof what, "parameter %lld", (long long)i);
  if (!t) l_bad(L, -1, what, "a Tensor");
  if (t->node) l_raise(L, "%s is a computed value, not a parameter; use :detach()", what);
  l_raise(L, "%s: expected an f32 tensor, got %s", what, ml_dtype_name(t->dtype));
}

ml_tensor *l_parameter(lua_State *L, int list, lua_Integer i) {
  lua_rawgeti(L, list, i);
  ml_tensor *t = l_try_tensor(L, -1);
  if (!t || t->dtype != ML_F32 || t->node) refuse_parameter(L, t, i);
  lua_pop(L, 1);
  return t;
}

static void refuse_slots(lua_State *L, lua_Integer i, const char *expected) {
  char what[64];
  snprintf(what, sizeof what, "state of parameter %lld", (long long)i);
  l_bad(L, -1, what, expected);
}

/* slots[i], a list of `count` tensors as large as w, which keeps them alive. */
static void slots_of(lua_State *L, ml_tensor **slot, int count, lua_Integer i, const ml_tensor *w) {
  if (count == 0) return;
  lua_rawgeti(L, 3, i);
  if (!lua_istable(L, -1)) refuse_slots(L, i, "a table");
  for (int k = 0; k < count; k++) {
    lua_rawgeti(L, -1, k + 1);
    slot[k] = l_try_tensor(L, -1);
    if (!slot[k]) refuse_slots(L, i, "a Tensor");
    l_same_kind(L, w, slot[k]);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* ---- one step ---- */

enum { MAX_SPANS = 16 };

/* Parameters that are moved at once. */
typedef struct batch {
  const ml_optimizer *o;
  const ml_hyper *h;
  int slots, count;
  ml_span spans[MAX_SPANS];
} batch;

static void run_batch(batch *b) {
  ml_optimizer_step(b->o, b->spans, b->count, b->h);
  b->count = 0;
}

static bool overlap(const float *a, int64_t a_floats, const float *b, int64_t b_floats) {
  return a < b + b_floats && b < a + a_floats;
}

/* Whether what one of the spans writes is part of the other. */
static bool clash(const ml_span *a, const ml_span *b, int slots) {
  bool found = overlap(a->w, a->n, b->g, b->n) || overlap(a->g, a->n, b->w, b->n);
  for (int i = -1; i < slots; i++) {
    for (int k = -1; k < slots; k++)
      found |= overlap(i < 0 ? a->w : a->slot[i], a->n, k < 0 ? b->w : b->slot[k], b->n);
  }
  return found;
}

/* Parameters that share memory are moved one after the other, as they come. */
static void add_span(batch *b, const ml_span *span) {
  bool alone = b->count < MAX_SPANS;
  for (int i = 0; i < b->count && alone; i++) alone = !clash(&b->spans[i], span, b->slots);
  if (!alone) run_batch(b);
  b->spans[b->count++] = *span;
}

static void move(batch *b, ml_tensor *w, ml_tensor *const *slot) {
  ml_span span = { .w = w->f32, .g = w->grad->f32, .n = ml_tensor_count(w) };
  for (int i = 0; i < b->slots; i++) {
    span.slot[i] = slot[i]->f32;
    ml_tensor_changed(slot[i]);
  }
  if (!ml_packed_weight_update(w, &span.refresh)) span.refresh.fn = NULL;
  add_span(b, &span);
}

/* One walk over the parameters that have a gradient; `run` moves them. Allocates nothing, so that no finalizer can take
 * back what the first walk has checked. */
static void walk(lua_State *L, batch *b, bool run) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *slot[ML_OPTIM_MAX_SLOTS] = { NULL };
    ml_tensor *w = l_parameter(L, 2, i);
    if (!w->grad) continue;
    slots_of(L, slot, b->slots, i, w);
    if (run) move(b, w, slot);
  }
}

static int l_optim_step(lua_State *L) {
  lua_settop(L, 4);
  const ml_optimizer *o = optimizer(L, 1);
  l_table(L, 2, NULL);
  l_table(L, 3, NULL);
  ml_hyper h = read_hyper(L, 4);
  batch b;
  b.o = o, b.h = &h, b.slots = o->slot_count(&h), b.count = 0;   /* spans stay as they are: this is in every step */
  walk(L, &b, false);
  walk(L, &b, true);
  run_batch(&b);
  return 0;
}

void l_open_optim(lua_State *L) {
  const luaL_Reg functions[] = {
    { "optim_slots", l_optim_slots }, { "optim_step", l_optim_step }, { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
