/* The Loader type: the batches of a Dataset. Epochs and steps count from 1 here. */
#include "bind/bind.h"
#include "data/loader.h"
#include "ops/tape.h"

static ml_loader *check_loader(lua_State *L, int index) {
  ml_loader **box = luaL_testudata(L, index, L_LOADER);
  if (!box) l_bad(L, index, NULL, "a Loader");
  if (!*box) l_raise(L, "this Loader has been released");
  return *box;
}

static int loader_gc(lua_State *L) {
  ml_loader **box = luaL_testudata(L, 1, L_LOADER);
  if (!box) return 0;
  ml_loader *l = *box;
  *box = NULL;
  ml_loader_free(l);
  return 0;
}

static double number_option(lua_State *L, const char *name, double otherwise) {
  int at = l_option(L, 2, name);
  return lua_isnil(L, at) ? otherwise : l_finite(L, at, name);
}

/* loader(dataset, {batch=, shuffle=, drop_last=, mean=, std=, seed=, augment=}) */
static int l_make_loader(lua_State *L) {
  static const char *const names[] = { "batch", "shuffle", "drop_last", "mean", "std", "seed", "augment", NULL };
  lua_settop(L, 2);
  l_dataset(L, 1);
  l_table(L, 2, NULL);
  l_options(L, 2, names);
  ml_loader_options o = { .batch = l_int(L, l_option(L, 2, "batch"), "batch", 1, INT64_MAX),
                          .shuffle = l_flag(L, l_option(L, 2, "shuffle"), "shuffle", false),
                          .drop_last = l_flag(L, l_option(L, 2, "drop_last"), "drop_last", false),
                          .mean = number_option(L, "mean", 0),
                          .std = number_option(L, "std", 1) };
  int seed = l_option(L, 2, "seed");
  if (!lua_isnil(L, seed)) o.seed = l_seed(L, seed, "seed");
  ml_augment_options augment;
  if (l_read_augment(L, l_option(L, 2, "augment"), l_dataset(L, 1)->classes, &augment)) o.augment = &augment;
  ml_loader **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_LOADER);
  ml_error err;
  *box = ml_loader_new(l_dataset(L, 1), &o, &err);
  return *box ? 1 : l_fail(L, &err);
}

static int l_start(lua_State *L) {
  ml_error err;
  ml_loader *l = check_loader(L, 1);
  uint32_t epoch = (uint32_t)l_int(L, 2, NULL, 1, UINT32_MAX);
  int64_t step = lua_isnoneornil(L, 3) ? 1 : l_int(L, 3, NULL, 1, INT64_MAX);
  if (step > ml_loader_steps(l) + 1)
    return l_raise(L, "start: step %lld of an epoch of %lld", (long long)step, (long long)ml_loader_steps(l));
  if (ml_loader_start(l, epoch, step - 1, &err) != ML_OK) return l_fail(L, &err);
  return 0;
}

/* l:next() -> x, y, or nil at the end of the epoch. Where steps are marked the batch expires with its step. */
static int l_next(lua_State *L) {
  ml_error err;
  lua_settop(L, 1);
  ml_tensor **x = l_box(L), **y = l_box(L);
  ml_loader *l = check_loader(L, 1);
  if (ml_loader_next(l, x, y, &err) != ML_OK) return l_fail(L, &err);
  if (!*x) {
    lua_pushnil(L);
    return 1;
  }
  l_scope_add(L);
  lua_pushvalue(L, 2);
  l_scope_add(L);
  lua_settop(L, 3);
  if (ml_step_adopt(*x, &err) != ML_OK || ml_step_adopt(*y, &err) != ML_OK) return l_fail(L, &err);
  return 2;
}

/* l:strength(share): how strongly the batches begun from now on are augmented. */
static int l_strength(lua_State *L) {
  ml_loader *l = check_loader(L, 1);
  const double strength = l_finite(L, 2, NULL);
  if (strength < 0 || strength > 1) return l_bad(L, 2, NULL, "a number from 0 to 1");
  ml_loader_set_strength(l, strength);
  return 0;
}

static int l_steps(lua_State *L) {
  lua_pushinteger(L, ml_loader_steps(check_loader(L, 1)));
  return 1;
}

void l_open_loader(lua_State *L) {
  const luaL_Reg functions[] = { { "loader", l_make_loader }, { NULL, NULL } };
  const luaL_Reg methods[] = {
    { "start", l_start }, { "next", l_next }, { "steps", l_steps }, { "strength", l_strength }, { NULL, NULL },
  };
  const luaL_Reg meta[] = { { "__gc", loader_gc }, { "__len", l_steps }, { NULL, NULL } };
  l_new_type(L, L_LOADER, "Loader", meta, methods);
  l_add(L, L_CORE, functions);
}
