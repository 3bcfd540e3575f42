/* HTTP on this machine's own address as userdata, for lua/mnistlua/serve: whole requests come out as tables, answers go
 * in as texts. Which requests are let in is decided in Lua. */
#include <ctype.h>

#include "bind/bind.h"
#include "io/http.h"

#define L_HTTP "mnistlua.Http"

enum { MAX_HEADERS = 32 };   /* of an answer */

typedef struct http_box {
  ml_http *server;
  bool busy;   /* a request is being turned into Lua values, during which a finalizer may run */
} http_box;

static http_box *check_box(lua_State *L, int index) {
  http_box *box = luaL_testudata(L, index, L_HTTP);
  if (!box) l_bad(L, index, NULL, "an Http");
  if (box->busy) l_raise(L, "this Http is in use by the code that a finalizer interrupted");
  return box;
}

static ml_http *check_http(lua_State *L, int index) {
  http_box *box = check_box(L, index);
  if (!box->server) l_raise(L, "this Http has been closed");
  return box->server;
}

static int http_close(lua_State *L) {
  http_box *box = check_box(L, 1);
  ml_http *server = box->server;
  box->server = NULL;
  ml_http_stop(server);
  return 0;
}

static void release_box(void *content) {
  http_box *box = *(http_box **)content;
  if (box) box->busy = false;
}

static int64_t limit(lua_State *L, const char *name, int64_t otherwise, int64_t most) {
  int at = l_option(L, 2, name);
  int64_t value = lua_isnil(L, at) ? otherwise : l_int(L, at, name, 1, most);
  lua_pop(L, 1);
  return value;
}

/* http(port [, {body=, connections=, seconds=}]) -> Http; or nil, message and whether another program listens there */
static int l_http(lua_State *L) {
  static const char *const names[] = { "body", "connections", "seconds", NULL };
  ml_error err;
  bool in_use;
  lua_settop(L, 2);
  int port = (int)l_int(L, 1, "port", 0, 65535);
  l_options(L, 2, names);
  ml_http_limits limits = {
    .body = (size_t)limit(L, "body", 1 << 20, 1 << 30),
    .connections = (int)limit(L, "connections", 64, 1000),
    .seconds = (int)limit(L, "seconds", 20, 3600),
  };
  http_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (http_box){ .server = NULL };
  luaL_setmetatable(L, L_HTTP);
  if (ml_http_start(&box->server, port, &limits, &in_use, &err) == ML_OK) return 1;
  l_fail(L, &err);
  lua_pushboolean(L, in_use);
  return 3;
}

static int http_port(lua_State *L) {
  lua_pushinteger(L, ml_http_port(check_http(L, 1)));
  return 1;
}

/* h:poll(seconds) -> true; or nil, message */
static int http_poll(lua_State *L) {
  ml_error err;
  ml_http *server = check_http(L, 1);
  double seconds = l_finite(L, 2, NULL);
  int milliseconds = seconds <= 0 ? 0 : seconds > 3600 ? 3600000 : (int)(seconds * 1000 + 0.999);
  if (ml_http_poll(server, milliseconds, &err) != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* Headers by their names in small letters; those of one name are joined by ", ". */
static void push_headers(lua_State *L, const ml_http_request *request) {
  lua_createtable(L, 0, (int)request->header_count);                    /* headers */
  for (size_t i = 0; i < request->header_count; i++) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (const char *p = request->headers[i].name; *p; p++) luaL_addchar(&b, (char)tolower((unsigned char)*p));
    luaL_pushresult(&b);                                                /* headers name */
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TSTRING) {                             /* headers name earlier */
      lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), request->headers[i].value);
      lua_remove(L, -2);
    } else {
      lua_pop(L, 1);
      lua_pushstring(L, request->headers[i].value);
    }                                                                   /* headers name value */
    lua_rawset(L, -3);
  }
}

static void push_request(lua_State *L, const ml_http_request *request) {
  lua_createtable(L, 0, 4);                                             /* t */
  lua_pushstring(L, request->method);
  lua_setfield(L, -2, "method");
  lua_pushstring(L, request->target);
  lua_setfield(L, -2, "target");
  lua_pushlstring(L, request->body, request->size);
  lua_setfield(L, -2, "body");
  push_headers(L, request);
  lua_setfield(L, -2, "headers");
}

/* h:next() -> { method=, target=, headers=, body= }, nil if no request waits */
static int http_next(lua_State *L) {
  lua_settop(L, 1);
  http_box **held = l_guarded(L, sizeof *held, release_box);            /* h guard */
  const ml_http_request *request = ml_http_next(check_http(L, 1));
  *held = check_box(L, 1);
  (*held)->busy = true;
  if (request) push_request(L, request);
  else lua_pushnil(L);
  l_release(L, 2);
  return 1;
}

/* h:answer(status, { {name, value}, ... }, body) */
static int http_answer(lua_State *L) {
  ml_error err;
  ml_http_header headers[MAX_HEADERS];
  size_t size;
  lua_settop(L, 4);
  check_http(L, 1);
  int status = (int)l_int(L, 2, "status", 200, 599);
  l_table(L, 3, NULL);
  if (lua_type(L, 4) != LUA_TSTRING) return l_bad(L, 4, NULL, "a string");
  const char *body = lua_tolstring(L, 4, &size);
  size_t count = (size_t)lua_rawlen(L, 3);
  if (count > MAX_HEADERS) return l_raise(L, "expected at most %d headers, got %d", MAX_HEADERS, (int)count);
  luaL_checkstack(L, 3 * (int)count + 8, "headers");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 3, (lua_Integer)i + 1);
    l_table(L, -1, "a header");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);              /* ... header name value: they stay here until the answer is copied */
    headers[i] = (ml_http_header){ .name = l_text(L, -2, "a header's name"), .value = l_text(L, -1, "its value") };
  }
  if (ml_http_answer(check_http(L, 1), status, headers, count, body, size, &err) != ML_OK) return l_fail(L, &err);
  return 0;
}

void l_open_http(lua_State *L) {
  const luaL_Reg functions[] = { { "http", l_http }, { NULL, NULL } };
  const luaL_Reg methods[] = {
    { "port", http_port },     { "poll", http_poll },   { "next", http_next },
    { "answer", http_answer }, { "close", http_close }, { NULL, NULL },
  };
  const luaL_Reg meta[] = { { "__gc", http_close }, { "__close", http_close }, { NULL, NULL } };
  l_new_type(L, L_HTTP, "Http", meta, methods);
  l_add(L, L_CORE, functions);
}
