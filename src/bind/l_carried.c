/* What a program carries behind itself (src/io/carried.h): Lua modules for `require`, pieces for the library, and
 * writing such a program. main.c calls l_carry before any module is loaded. */
#include <lualib.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "io/carried.h"

#define CARRIED_KEY "mnistlua.carried"
#define FOLDER "./lua"   /* what the carried library calls its own folder */

static const ml_carried *carried_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, CARRIED_KEY);
  const ml_carried *c = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return c;
}

/* carried(name) -> the piece, or nil */
static int l_carried(lua_State *L) {
  size_t size;
  const char *name = l_text(L, 1, NULL);
  const uint8_t *bytes = ml_carried_find(carried_of(L), name, &size);
  if (bytes) lua_pushlstring(L, (const char *)bytes, size);
  else lua_pushnil(L);
  return 1;
}

/* ---- require ---- */

/* A searcher: the module "a.b" is the piece "lua/a/b.lua" or "lua/a/b/init.lua". */
static int search_carried(lua_State *L) {
  static const char *const patterns[] = { "lua/%s.lua", "lua/%s/init.lua" };
  const char *module = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  for (int i = 0; i < 2; i++) {
    size_t size;
    const char *name = luaL_gsub(L, patterns[i], "%s", module);
    const uint8_t *bytes = ml_carried_find(carried_of(L), name, &size);
    if (!bytes) continue;
    const char *chunk = lua_pushfstring(L, "@./%s", name);
    if (luaL_loadbufferx(L, (const char *)bytes, size, chunk, "t") != LUA_OK) return lua_error(L);
    lua_pushstring(L, chunk + 1);
    return 2;
  }
  lua_pushfstring(L, "no carried module '%s'", luaL_checkstring(L, 1));
  return 1;
}

void l_carry(lua_State *L, const ml_carried *c) {
  l_set_library(L, FOLDER);
  lua_pushlightuserdata(L, (void *)(uintptr_t)c);
  lua_setfield(L, LUA_REGISTRYINDEX, CARRIED_KEY);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");                          /* package searchers */
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_carried);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 2);
}

/* ---- writing ---- */

static void release_block(void *content) { ml_free(*(void **)content); }

static void read_piece(lua_State *L, lua_Integer i, ml_piece *piece) {
  lua_rawgeti(L, 2, i);
  l_table(L, -1, "an entry of the list");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);                                     /* ... entry name bytes */
  piece->name = l_text(L, -2, "the name of a piece");
  if (lua_type(L, -1) != LUA_TSTRING) l_bad(L, -1, piece->name, "a string");
  piece->bytes = lua_tolstring(L, -1, &piece->size);
  lua_pop(L, 3);
}

/* write_program(path, list of {name, string}) -> true: this program, carrying these pieces. The list keeps the texts
 * alive. */
static int l_write_program(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  const char *path = l_text(L, 1, NULL);
  l_table(L, 2, NULL);
  int64_t count = (int64_t)lua_rawlen(L, 2);
  ml_piece **pieces = l_guarded(L, sizeof *pieces, release_block);
  *pieces = ml_calloc((size_t)count + 1, sizeof **pieces);
  if (!*pieces) return l_raise(L, "out of memory: a list of %lld pieces", (long long)count);
  for (int64_t i = 0; i < count; i++) read_piece(L, i + 1, &(*pieces)[i]);
  ml_status status = ml_carried_write(path, "/proc/self/exe", *pieces, count, &err);
  l_release(L, 3);
  if (status != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

void l_open_carried(lua_State *L) {
  const luaL_Reg always[] = { { "write_program", l_write_program }, { NULL, NULL } };
  const luaL_Reg carrying[] = { { "carried", l_carried }, { NULL, NULL } };
  l_add(L, L_CORE, always);
  if (carried_of(L)) l_add(L, L_CORE, carrying);
}
