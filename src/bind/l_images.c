/* Folders of pictures as data sets, single pictures, and pictures stored on their side. */
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "data/png.h"
#include "data/prepare.h"
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

/* A u8 [height, width] tensor with these pixels in the box on top of the stack. */
static int filled_with(lua_State *L, ml_tensor **box, const uint8_t *pixels, ml_png_size size) {
  ml_error err;
  const ml_shape shape = { .ndim = 2, .size = { size.height, size.width } };
  ml_tensor *t = l_try_new(L, ML_U8, &shape, false, &err);
  if (t) memcpy(t->u8, pixels, (size_t)(size.height * size.width));
  return l_filled(L, box, t, &err);
}

/* read_png(path) -> u8 [height, width], grey. decode_png(bytes) -> the same from a file's content. */
static int read_grey(lua_State *L, bool is_path) {
  ml_error err;
  ml_png_size size;
  lua_settop(L, 1);
  uint8_t **pixels = l_guarded(L, sizeof *pixels, release_block);
  ml_tensor **box = l_box(L);
  size_t bytes;
  const char *text = is_path ? l_text(L, 1, NULL) : luaL_checklstring(L, 1, &bytes);
  const ml_status status = is_path ? ml_png_read(pixels, &size, text, 1, &err)
                                   : ml_png_decode(pixels, &size, (const uint8_t *)text, bytes, 1, &err);
  return status == ML_OK ? filled_with(L, box, *pixels, size) : l_fail(L, &err);
}

static int l_read_png(lua_State *L) { return read_grey(L, true); }
static int l_decode_png(lua_State *L) { return read_grey(L, false); }

/* prepare_digit(u8 [height, width], 0 black to 255 white) -> u8 [28, 28], or nil and why. */
static int l_prepare_digit(lua_State *L) {
  ml_error err;
  uint8_t out[ML_DIGIT_SIDE * ML_DIGIT_SIDE];
  lua_settop(L, 1);
  ml_tensor **box = l_box(L);
  const ml_tensor *t = l_tensor(L, 1);
  if (t->dtype != ML_U8 || t->shape.ndim != 2 || t->shape.size[0] < 1 || t->shape.size[1] < 1)
    return l_bad(L, 1, NULL, "a picture of bytes (u8, height x width)");
  if (ml_prepare_digit(out, t->u8, t->shape.size[0], t->shape.size[1], &err) != ML_OK) return l_fail(L, &err);
  return filled_with(L, box, out, (ml_png_size){ .height = ML_DIGIT_SIDE, .width = ML_DIGIT_SIDE });
}

/* samples(t, sizes) -> n, true if t has the sizes n x sizes; 1, false if it has these sizes itself; nil for
 * other sizes, and for what is no tensor. */
static int l_samples(lua_State *L) {
  ml_shape sizes;
  const ml_tensor *t = l_try_tensor(L, 1);
  l_shape(L, 2, &sizes, false);
  const int extra = t ? t->shape.ndim - sizes.ndim : -1;
  if ((extra != 0 && extra != 1) ||
      memcmp(t->shape.size + extra, sizes.size, (size_t)sizes.ndim * sizeof *sizes.size) != 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, extra == 1 ? t->shape.size[0] : 1);
  lua_pushboolean(L, extra == 1);
  return 2;
}

void l_open_images(lua_State *L) {
  const luaL_Reg functions[] = {
    { "read_images", l_read_images }, { "read_png", l_read_png }, { "decode_png", l_decode_png },
    { "prepare_digit", l_prepare_digit }, { "transpose_pictures", l_transpose_pictures }, { "samples", l_samples },
    { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
