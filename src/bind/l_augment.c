/* Augmentation seen from Lua: the options of a loader, fixed maps of a batch, straightened data sets. Ranges are lists
 * of two numbers; the core says which are refused. */
#include "bind/bind.h"
#include "data/augment.h"
#include "data/straighten.h"

/* { low, high } at the top of the stack, which is popped; what is there already if it is nil. */
static void pop_range(lua_State *L, const char *name, ml_range *range) {
  const int at = lua_gettop(L);
  if (!lua_isnil(L, at)) {
    l_table(L, at, name);
    lua_rawgeti(L, at, 1);
    lua_rawgeti(L, at, 2);
    *range = (ml_range){ l_number(L, at + 1, name), l_number(L, at + 2, name) };
  }
  lua_settop(L, at - 1);
}

static void pop_number(lua_State *L, const char *name, double *number) {
  if (!lua_isnil(L, -1)) *number = l_number(L, -1, name);
  lua_pop(L, 1);
}

/* The factors of the list `turn`, in a userdata that replaces it on the stack. */
static const float *read_turn(lua_State *L, int list, int classes) {
  if (lua_isnil(L, list)) return NULL;
  l_table(L, list, "turn");
  if (lua_rawlen(L, list) != (size_t)classes)
    l_raise(L, "turn: expected %d factors, one for each class, got %d", classes, (int)lua_rawlen(L, list));
  float *factors = lua_newuserdatauv(L, sizeof *factors * (size_t)classes, 0);
  for (int c = 0; c < classes; c++) {
    lua_rawgeti(L, list, c + 1);
    factors[c] = (float)l_finite(L, -1, "turn");
    lua_pop(L, 1);
  }
  lua_replace(L, list);
  return factors;
}

bool l_read_augment(lua_State *L, int index, int classes, ml_augment_options *o) {
  static const char *const names[] = { "rotate", "shear",  "scale",      "zoom",  "shift_x", "shift_y", "elastic_rms",
                                       "elastic_sigma",    "erase_p",    "erase_size", "noise", "mixup", "cutmix",
                                       "turn",   NULL };
  ml_augment_options none = ML_AUGMENT_NONE;
  *o = none;
  if (lua_isnil(L, index)) return false;
  l_options(L, index, names);
  ml_range *const ranges[] = { &o->rotate, &o->shear, &o->scale, &o->zoom, &o->shift_x, &o->shift_y };
  for (int i = 0; i < 6; i++) {
    l_option(L, index, names[i]);
    pop_range(L, names[i], ranges[i]);
  }
  l_option(L, index, "erase_size");
  pop_range(L, "erase_size", &o->erase_size);
  static const char *const numbers[] = { "elastic_rms", "elastic_sigma", "erase_p", "noise", "mixup", "cutmix" };
  double *const places[] = { &o->elastic_rms, &o->elastic_sigma, &o->erase_p, &o->noise, &o->mixup, &o->cutmix };
  for (int i = 0; i < 6; i++) {
    l_option(L, index, numbers[i]);
    pop_number(L, numbers[i], places[i]);
  }
  o->turn = read_turn(L, l_option(L, index, "turn"), classes);
  return true;
}

/* augment_batch(x, {rotate=, shear=, scale_x=, scale_y=, shift_x=, shift_y=}, background) -> f32 Tensor, without
 * gradient. */
static int l_augment_batch(lua_State *L) {
  static const char *const names[] = { "rotate", "shear", "scale_x", "scale_y", "shift_x", "shift_y", NULL };
  ml_error err;
  ml_affine map = ML_AFFINE_NONE;
  double *const places[] = { &map.rotate, &map.shear, &map.scale_x, &map.scale_y, &map.shift_x, &map.shift_y };
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  l_options(L, 2, names);
  for (int i = 0; names[i]; i++) {
    l_option(L, 2, names[i]);
    pop_number(L, names[i], places[i]);
  }
  const double background = l_finite(L, 3, NULL);
  return l_computed(L, box, ml_augment_batch(l_tensor(L, 1), &map, background, &err), &err);
}

/* straightened(dataset, deskew) -> Dataset */
static int l_straightened(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  ml_dataset **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_DATASET);
  const bool deskew = l_flag(L, 2, NULL, false);
  *box = ml_dataset_straightened(l_dataset(L, 1), deskew, &err);
  return *box ? 1 : l_fail(L, &err);
}

void l_open_augment(lua_State *L) {
  const luaL_Reg functions[] = {
    { "augment_batch", l_augment_batch }, { "straightened", l_straightened }, { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
