/* The program: prepares the machine (instruction set, threads, signals), makes a Lua state, finds the folder lua/ and
 * hands over to mnistlua.cli, whose main returns the exit code. What a user sees of errors that nobody caught is
 * printed here. No option is read and no policy decided in this file. */
#include <errno.h>
#include <fcntl.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "bind/bind.h"
#include "io/carried.h"
#include "ops/tape.h"

#ifndef PREFIX
#define PREFIX "/usr/local"
#endif

enum { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

/* ---- messages ---- */

/* Control bytes, which may come from a file's name, as \xNN; lines stay lines. */
static void put_escaped(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) fprintf(stderr, "\\x%02x", c);
    else putc(c, stderr);
  }
}

static int fail(int code, const char *message) {
  fflush(stdout);
  fputs("mnistlua: error: ", stderr);
  put_escaped(message, strlen(message));
  putc('\n', stderr);
  return code;
}

typedef struct warnings {
  bool off, continued;
} warnings;

/* warn() in a script, and errors in its finalizers. A message may come in pieces; warn("@off") and "@on" switch. */
static void warn_piece(void *ud, const char *message, int more) {
  warnings *w = ud;
  bool control = !w->continued && !more && *message == '@';
  if (control && strcmp(message, "@off") == 0) w->off = true;
  if (control && strcmp(message, "@on") == 0) w->off = false;
  if (control || w->off) return;
  if (!w->continued) fputs("mnistlua: warning: ", stderr);
  put_escaped(message, strlen(message));
  if (!more) putc('\n', stderr);
  w->continued = more != 0;
}

/* ---- memory ---- */

static size_t rounded(size_t size) { return (size + 15) / 16 * 16; }

/* Lua's allocator. A block is resized in place where its rounded size stays. Lua 5.4 survives a NULL on shrinking. */
static void *lua_memory(void *ud, void *block, size_t old_size, size_t new_size) {
  (void)ud;
  if (!block) return new_size > 0 ? ml_small_alloc(rounded(new_size)) : NULL;
  if (new_size > 0 && rounded(new_size) == rounded(old_size)) return block;
  void *moved = new_size > 0 ? ml_small_alloc(rounded(new_size)) : NULL;
  if (!moved && new_size > 0) return NULL;
  if (moved) memcpy(moved, block, old_size < new_size ? old_size : new_size);
  ml_small_free(block, rounded(old_size));
  return moved;
}

/* ---- the folder lua/ ---- */

static bool holds_library(const char *dir) {
  char path[4200];
  return snprintf(path, sizeof path, "%s/mnistlua", dir) < (int)sizeof path && ml_file_is_dir(path);
}

/* "<folder of the program>/lua" into text; false if the system does not tell. */
static bool beside_program(char *text, size_t size) {
  char program[4096];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return false;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash) *slash = '\0';
  return snprintf(text, size, "%s/lua", program) < (int)size;
}

static bool find_library(char *text, size_t size) {
  const char *given = getenv("MNISTLUA_LUA");
  if (given && *given) return snprintf(text, size, "%s", given) < (int)size && holds_library(text);
  if (beside_program(text, size) && holds_library(text)) return true;
  return snprintf(text, size, "%s/share/mnistlua/lua", PREFIX) < (int)size && holds_library(text);
}

static void open_library(lua_State *L, const char *dir) {
  l_set_library(L, dir);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
}

/* ---- running Lua ---- */

static int text_of_error(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* The error value as text, whatever it is, and the stack at the place of the error. */
static int add_traceback(lua_State *L) {
  const char *type = luaL_typename(L, 1);
  bool has_text = lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL;
  lua_settop(L, 1);
  if (has_text) {
    lua_pushcfunction(L, text_of_error);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) has_text = false;
  }
  if (!has_text) lua_pushfstring(L, "(the error is a %s value)", type);
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

static void open_libraries(lua_State *L) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_mnistlua_core);
  lua_setfield(L, -2, "mnistlua.core");
  lua_settop(L, 0);
  l_replace_random(L);
  l_refuse_bytecode(L);
}

