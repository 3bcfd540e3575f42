/* Child processes as userdata, for commands that run other commands. One that is closed or collected is killed if it
 * has not ended by itself. */
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "bind/bind.h"

#define L_PROCESS "mnistlua.Process"

enum { MAX_WORDS = 4096, MAX_READ = 1 << 16 };

static ml_process *process_at(lua_State *L, int index) {
  ml_process *p = luaL_testudata(L, index, L_PROCESS);
  if (!p) l_bad(L, index, NULL, "a Process");
  return p;
}

static void release_words(void *content) { ml_free(*(void **)content); }

/* spawn(path, {word, ...}) -> Process; the words begin with the program's name. Or nil, message. */
static int l_spawn(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  const char *path = l_text(L, 1, NULL);
  l_table(L, 2, NULL);
  lua_Unsigned count = lua_rawlen(L, 2);
  if (count < 1 || count > MAX_WORDS) return l_raise(L, "expected 1 to %d words, got %d", MAX_WORDS, (int)count);
  ml_process *p = lua_newuserdatauv(L, sizeof *p, 0);              /* path words p */
  *p = (ml_process){ .streams = { -1, -1 } };
  luaL_setmetatable(L, L_PROCESS);
  const char ***words = l_guarded(L, sizeof *words, release_words); /* path words p block */
  *words = ml_alloc((size_t)(count + 1) * sizeof **words);
  if (!*words) return luaL_error(L, "out of memory");
  luaL_checkstack(L, (int)count + 8, "words");
  for (lua_Unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);                         /* ... word: stays here until it is started */
    (*words)[i] = l_text(L, -1, "a word of the command");
  }
  (*words)[count] = NULL;
  ml_status status = ml_process_start(p, path, *words, &err);
  lua_settop(L, 4);
  l_release(L, 4);
  if (status != ML_OK) return l_fail(L, &err);
  lua_pushvalue(L, 3);
  return 1;
}

/* wait_processes({Process, ...}, seconds) -> true; or nil, message */
static int l_wait_processes(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  l_table(L, 1, NULL);
  double seconds = l_finite(L, 2, NULL);
  size_t count = (size_t)lua_rawlen(L, 1);
  ml_process ***list = l_guarded(L, sizeof *list, release_words);
  *list = ml_alloc((count + 1) * sizeof **list);
  if (!*list) return luaL_error(L, "out of memory");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    (*list)[i] = process_at(L, -1);
    lua_pop(L, 1);                                                  /* the table keeps it */
  }
  int milliseconds = seconds <= 0 ? 0 : seconds > 3600 ? 3600000 : (int)(seconds * 1000 + 0.999);
  ml_status status = ml_process_wait(*list, count, milliseconds, &err);
  l_release(L, 3);
  if (status != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* p:read("out" | "err") -> text, "" if there is nothing at the moment; nil at the stream's end */
static int process_read(lua_State *L) {
  ml_process *p = process_at(L, 1);
  const char *name = l_text(L, 2, NULL);
  if (strcmp(name, "out") != 0 && strcmp(name, "err") != 0) return l_bad(L, 2, NULL, "\"out\" or \"err\"");
  int stream = name[0] == 'o' ? ML_PROCESS_OUT : ML_PROCESS_ERR;
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, MAX_READ);
  size_t got = ml_process_read(p, stream, to, MAX_READ);
  luaL_pushresultsize(&b, got);
  if (got == 0 && p->streams[stream] < 0) lua_pushnil(L);
  return 1;
}

/* p:ended() -> its exit code, or 128 + the signal that ended it; nil while it runs */
static int process_ended(lua_State *L) {
  ml_process *p = process_at(L, 1);
  if (ml_process_has_ended(p)) lua_pushinteger(L, p->code);
  else lua_pushnil(L);
  return 1;
}

static int process_pid(lua_State *L) {
  lua_pushinteger(L, process_at(L, 1)->pid);
  return 1;
}

/* p:stop() asks it to end, by SIGTERM; p:close() makes it */
static int process_stop(lua_State *L) {
  ml_process_signal(process_at(L, 1), SIGTERM);
  return 0;
}

static int process_close(lua_State *L) {
  ml_process_close(process_at(L, 1));
  return 0;
}

void l_open_process(lua_State *L) {
  const luaL_Reg functions[] = { { "spawn", l_spawn }, { "wait_processes", l_wait_processes }, { NULL, NULL } };
  const luaL_Reg methods[] = {
    { "read", process_read }, { "ended", process_ended }, { "pid", process_pid },
    { "stop", process_stop }, { "close", process_close }, { NULL, NULL },
  };
  const luaL_Reg meta[] = { { "__gc", process_close }, { "__close", process_close }, { NULL, NULL } };
  l_new_type(L, L_PROCESS, "Process", meta, methods);
  l_add(L, L_CORE, functions);
}
