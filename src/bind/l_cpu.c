/* The processor as the Lua library sees it: threads, instruction sets, the precision of matrix products, measured
 * peaks, and what this program was built with. What to make of it is decided in Lua. */
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "bind/bind.h"
#include "kernels/kernels.h"
#include "kernels/peak.h"
#include "kernels/precision.h"

/* ---- threads ---- */

static int l_threads(lua_State *L) {
  ml_error err;
  if (!lua_isnoneornil(L, 1) && ml_pool_start((int)l_int(L, 1, NULL, 1, ML_MAX_THREADS), &err) != ML_OK)
    return l_fail(L, &err);
  lua_pushinteger(L, ml_pool_threads());
  return 1;
}

static int l_processors(lua_State *L) {
  lua_pushinteger(L, ml_pool_processors());
  return 1;
}

/* ---- instruction sets and precision ---- */

static int l_isa(lua_State *L) {
  lua_pushstring(L, ml_isa_name(ml_cpu_isa()));
  return 1;
}

static int l_best_isa(lua_State *L) {
  lua_pushstring(L, ml_isa_name(ml_cpu_best_isa()));
  return 1;
}

/* amx() -> whether bf16 runs on AMX, and why (not) in words */
static int l_amx(lua_State *L) {
  lua_pushboolean(L, ml_cpu_amx());
  lua_pushstring(L, ml_cpu_amx_status());
  return 2;
}

/* The number of the name at a stack index; name_of gives the known ones. */
static int choice(lua_State *L, int index, const char *what, const char *(*name_of)(int), int count) {
  const char *names[8] = { NULL };
  const char *given = l_text(L, index, what);
  for (int i = 0; i < count; i++) {
    names[i] = name_of(i);
    if (strcmp(given, names[i]) == 0) return i;
  }
  return l_raise(L, "unknown %s '%.40s'%s", what, given, l_suggest(L, given, names));
}

static const char *precision_name(int i) { return ml_precision_name((ml_precision)i); }

/* precision([name]) -> what it was: of all matrix products from now on */
static int l_precision(lua_State *L) {
  ml_precision was = ml_precision_in_use();
  if (!lua_isnoneornil(L, 1))
    ml_precision_use((ml_precision)choice(L, 1, "precision", precision_name, ML_PRECISION_COUNT));
  lua_pushstring(L, ml_precision_name(was));
  return 1;
}

/* ---- peaks ---- */

static const char *peak_name(int i) { return ml_peak_name((ml_peak_kind)i); }

static void release_block(void *content) { ml_free(*(void **)content); }

/* Pushes memory to read, written once; false if there is not as much. */
static bool push_memory(lua_State *L, ml_peak_memory *memory, size_t bytes) {
  void **block = l_guarded(L, sizeof *block, release_block);
  *block = ml_alloc(bytes);
  if (!*block) return false;
  ml_fill(*block, (int64_t)(bytes / sizeof(float)), 1.0f);
  *memory = (ml_peak_memory){ *block, bytes };
  return true;
}

typedef struct peak_options {
  ml_peak_kind kind;
  int threads;
  double seconds;
  size_t bytes;
} peak_options;

static peak_options read_peak_options(lua_State *L) {
  static const char *const names[] = { "kind", "threads", "seconds", "bytes", NULL };
  peak_options o = { .threads = ml_pool_threads(), .seconds = 0.1, .bytes = (size_t)1 << 28 };
  l_table(L, 1, NULL);
  l_options(L, 1, names);
  o.kind = (ml_peak_kind)choice(L, l_option(L, 1, "kind"), "kind", peak_name, ML_PEAK_COUNT);
  int threads = l_option(L, 1, "threads"), seconds = l_option(L, 1, "seconds"), bytes = l_option(L, 1, "bytes");
  if (!lua_isnil(L, threads)) o.threads = (int)l_int(L, threads, "threads", 1, ML_MAX_THREADS);
  if (!lua_isnil(L, seconds)) o.seconds = l_finite(L, seconds, "seconds");
  if (!lua_isnil(L, bytes)) o.bytes = (size_t)l_int(L, bytes, "bytes", (int64_t)1 << 24, (int64_t)1 << 34);
  if (!(o.seconds > 0 && o.seconds <= 60)) l_bad(L, seconds, "seconds", "a number above 0 and at most 60");
  return o;
}

/* peak{kind = "f32" | "amx" | "read", threads, seconds, bytes} -> best, median: FLOP/s, for "read" bytes/s of an array
 * of so many bytes; nil, why where there is no AMX */
static int l_peak(lua_State *L) {
  lua_settop(L, 1);
  peak_options o = read_peak_options(L);
  ml_peak_memory memory = { NULL, 0 };
  if (!ml_peak_possible(o.kind)) {
    lua_pushnil(L);
    lua_pushfstring(L, "AMX: %s", ml_cpu_amx_status());
    return 2;
  }
  if (o.kind == ML_PEAK_READ && !push_memory(L, &memory, o.bytes)) return l_raise(L, "out of memory");
  ml_peak peak = ml_peak_measure(o.kind, o.threads, o.seconds, memory);
  if (o.kind == ML_PEAK_READ) {
    l_release(L, -1);
    ml_memory_trim();   /* nobody else wants a block of that size */
  }
  lua_pushnumber(L, peak.best);
  lua_pushnumber(L, peak.median);
  return 2;
}

/* ---- the build ---- */

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

static const char *const build_options[] = {
#if defined(__OPTIMIZE__)
  "optimised",
#else
  "not optimised",
#endif
#if defined(_FORTIFY_SOURCE)
  "fortified",
#endif
#if defined(__SSP_STRONG__)
  "stack protector",
#endif
#if defined(__PIE__)
  "PIE",
#endif
#if defined(__CET__)
  "CET",
#endif
#if defined(__SANITIZE_ADDRESS__)
  "address sanitizer",
#endif
#if defined(__SANITIZE_THREAD__)
  "thread sanitizer",
#endif
};

/* build() -> { compiler, options (a list), lua } */
static int l_build(lua_State *L) {
  int count = (int)(sizeof build_options / sizeof *build_options);
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, COMPILER);
  lua_setfield(L, -2, "compiler");
  lua_pushliteral(L, LUA_RELEASE);
  lua_setfield(L, -2, "lua");
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, build_options[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "options");
  return 1;
}

void l_open_cpu(lua_State *L) {
  const luaL_Reg functions[] = {
    { "threads", l_threads }, { "processors", l_processors }, { "isa", l_isa },   { "best_isa", l_best_isa },
    { "amx", l_amx },         { "precision", l_precision },   { "peak", l_peak }, { "build", l_build },
    { NULL, NULL },
  };
  l_add(L, L_CORE, functions);
}
