/* Locks between processes as userdata: released when they are closed, collected, or the program ends. */
#include "base/lock.h"
#include "bind/bind.h"

#define L_LOCK "mnistlua.Lock"

static int lock_release(lua_State *L) {
  ml_lock *lock = luaL_testudata(L, 1, L_LOCK);
  if (!lock) return l_bad(L, 1, NULL, "a Lock");
  ml_lock_release(lock);
  return 0;
}

/* lock(path) -> Lock; or nil, message and, if another process has it, its number (0 if unknown) */
static int l_lock(lua_State *L) {
  ml_error err;
  long holder;
  lua_settop(L, 1);
  const char *path = l_text(L, 1, NULL);
  ml_lock *lock = lua_newuserdatauv(L, sizeof *lock, 0);
  lock->fd = -1;
  luaL_setmetatable(L, L_LOCK);
  if (ml_lock_take(lock, path, &holder, &err) == ML_OK) return 1;
  l_fail(L, &err);
  if (holder >= 0) lua_pushinteger(L, holder);
  else lua_pushnil(L);
  return 3;
}

/* lock_holder(path) -> the number of the process that has the lock (0 if unknown), nil if nobody has */
static int l_lock_holder(lua_State *L) {
  long holder;
  if (ml_lock_held(l_text(L, 1, NULL), &holder)) lua_pushinteger(L, holder);
  else lua_pushnil(L);
  return 1;
}

void l_open_lock(lua_State *L) {
  const luaL_Reg functions[] = { { "lock", l_lock }, { "lock_holder", l_lock_holder }, { NULL, NULL } };
  const luaL_Reg methods[] = { { "release", lock_release }, { NULL, NULL } };
  const luaL_Reg meta[] = { { "__gc", lock_release }, { "__close", lock_release }, { NULL, NULL } };
  l_new_type(L, L_LOCK, "Lock", meta, methods);
  l_add(L, L_CORE, functions);
}
