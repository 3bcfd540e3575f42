/* Convolution and pooling: the option tables of scripts become the windows of src/ops. A size is a number or a list
 * {h, w}. Reached through l_ops.c only. */
#include <string.h>

#include "bind/l_ops.h"

typedef struct pair {
  int64_t h, w;
} pair;

/* The element of the list at index, which is a height or a width. */
static int64_t read_side(lua_State *L, int index, int side, const char *what) {
  lua_rawgeti(L, index, side);
  const int64_t size = l_int(L, -1, what, INT32_MIN, INT32_MAX);
  lua_pop(L, 1);
  return size;
}

static pair read_pair(lua_State *L, int index, const char *what) {
  if (lua_istable(L, index)) {
    if (lua_rawlen(L, index) != 2) l_bad(L, index, what, "a number or a list {h, w}");
    return (pair){ read_side(L, index, 1, what), read_side(L, index, 2, what) };
  }
  const int64_t size = l_int(L, index, what, INT32_MIN, INT32_MAX);
  return (pair){ size, size };
}

static pair pair_option(lua_State *L, int table, const char *name, pair otherwise) {
  const int at = l_option(L, table, name);
  const pair value = lua_isnil(L, at) ? otherwise : read_pair(L, at, name);
  lua_pop(L, 1);
  return value;
}

static void set_padding(ml_window2d *win, pair all) {
  win->pad_top = win->pad_bottom = all.h;
  win->pad_left = win->pad_right = all.w;
}

/* As much padding as keeps the image's size at stride 1; an odd one goes below and to the right. */
static void pad_same(lua_State *L, ml_window2d *win) {
  if (win->stride_h != 1 || win->stride_w != 1) l_raise(L, "%s: padding \"same\" needs a stride of 1",
                                                              l_this_op(L)->name);
  const ml_shape *w = &l_tensor(L, 2)->shape;
  const int64_t h = w->ndim == 4 ? w->size[2] - 1 : 0, v = w->ndim == 4 ? w->size[3] - 1 : 0;
  *win = (ml_window2d){ .stride_h = 1, .stride_w = 1, .pad_top = h / 2, .pad_bottom = h - h / 2,
                        .pad_left = v / 2, .pad_right = v - v / 2 };
}

static void read_conv_padding(lua_State *L, int table, ml_window2d *win) {
  static const char *const names[] = { "same", "valid", NULL };
  const int at = l_option(L, table, "padding");
  if (lua_type(L, at) == LUA_TSTRING) {
    const char *name = l_text(L, at, "padding");
    if (strcmp(name, "same") == 0) {
      pad_same(L, win);
    } else if (strcmp(name, "valid") != 0) {
      l_raise(L, "%s: unknown padding '%.40s'%s", l_this_op(L)->name, name, l_suggest(L, name, names));
    }
  } else if (!lua_isnil(L, at)) {
    set_padding(win, read_pair(L, at, "padding"));
  }
  lua_settop(L, at - 1);
}

static ml_attrs conv_attrs(lua_State *L, int table) {
  static const char *const names[] = { "groups", "padding", "stride", NULL };
  ml_attrs attrs = { .conv2d = { .groups = 1 } };
  l_options(L, table, names);
  const pair stride = pair_option(L, table, "stride", (pair){ 1, 1 });
  attrs.conv2d.window.stride_h = stride.h;
  attrs.conv2d.window.stride_w = stride.w;
  read_conv_padding(L, table, &attrs.conv2d.window);
  const int groups = l_option(L, table, "groups");
  if (!lua_isnil(L, groups)) attrs.conv2d.groups = l_int(L, groups, "groups", INT32_MIN, INT32_MAX);
  lua_pop(L, 1);
  return attrs;
}

/* x:conv2d(w [, b [, {stride=, padding=, groups=}]]); b may be nil. Also conv2d_relu. */
int l_conv2d(lua_State *L) {
  lua_settop(L, 4);
  ml_tensor **box = l_box(L);
  const ml_attrs attrs = conv_attrs(L, 4);
  ml_tensor *in[3] = { l_tensor(L, 1), l_tensor(L, 2), NULL };
  const int inputs = lua_isnil(L, 3) ? 2 : 3;
  if (inputs == 3) in[2] = l_tensor(L, 3);
  return l_apply(L, box, l_this_op(L), in, inputs, &attrs);
}

static ml_attrs pool_attrs(lua_State *L, int table) {
  static const char *const max_names[] = { "padding", "stride", NULL };
  static const char *const mean_names[] = { "count_include_pad", "padding", "stride", NULL };
  const bool mean = strcmp(l_this_op(L)->name, "avg_pool2d") == 0;
  ml_attrs attrs = { .pool2d = { .count_padding = true } };
  l_options(L, table, mean ? mean_names : max_names);
  const pair kernel = read_pair(L, 2, "the kernel's size"), stride = pair_option(L, table, "stride", kernel);
  attrs.pool2d.window = (ml_window2d){ kernel.h, kernel.w, stride.h, stride.w, 0, 0, 0, 0 };
  set_padding(&attrs.pool2d.window, pair_option(L, table, "padding", (pair){ 0, 0 }));
  if (mean)
    attrs.pool2d.count_padding = l_flag(L, l_option(L, table, "count_include_pad"), "count_include_pad", true);
  lua_settop(L, 4);
  return attrs;
}

/* x:max_pool2d(kernel [, {stride=, padding=}]), the stride being the kernel's size if it is left out; avg_pool2d also
 * has count_include_pad (true). */
int l_pool2d(lua_State *L) {
  lua_settop(L, 3);
  ml_tensor **box = l_box(L);
  const ml_attrs attrs = pool_attrs(L, 3);
  ml_tensor *t = l_tensor(L, 1);
  return l_apply(L, box, l_this_op(L), &t, 1, &attrs);
}

/* x:adaptive_avg_pool2d(size) */
int l_adaptive_pool2d(lua_State *L) {
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  const pair size = read_pair(L, 2, "the output's size");
  const ml_attrs attrs = { .size2d = { size.h, size.w } };
  ml_tensor *t = l_tensor(L, 1);
  return l_apply(L, box, l_this_op(L), &t, 1, &attrs);
}
