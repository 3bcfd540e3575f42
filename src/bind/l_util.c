/* Raising, and the checks of single values. Everything that src/bind refuses is refused through l_raise, so that the
 * message begins with the line of the script and not with a line of the library the script called. Nothing here calls
 * the core or allocates native memory. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

#define LIBRARY_KEY "mnistlua.library"
#define MAX_LEVELS 1000   /* lua_getstack walks from the top, so a deep stack would cost its square */

void l_set_library(lua_State *L, const char *dir) {
  lua_pushfstring(L, "@%s/mnistlua/", dir);
  lua_setfield(L, LUA_REGISTRYINDEX, LIBRARY_KEY);
}

void l_push_root(lua_State *L) {
  bool known = lua_getfield(L, LUA_REGISTRYINDEX, LIBRARY_KEY) == LUA_TSTRING;
  luaL_gsub(L, known ? lua_tostring(L, -1) + 1 : ".", "/lua/mnistlua/", "");
  lua_remove(L, -2);
}

bool l_push_where(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LIBRARY_KEY);
  const char *library = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
  size_t length = strlen(library);
  lua_Debug ar;
  for (int level = 1; level < MAX_LEVELS && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || (length > 0 && strncmp(ar.source, library, length) == 0)) continue;
    lua_pushfstring(L, "%s:%d: ", *ar.source == '@' ? ar.source + 1 : ar.short_src, ar.currentline);
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  return false;
}

static int raise_text(lua_State *L, const char *text) {
  if (!l_push_where(L)) {
    lua_pop(L, 1);
    luaL_where(L, 1);
  }
  lua_pushstring(L, text);
  lua_concat(L, 2);
  return lua_error(L);
}

int l_raise(lua_State *L, const char *fmt, ...) {
  char text[1024];
  ml_error err;
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  ml_fail(&err, ML_MISUSE, "%s", text);   /* escapes control bytes */
  return raise_text(L, err.message);
}

int l_fail(lua_State *L, const ml_error *err) {
  if (err->status == ML_MISUSE || err->status == ML_NOMEM) return raise_text(L, err->message);
  luaL_pushfail(L);
  lua_pushstring(L, err->message);
  return 2;
}

/* ---- what is wrong with a value ---- */

static void describe(lua_State *L, int index, char *text, size_t size) {
  if (lua_isinteger(L, index)) {
    snprintf(text, size, "%lld", (long long)lua_tointeger(L, index));
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    snprintf(text, size, "%.14g", lua_tonumber(L, index));
  } else if (lua_type(L, index) == LUA_TSTRING) {
    snprintf(text, size, "the string '%.40s'", lua_tostring(L, index));
  } else if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    snprintf(text, size, "a %.40s", lua_tostring(L, -1));
  } else {
    snprintf(text, size, "%s%s", lua_isnoneornil(L, index) ? "" : "a ", luaL_typename(L, index));
  }
}

/* "argument #2 of 'reshape'", with the object of a method call not counted. */
static void name_argument(lua_State *L, int index, char *text, size_t size) {
  lua_Debug ar;
  bool known = lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) && ar.name != NULL;
  int number = known && strcmp(ar.namewhat, "method") == 0 ? index - 1 : index;
  if (!known) snprintf(text, size, "argument #%d", index);
  else if (number == 0) snprintf(text, size, "the object of '%s'", ar.name);
  else snprintf(text, size, "argument #%d of '%s'", number, ar.name);
}

int l_bad(lua_State *L, int index, const char *what, const char *expected) {
  char name[80], found[80];
  index = lua_absindex(L, index);
  if (!what) name_argument(L, index, name, sizeof name);
  describe(L, index, found, sizeof found);
  return l_raise(L, "%s: expected %s, got %s", what ? what : name, expected, found);
}

int64_t l_int(lua_State *L, int index, const char *what, int64_t low, int64_t high) {
  int whole = 0;
  lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &whole) : 0;
  if (whole && value >= low && value <= high) return value;
  char expected[96];
  bool above = high < INT64_MAX && lua_type(L, index) == LUA_TNUMBER && lua_tonumber(L, index) > (lua_Number)high;
  if (low == INT64_MIN) snprintf(expected, sizeof expected, "a whole number");
  else if (above || high < INT32_MAX - 1)   /* a limit of the machine is told to whom it concerns */
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)low, (long long)high);
  else snprintf(expected, sizeof expected, "a whole number of at least %lld", (long long)low);
  return l_bad(L, index, what, expected);
}

double l_number(lua_State *L, int index, const char *what) {
  if (lua_type(L, index) != LUA_TNUMBER) l_bad(L, index, what, "a number");
  return lua_tonumber(L, index);
}

double l_finite(lua_State *L, int index, const char *what) {
  double value = l_number(L, index, what);
  if (!isfinite(value)) l_bad(L, index, what, "a finite number");
  return value;
}

bool l_flag(lua_State *L, int index, const char *what, bool otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  if (!lua_isboolean(L, index)) l_bad(L, index, what, "true or false");
  return lua_toboolean(L, index);
}

const char *l_text(lua_State *L, int index, const char *what) {
  if (lua_type(L, index) != LUA_TSTRING) l_bad(L, index, what, "a string");
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  if (strlen(text) != length) l_bad(L, index, what, "a string without zero bytes");
  return text;
}

uint32_t l_seed(lua_State *L, int index, const char *what) {
  int whole = 0;
  lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &whole) : 0;
  if (!whole || value < 0 || value > UINT32_MAX) l_bad(L, index, what, "a whole number from 0 to 4294967295");
  return (uint32_t)value;
}

void l_table(lua_State *L, int index, const char *what) {
  if (!lua_istable(L, index)) l_bad(L, index, what, "a table");
}

/* ---- opening ---- */

void l_add(lua_State *L, int table, const luaL_Reg *functions) {
  lua_pushvalue(L, table);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

void l_new_type(lua_State *L, const char *type, const char *shown, const luaL_Reg *meta, const luaL_Reg *methods) {
  luaL_newmetatable(L, type);               /* mt */
  luaL_setfuncs(L, meta, 0);
  lua_pushstring(L, shown);
  lua_setfield(L, -2, "__name");
  if (methods) {
    lua_newtable(L);                        /* mt methods */
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}
