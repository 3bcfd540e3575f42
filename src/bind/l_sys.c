/* What the Lua library needs from the system: time, terminal, files, signals, text for messages. Faults of the system
 * come back as nil, message. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/terminal.h"
#include "base/writer.h"
#include "bind/bind.h"

/* ---- signals: while they are held, the first one asks the trainer to stop; any other one stops the program ---- */

static volatile sig_atomic_t held, interrupts, last_signal;

/* Whatever runs, C or Lua, may be in the middle of something: only what is async-signal-safe happens here. */
static void on_signal(int number) {
  if (!held || interrupts > 0) {
    ml_writer_shut();
    _exit(128 + number);
  }
  interrupts = interrupts + 1;
  last_signal = number;
}

void l_install_signals(void) {
  static const int numbers[] = { SIGINT, SIGTERM };
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 2; i++) {
    bool ignored = sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    if (!ignored) sigaction(numbers[i], &action, NULL);   /* what nohup and background jobs ignore stays ignored */
  }
  signal(SIGPIPE, SIG_IGN);   /* a write tells these two as EPIPE and EFBIG */
  signal(SIGXFSZ, SIG_IGN);
}

/* hold_signals([bool]) -> what it was; false at start */
static int l_hold_signals(lua_State *L) {
  bool was = held != 0;
  held = l_flag(L, 1, NULL, was);
  lua_pushboolean(L, was);
  return 1;
}

/* interrupts([reset]) -> count, number of the last one */
static int l_interrupts(lua_State *L) {
  bool reset = l_flag(L, 1, NULL, false);
  lua_pushinteger(L, interrupts);
  lua_pushinteger(L, last_signal);
  if (reset) interrupts = 0;
  return 2;
}

/* raise_signal(number): what that signal does to this process, now */
static int l_raise_signal(lua_State *L) {
  raise((int)l_int(L, 1, NULL, 1, 64));
  return 0;
}

/* ---- time and terminal ---- */

static int push_seconds(lua_State *L, clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
  return 1;
}

static int l_clock(lua_State *L) { return push_seconds(L, CLOCK_MONOTONIC); }

static int l_wall_clock(lua_State *L) { return push_seconds(L, CLOCK_REALTIME); }

static int l_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)l_int(L, 1, NULL, 0, 1023)));
  return 1;
}

static int l_terminal_width(lua_State *L) {
  ml_terminal_size size;
  lua_pushinteger(L, ml_terminal_measure(&size) ? size.columns : 80);
  return 1;
}

/* terminal_size() -> columns, rows, a character's width and height in pixels (0: unknown); nil without a terminal */
static int l_terminal_size(lua_State *L) {
  ml_terminal_size size;
  if (!ml_terminal_measure(&size)) return 0;
  lua_pushinteger(L, size.columns);
  lua_pushinteger(L, size.rows);
  lua_pushinteger(L, size.cell_width);
  lua_pushinteger(L, size.cell_height);
  return 4;
}

/* terminal_ask(question, last, seconds) -> the terminal's answer up to the byte `last`; nil if there is none in time */
static int l_terminal_ask(lua_State *L) {
  char reply[256];
  const char *question = l_text(L, 1, NULL), *last = l_text(L, 2, NULL);
  double seconds = l_finite(L, 3, NULL);
  int milliseconds = seconds <= 0 ? 0 : seconds > 10 ? 10000 : (int)(seconds * 1000);
  size_t length = ml_terminal_ask(reply, sizeof reply, question, last[0], milliseconds);
  if (length == 0) return 0;
  lua_pushlstring(L, reply, length);
  return 1;
}

/* ---- files ---- */

static int done(lua_State *L, ml_status status, const ml_error *err) {
  if (status != ML_OK) return l_fail(L, err);
  lua_pushboolean(L, true);
  return 1;
}

static int l_exists(lua_State *L) {
  lua_pushboolean(L, ml_file_exists(l_text(L, 1, NULL)));
  return 1;
}

static int l_is_dir(lua_State *L) {
  lua_pushboolean(L, ml_file_is_dir(l_text(L, 1, NULL)));
  return 1;
}

static int l_same_file(lua_State *L) {
  lua_pushboolean(L, ml_file_same(l_text(L, 1, NULL), l_text(L, 2, NULL)));
  return 1;
}

