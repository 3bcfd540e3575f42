/* SQLite databases for lua/mnistlua/store: the types Database and Query. Faults come back as nil, message and a word
 * that says which kind (ml_db_fault); SQL that is none is a mistake and raised. A Query keeps its Database alive. */
#include <string.h>

#include "bind/bind.h"
#include "io/db.h"

#define L_DB "mnistlua.Database"
#define L_QUERY "mnistlua.Query"

static int db_fail(lua_State *L, const ml_db *db, const ml_error *err) {
  const char *kind = db ? ml_db_fault(db) : "other";
  l_fail(L, err);
  lua_pushstring(L, kind);
  return 3;
}

/* ---- Database ---- */

static ml_db *check_db(lua_State *L, int index) {
  ml_db **box = luaL_testudata(L, index, L_DB);
  if (!box) l_bad(L, index, NULL, "a Database");
  if (!*box) l_raise(L, "this Database has been closed");
  return *box;
}

static int db_close(lua_State *L) {
  ml_db **box = luaL_testudata(L, 1, L_DB);
  if (!box) return l_bad(L, 1, NULL, "a Database");
  ml_db *db = *box;
  *box = NULL;
  ml_db_close(db);
  return 0;
}

static ml_db_mode mode_of(lua_State *L, int index) {
  static const char *const names[] = { "create", "write", "read", "immutable" };
  static const ml_db_mode modes[] = { ML_DB_CREATE, ML_DB_WRITE, ML_DB_READ, ML_DB_IMMUTABLE };
  for (int i = 0; i < 4; i++) {
    if (lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), names[i]) == 0) return modes[i];
  }
  l_bad(L, index, "mode", "\"create\", \"write\", \"read\" or \"immutable\"");
  return ML_DB_READ;
}

/* db(path, mode, milliseconds to wait for other processes) */
static int l_db(lua_State *L) {
  ml_error err;
  lua_settop(L, 3);
  const char *path = l_text(L, 1, NULL);
  ml_db_mode mode = mode_of(L, 2);
  int busy = (int)l_int(L, 3, "busy", 0, INT32_MAX - 1);
  ml_db **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_DB);
  return ml_db_open(box, path, mode, busy, &err) == ML_OK ? 1 : db_fail(L, NULL, &err);
}

/* db:exec(sql) -> true */
static int db_exec(lua_State *L) {
  ml_error err;
  ml_db *db = check_db(L, 1);
  if (ml_db_exec(db, l_text(L, 2, NULL), &err) != ML_OK) return db_fail(L, db, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* db:query(sql) -> Query */
static int db_query(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  const char *sql = l_text(L, 2, NULL);
  ml_query **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  luaL_setmetatable(L, L_QUERY);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, 1);
  ml_db *db = check_db(L, 1);
  return ml_query_new(box, db, sql, &err) == ML_OK ? 1 : db_fail(L, db, &err);
}

/* ---- Query ---- */

static ml_query *check_query(lua_State *L, ml_db **db) {
  ml_query **box = luaL_testudata(L, 1, L_QUERY);
  if (!box) l_bad(L, 1, NULL, "a Query");
  if (!*box) l_raise(L, "this Query has been released");
  lua_getiuservalue(L, 1, 1);
  *db = check_db(L, -1);
  lua_pop(L, 1);
  return *box;
}

static int query_close(lua_State *L) {
  ml_query **box = luaL_testudata(L, 1, L_QUERY);
  if (!box) return l_bad(L, 1, NULL, "a Query");
  ml_query *query = *box;
  *box = NULL;
  ml_query_free(query);
  return 0;
}

/* Numbers, text and booleans are values; nil and false stand for NULL, true for 1. Text stays the script's. */
static ml_db_value read_value(lua_State *L, int index) {
  ml_db_value v = { .kind = ML_DB_NULL };
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
    v.kind = lua_isinteger(L, index) ? ML_DB_INTEGER : ML_DB_REAL;
    v.integer = lua_tointeger(L, index);
    v.real = lua_tonumber(L, index);
    return v;
  case LUA_TSTRING:
    v.kind = ML_DB_TEXT;
    v.text = lua_tolstring(L, index, &v.size);
    return v;
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, index)) v = (ml_db_value){ .kind = ML_DB_INTEGER, .integer = 1 };
    return v;
  case LUA_TNIL:
  case LUA_TNONE:
    return v;
  default:
    l_bad(L, index, NULL, "a number, text or nil");
    return v;
  }
}

static void push_value(lua_State *L, ml_db_value v) {
  switch (v.kind) {
  case ML_DB_INTEGER: lua_pushinteger(L, v.integer); break;
  case ML_DB_REAL: lua_pushnumber(L, v.real); break;
  case ML_DB_TEXT: lua_pushlstring(L, v.text, v.size); break;
  default: lua_pushnil(L); break;
  }
}

