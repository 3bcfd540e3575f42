/* Folders of pictures as data sets, and pictures stored on their side. */
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "data/readers.h"

static void pop_size(lua_State *L, const char *name, int64_t *size) {
  if (!lua_isnil(L, -1)) *size = l_int(L, -1, name, 1, INT32_MAX);
  lua_pop(L, 1);
}

/* The option `invert`: true, false, nil or "auto". */
static ml_invert pop_invert(lua_State *L) {
  ml_invert invert = ML_INVERT_AUTO;
  if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "auto") != 0)
    invert = l_flag(L, -1, "invert", false) ? ML_INVERT_YES : ML_INVERT_NO;
  lua_pop(L, 1);
  return invert;
}

/* The list of names at index, which keeps the text alive; the array is in a userdata left on the stack. */
static const char *const *read_names(lua_State *L, int index, int64_t *count) {
  if (lua_isnoneornil(L, index)) return NULL;
  l_table(L, index, "classes");
  *count = (int64_t)lua_rawlen(L, index);
  const char **names = lua_newuserdatauv(L, sizeof *names * ((size_t)*count + 1), 0);
  for (int64_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) l_bad(L, -1, "classes", "a list of names");
    names[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return names;
}

static void release_block(void *content) { ml_free(*(void **)content); }

/* { classes = names, inverted = flag }; the names' block belongs to the guard. */
static void push_info(lua_State *L, const ml_images_info *info) {
  lua_createtable(L, 0, 2);
  lua_createtable(L, (int)info->classes, 0);
  for (int64_t i = 0; i < info->classes; i++) {
    lua_pushstring(L, info->names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "classes");
  lua_pushboolean(L, info->inverted);
  lua_setfield(L, -2, "inverted");
}

/* read_images(path, { channels=, height=, width=, invert= }, classes) -> Dataset, { classes=, inverted= } */
static int l_read_images(lua_State *L) {
  static const char *const names[] = { "channels", "height", "width", "invert", NULL };
  ml_error err;
  ml_images_info info;
  int64_t channels = 1;
  ml_images_options o = { .height = 0 };
  lua_settop(L, 3);
  ml_dataset **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_DATASET);
  char ***guard = l_guarded(L, sizeof *guard, release_block);
  const char *path = l_text(L, 1, NULL);
  l_options(L, 2, names);
  l_option(L, 2, "channels"), pop_size(L, "channels", &channels);
  l_option(L, 2, "height"), pop_size(L, "height", &o.height);
  l_option(L, 2, "width"), pop_size(L, "width", &o.width);
  l_option(L, 2, "invert"), o.invert = pop_invert(L);
  o.channels = (int)channels;
  o.classes = read_names(L, 3, &o.class_count);
  *box = ml_read_images(&info, path, &o, &err);
  *guard = info.names;
  if (!*box) return l_fail(L, &err);
  lua_pushvalue(L, 4);
  push_info(L, &info);
  l_release(L, 5);
  return 2;
}

/* transpose_pictures(images) -> images, changed in place; nil and why if they are no square pictures of bytes. */
static int l_transpose_pictures(lua_State *L) {
  ml_error err;
  lua_settop(L, 1);
  if (ml_transpose_pictures(l_tensor(L, 1), &err) != ML_OK) return l_fail(L, &err);
  return 1;
}

void l_open_images(lua_State *L) {
  const luaL_Reg functions[] = {
    { "read_images", l_read_images }, { "transpose_pictures", l_transpose_pictures }, { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