static int l_make_dirs(lua_State *L) {
  ml_error err;
  return done(L, ml_make_dirs(l_text(L, 1, NULL), &err), &err);
}

static int l_check_writable(lua_State *L) {
  ml_error err;
  return done(L, ml_check_writable_dir(l_text(L, 1, NULL), &err), &err);
}

static int l_write_file(lua_State *L) {
  ml_error err;
  const char *path = l_text(L, 1, NULL);
  size_t size;
  if (lua_type(L, 2) != LUA_TSTRING) return l_bad(L, 2, NULL, "a string");
  const char *text = lua_tolstring(L, 2, &size);
  return done(L, ml_file_write(path, text, size, &err), &err);
}

static void release_block(void *content) { ml_free(*(void **)content); }

static int l_read_file(lua_State *L) {
  ml_error err;
  size_t size;
  const char *path = l_text(L, 1, NULL);
  int64_t most = lua_isnoneornil(L, 2) ? (int64_t)1 << 30 : l_int(L, 2, NULL, 0, INT64_MAX);
  lua_settop(L, 2);
  uint8_t **data = l_guarded(L, sizeof *data, release_block);
  if (ml_file_read(data, &size, path, (size_t)most, &err) != ML_OK) {
    *data = NULL;
    return l_fail(L, &err);
  }
  lua_pushlstring(L, (const char *)*data, size);
  l_release(L, 3);
  return 1;
}

typedef struct listing {
  struct dirent **entries;   /* from scandir */
  int count;
} listing;

static void release_listing(void *content) {
  listing *l = content;
  for (int i = 0; i < l->count; i++) free(l->entries[i]);
  free(l->entries);
}

static int not_dots(const struct dirent *entry) {
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* list_dir(path) -> the names in a folder, sorted, without "." and ".." */
static int l_list_dir(lua_State *L) {
  ml_error err;
  lua_settop(L, 1);
  const char *path = l_text(L, 1, NULL);
  listing *l = l_guarded(L, sizeof *l, release_listing);
  int count = scandir(path, &l->entries, not_dots, by_bytes);
  if (count < 0) {
    l->entries = NULL;
    ml_fail_errno(&err, errno, "%s", path);
    return l_fail(L, &err);
  }
  l->count = count;
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, l->entries[i]->d_name);
    lua_rawseti(L, -2, i + 1);
  }
  l_release(L, 2);
  return 1;
}

/* ---- text ---- */

static void add_escaped(luaL_Buffer *b, unsigned char c) {
  static const char digits[] = "0123456789abcdef";
  luaL_addstring(b, "\\x");
  luaL_addchar(b, digits[c >> 4]);
  luaL_addchar(b, digits[c & 15]);
}

/* Control bytes, and the control characters that UTF-8 writes as C2 80 to C2 9F, as \xNN. */
static int l_escape(lua_State *L) {
  size_t size;
  if (lua_type(L, 1) != LUA_TSTRING) return l_bad(L, 1, NULL, "a string");
  const unsigned char *text = (const unsigned char *)lua_tolstring(L, 1, &size);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < size; i++) {   /* one past the end is a zero byte */
    if (text[i] == 0xc2 && text[i + 1] >= 0x80 && text[i + 1] < 0xa0) {
      add_escaped(&b, text[i++]);
      add_escaped(&b, text[i]);
    } else if (text[i] < 0x20 || text[i] == 0x7f) {
      add_escaped(&b, text[i]);
    } else {
      luaL_addchar(&b, (char)text[i]);
    }
  }
  luaL_pushresult(&b);
  return 1;
}

static int l_where(lua_State *L) {
  l_push_where(L);
  return 1;
}

void l_open_sys(lua_State *L) {
  const luaL_Reg functions[] = {
    { "clock", l_clock },           { "isatty", l_isatty },         { "terminal_width", l_terminal_width },
    { "exists", l_exists },         { "is_dir", l_is_dir },         { "make_dirs", l_make_dirs },
    { "list_dir", l_list_dir },     { "check_writable", l_check_writable },
    { "write_file", l_write_file }, { "read_file", l_read_file },   { "interrupts", l_interrupts },
    { "escape", l_escape },         { "where", l_where },           { "hold_signals", l_hold_signals },
    { "wall_clock", l_wall_clock }, { "raise_signal", l_raise_signal },
    { "terminal_size", l_terminal_size }, { "terminal_ask", l_terminal_ask },
    { "same_file", l_same_file },   { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
