/* JSON of strangers as Lua values, read by jansson: json_decode, for results that were kept and for the headers of
 * foreign files. Size, number of values and depth are limited before or while anything is built. It never writes JSON
 * (lua/mnistlua/json.lua does) and opens no file. */
#include <jansson.h>

#include "bind/bind.h"

enum {
  MAX_SIZE = 64 << 20,   /* bytes of text */
  MAX_VALUES = 2000000,  /* an upper bound on jansson's memory: some 100 bytes each */
  MAX_DEPTH = 64
};

/* How many values the text holds at most, without looking inside strings. Exact for text that is JSON. */
static size_t count_values(const char *text, size_t size) {
  size_t count = 1;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    if (quoted && text[i] == '\\') i++;
    else if (text[i] == '"') quoted = !quoted;
    else if (!quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{')) count++;
  }
  return count;
}

static bool push_value(lua_State *L, const json_t *value, int depth);

static bool push_array(lua_State *L, const json_t *array, int depth) {
  size_t size = json_array_size(array);
  lua_createtable(L, (int)size, 0);                                       /* t */
  for (size_t i = 0; i < size; i++) {
    if (!push_value(L, json_array_get(array, i), depth)) return false;    /* t v */
    lua_rawseti(L, -2, (lua_Integer)i + 1);                               /* t */
  }
  return true;
}

static bool push_object(lua_State *L, json_t *object, int depth) {
  lua_createtable(L, 0, (int)json_object_size(object));                   /* t */
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
    lua_pushstring(L, json_object_iter_key(at));                          /* t k */
    if (!push_value(L, json_object_iter_value(at), depth)) return false;  /* t k v */
    lua_rawset(L, -3);                                                    /* t */
  }
  return true;
}

/* Pushes one value; false if it nests too deep (then some of it is on the stack). */
static bool push_value(lua_State *L, const json_t *value, int depth) {
  luaL_checkstack(L, 4, "JSON");
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    return depth < MAX_DEPTH && push_object(L, (json_t *)value, depth + 1);
  case JSON_ARRAY:
    return depth < MAX_DEPTH && push_array(L, value, depth + 1);
  case JSON_STRING:
    lua_pushlstring(L, json_string_value(value), json_string_length(value));
    return true;
  case JSON_INTEGER:
    lua_pushinteger(L, json_integer_value(value));
    return true;
  case JSON_REAL:
    lua_pushnumber(L, json_real_value(value));
    return true;
  case JSON_TRUE:
  case JSON_FALSE:
    lua_pushboolean(L, json_is_true(value));
    return true;
  default:
    lua_pushnil(L);
    return true;
  }
}

static int refuse(lua_State *L, const char *fmt, ...) {
  va_list args;
  luaL_pushfail(L);
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  return 2;
}

static void release_json(void *content) { json_decref(*(json_t **)content); }

/* json_decode(text) -> the value, or nil, message. null is nil: a key that is missing, a hole in a list. */
static int l_json_decode(lua_State *L) {
  size_t size;
  json_error_t fault;
  if (lua_type(L, 1) != LUA_TSTRING) return l_bad(L, 1, NULL, "a string");
  lua_settop(L, 1);
  const char *text = lua_tolstring(L, 1, &size);
  if (size > MAX_SIZE) return refuse(L, "%I bytes; JSON is read up to %d", (lua_Integer)size, (int)MAX_SIZE);
  if (count_values(text, size) > MAX_VALUES) return refuse(L, "more than the %d values that are read", (int)MAX_VALUES);
  json_t **root = l_guarded(L, sizeof *root, release_json);               /* text guard */
  *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
  if (!*root) return refuse(L, "line %d, column %d: %s", fault.line, fault.column, fault.text);
  if (!push_value(L, *root, 0)) return refuse(L, "nests deeper than %d levels", (int)MAX_DEPTH);
  l_release(L, 2);
  return 1;
}

void l_open_json(lua_State *L) {
  const luaL_Reg functions[] = { { "json_decode", l_json_decode }, { NULL, NULL } };
  l_add(L, L_CORE, functions);
}
