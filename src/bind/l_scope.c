/* scope(f, ...): what operations and loaders produce while f runs expires when it returns, as at the end of a training
 * step. An evaluation inside a step uses it to give memory back batch by batch. What f makes by itself (zeros, tensor,
 * clone) stays. */
#include "bind/bind.h"

#define SCOPE "mnistlua.scope"           /* the type of a list of tensors */
#define INNERMOST "mnistlua.innermost"   /* such a list in the registry, or nil */

static int open_scopes;

void l_scope_add(lua_State *L) {
  if (open_scopes == 0) return;
  lua_getfield(L, LUA_REGISTRYINDEX, INNERMOST);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

static int scope_close(lua_State *L) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    ml_tensor **box = lua_touserdata(L, -1);
    if (*box) ml_tensor_expire(*box);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "outer");
  lua_setfield(L, LUA_REGISTRYINDEX, INNERMOST);
  open_scopes--;
  return 0;
}

/* scope(f, ...) -> what f returns. f cannot yield. */
static int l_scope(lua_State *L) {
  if (!lua_isfunction(L, 1)) return l_bad(L, 1, NULL, "a function");
  lua_newtable(L);                           /* f ... list */
  lua_getfield(L, LUA_REGISTRYINDEX, INNERMOST);
  lua_setfield(L, -2, "outer");
  luaL_setmetatable(L, SCOPE);
  lua_insert(L, 1);                          /* list f ... */
  lua_pushvalue(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, INNERMOST);
  open_scopes++;
  lua_toclose(L, 1);                         /* also when f raises */
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

void l_open_scope(lua_State *L) {
  const luaL_Reg meta[] = { { "__close", scope_close }, { NULL, NULL } };
  const luaL_Reg functions[] = { { "scope", l_scope }, { NULL, NULL } };
  l_new_type(L, SCOPE, "scope", meta, NULL);
  l_add(L, L_CORE, functions);
}
