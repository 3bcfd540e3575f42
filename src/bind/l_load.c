/* Lua sources as text only: bytecode that was made wrong on purpose crashes Lua's virtual machine. `load` and
 * `loadfile` still take it from a script that asks with mode "b". Called once by main.c. */
#include <lualib.h>

#include "bind/bind.h"

/* The second searcher of `require`: a file on package.path, loaded as text. package.searchpath is the upvalue. */
static int search_text(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_getfield(L, lua_upvalueindex(2), "path");
  if (!lua_isstring(L, -1)) return luaL_error(L, "package.path must be a string");
  lua_call(L, 2, 2);                         /* name path-or-nil tried */
  if (lua_isnil(L, 2)) return 1;
  if (luaL_loadfilex(L, lua_tostring(L, 2), "t") == LUA_OK) {
    lua_pushvalue(L, 2);
    return 2;
  }
  return luaL_error(L, "cannot load module '%s' from %s:\n\t%s", lua_tostring(L, 1), lua_tostring(L, 2),
                    lua_tostring(L, -1));
}

/* load and loadfile with mode "t" unless a mode is given. Upvalues: the original, and which argument the mode is. */
static int load_text(lua_State *L) {
  int mode = (int)lua_tointeger(L, lua_upvalueindex(2));
  if (lua_isnoneornil(L, mode)) {
    if (lua_gettop(L) < mode) lua_settop(L, mode);
    lua_pushliteral(L, "t");
    lua_replace(L, mode);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int dofile_done(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

static int dofile_text(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (luaL_loadfilex(L, path, "t") != LUA_OK) return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, dofile_done);
  return dofile_done(L, LUA_OK, 0);
}

static void replace_loader(lua_State *L, const char *name, int mode) {
  lua_getglobal(L, name);
  lua_pushinteger(L, mode);
  lua_pushcclosure(L, load_text, 2);
  lua_setglobal(L, name);
}

void l_refuse_bytecode(lua_State *L) {
  replace_loader(L, "load", 3);
  replace_loader(L, "loadfile", 2);
  lua_pushcfunction(L, dofile_text);
  lua_setglobal(L, "dofile");
  lua_getglobal(L, LUA_LOADLIBNAME);         /* package */
  lua_getfield(L, -1, "searchers");          /* package searchers */
  lua_getfield(L, -2, "searchpath");
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, search_text, 2);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}