/* Binds the given arguments, from the second on, one for each parameter. */
static ml_status bind_arguments(lua_State *L, ml_query *q, int given, ml_error *err) {
  int count = ml_query_parameters(q);
  if (given > count) l_raise(L, "the query has %d parameters, got %d values", count, given);
  ml_query_reset(q);
  ml_status status = ML_OK;
  for (int i = 0; i < count && status == ML_OK; i++) {
    ml_db_value v = i < given ? read_value(L, i + 2) : (ml_db_value){ .kind = ML_DB_NULL };
    status = ml_query_bind(q, i, &v, err);
  }
  return status;
}

/* q:run(...) -> how many rows it changed */
static int query_run(lua_State *L) {
  ml_error err;
  ml_db *db;
  bool row = true;
  ml_query *q = check_query(L, &db);
  ml_status status = bind_arguments(L, q, lua_gettop(L) - 1, &err);
  while (status == ML_OK && row) status = ml_query_step(q, &row, &err);
  ml_query_reset(q);
  if (status != ML_OK) return db_fail(L, db, &err);
  lua_pushinteger(L, ml_db_changes(db));
  return 1;
}

static void release_query(void *content) { ml_query_free(*(ml_query **)content); }

/* q:rows(...) -> a list of tables by column, without those that are NULL. Making them may run a finalizer that closes
 * the query, so it is held meanwhile. */
static int query_rows(lua_State *L) {
  ml_error err;
  ml_db *db;
  bool row;
  const int columns = ml_query_columns(check_query(L, &db));
  luaL_checkstack(L, columns + 8, "columns");
  ml_query **held = l_guarded(L, sizeof *held, release_query);
  const int guard = lua_gettop(L);
  ml_query *q = *held = ml_query_ref(check_query(L, &db));
  ml_status status = bind_arguments(L, q, guard - 2, &err);
  lua_newtable(L);
  const int list = lua_gettop(L), names = list + 1;
  for (int i = 0; i < columns; i++) lua_pushstring(L, ml_query_column_name(q, i));
  for (lua_Integer n = 1; status == ML_OK; n++) {
    status = ml_query_step(q, &row, &err);
    if (status != ML_OK || !row) break;
    lua_createtable(L, 0, columns);
    for (int i = 0; i < columns; i++) {
      lua_pushvalue(L, names + i);
      push_value(L, ml_query_column(q, i));
      lua_rawset(L, -3);
    }
    lua_rawseti(L, list, n);
  }
  ml_query_reset(q);
  const int results = status == ML_OK ? 1 : db_fail(L, db, &err);
  l_release(L, guard);
  if (status == ML_OK) lua_settop(L, list);
  return results;
}

/* q:run_list(list, count) -> true: runs it for the values 1 to count of a list, as many at a time as it has parameters.
 * */
static int query_run_list(lua_State *L) {
  ml_error err;
  ml_db *db;
  bool row;
  ml_query *q = check_query(L, &db);
  l_table(L, 2, NULL);
  const lua_Integer count = l_int(L, 3, NULL, 0, INT64_MAX);
  const int parameters = ml_query_parameters(q);
  if (parameters == 0 || count % parameters != 0)
    return l_raise(L, "the query has %d parameters, got %lld values", parameters, (long long)count);
  ml_query_reset(q);
  ml_status status = ML_OK;
  for (lua_Integer at = 1; at <= count && status == ML_OK; at += parameters) {
    for (int i = 0; i < parameters && status == ML_OK; i++) {
      lua_rawgeti(L, 2, at + i);
      ml_db_value v = read_value(L, -1);
      status = ml_query_bind(q, i, &v, &err);
      lua_pop(L, 1);
    }
    if (status == ML_OK) status = ml_query_step(q, &row, &err);
    ml_query_reset(q);
  }
  if (status != ML_OK) return db_fail(L, db, &err);
  lua_pushboolean(L, true);
  return 1;
}

void l_open_db(lua_State *L) {
  const luaL_Reg functions[] = { { "db", l_db }, { NULL, NULL } };
  const luaL_Reg methods[] = { { "exec", db_exec }, { "query", db_query }, { "close", db_close }, { NULL, NULL } };
  const luaL_Reg meta[] = { { "__gc", db_close }, { "__close", db_close }, { NULL, NULL } };
  const luaL_Reg query_methods[] = {
    { "run", query_run }, { "rows", query_rows }, { "run_list", query_run_list }, { "close", query_close },
    { NULL, NULL },
  };
  const luaL_Reg query_meta[] = { { "__gc", query_close }, { NULL, NULL } };
  l_new_type(L, L_DB, "Database", meta, methods);
  l_new_type(L, L_QUERY, "Query", query_meta, query_methods);
  l_add(L, L_CORE, functions);
}