static void push_arguments(lua_State *L, int argc, char **argv) {
  lua_createtable(L, argc > 0 ? argc - 1 : 0, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
}

typedef struct program {
  int argc;
  char **argv;
  char library[4096];     /* the folder lua/, or */
  ml_carried carried;     /* what the program's file holds besides the program: then lua/ is in it */
} program;

static int run(lua_State *L) {
  const program *p = lua_touserdata(L, 1);
  open_libraries(L);
  if (p->carried.block) l_carry(L, &p->carried);
  else open_library(L, p->library);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "mnistlua.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  push_arguments(L, p->argc, p->argv);
  lua_call(L, 1, 1);
  if (!lua_isinteger(L, -1))
    return luaL_error(L, "mnistlua.cli: main returned a %s, not an exit code", luaL_typename(L, -1));
  return 1;
}

/* A system that does not show the program its own file has nothing to carry. */
static int open_program(program *p) {
  ml_error err;
  if (ml_file_exists("/proc/self/exe") && ml_carried_read(&p->carried, "/proc/self/exe", &err) != ML_OK)
    return fail(EXIT_RUNTIME, err.message);
  if (!p->carried.block && !find_library(p->library, sizeof p->library))
    return fail(EXIT_RUNTIME, "cannot find the folder mnistlua of Lua files in $MNISTLUA_LUA, in lua/ beside the "
                              "program or in " PREFIX "/share/mnistlua/lua");
  return EXIT_OK;
}

/* A collection begins when Lua's memory has grown to this many percent of what the last one left, the library's own
 * functions and tables above all, which each one walks: some megabytes more make a small step or a picture cheaper. */
#define GC_PAUSE 400

static int run_state(program *p) {
  warnings w = { .off = false };
  lua_State *L = lua_newstate(lua_memory, NULL);
  if (!L) return fail(EXIT_RUNTIME, "out of memory");
  lua_setwarnf(L, warn_piece, &w);
  lua_gc(L, LUA_GCINC, GC_PAUSE, 0, 0);
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, p);
  int status = lua_pcall(L, 1, 1, 1);
  const char *message = status == LUA_OK ? NULL : lua_tostring(L, -1);
  int code = message || status != LUA_OK ? fail(EXIT_RUNTIME, message ? message : "(the error is not a text)")
                                         : (int)(lua_tointeger(L, -1) & 0xff);
  ml_step_end();
  lua_close(L);
  return code;
}

/* ---- the process ---- */

/* If standard input, output or error were closed, the next file opened would get their number, and log text would land
 * in it. */
static void open_standard_files(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) _exit(1);
  }
}

static int flush_output(int code) {
  bool failed_before = ferror(stdout) != 0;   /* then the reason is no longer known */
  bool flushed = fflush(stdout) == 0;
  if (flushed && !failed_before) return code;
  char message[128];
  snprintf(message, sizeof message, "cannot write to standard output%s%s", flushed ? "" : ": ",
           flushed ? "" : strerror(errno));
  fail(EXIT_RUNTIME, message);
  return code == EXIT_OK ? EXIT_RUNTIME : code;
}

int main(int argc, char **argv) {
  ml_error err;
  open_standard_files();
  l_install_signals();
  if (ml_cpu_init(&err) != ML_OK) return fail(EXIT_USAGE, err.message);
  if (ml_pool_start(ml_pool_processors(), &err) != ML_OK) return fail(EXIT_RUNTIME, err.message);
  program p = { .argc = argc, .argv = argv };
  int code = open_program(&p);
  if (code == EXIT_OK) code = run_state(&p);
  code = flush_output(code);
  ml_carried_clear(&p.carried);
  ml_pool_stop();
  ml_memory_trim();
  return code;
}
