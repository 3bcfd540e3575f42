/* Lua's collector and native memory. A Tensor looks like 8 bytes to Lua, whatever it holds, so boxes that are garbage
 * would pile up: the bindings that make one ask here first whether a collection is due. */
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"

/* A collection is due when native memory has grown by half and SLACK since the last one. What a training step computes
 * is given back when the step ends, so training in its steady state stays below the mark. */
#define SLACK ((uint64_t)32 << 20)

#define PROBE_BYTES 512

enum { BOXES_TOLD = 64, BOX_BYTES = sizeof(ml_tensor) + sizeof(ml_storage) };

static uint64_t due_at = SLACK;

/* Lua needs some bytes to call a finalizer. One that it cannot call is never called again, and its tensor is lost; so
 * where there are none at all, nothing is collected. */
static bool can_call_finalizers(void) {
  void *probe = ml_small_alloc(PROBE_BYTES);
  ml_small_free(probe, PROBE_BYTES);
  return probe != NULL;
}

void l_collect(lua_State *L) {
  if (can_call_finalizers()) lua_gc(L, LUA_GCCOLLECT);   /* does nothing inside a finalizer */
  uint64_t live = ml_memory_get_stats().live_bytes;
  due_at = live + live / 2 + SLACK;
}

/* The small blocks behind a box (the tensor, its storage's head) stay until the box is collected, also where the
 * storage itself is given back with its step. Lua's own pace is told of them, some boxes at a time. */
static void tell_pace(lua_State *L) {
  static unsigned boxes;
  if (++boxes % BOXES_TOLD != 0 || lua_gc(L, LUA_GCISRUNNING) != 1) return;
  lua_gc(L, LUA_GCSTEP, BOXES_TOLD * BOX_BYTES / 1024);
}

void l_collect_if_due(lua_State *L) {
  if (ml_memory_get_stats().live_bytes >= due_at) l_collect(L);
  else tell_pace(L);
}

ml_tensor *l_try_new(lua_State *L, ml_dtype dtype, const ml_shape *shape, bool zeros, ml_error *err) {
  ml_tensor *(*make)(ml_dtype, const ml_shape *, ml_error *) = zeros ? ml_tensor_zeros : ml_tensor_new;
  ml_tensor *t = make(dtype, shape, err);
  if (t || err->status != ML_NOMEM) return t;
  l_collect(L);
  return make(dtype, shape, err);
}

/* ---- guarded userdata ---- */

#define GUARD "mnistlua.guard"

typedef struct guard {
  void (*release)(void *content);
  uint64_t content[];
} guard;

void *l_guarded(lua_State *L, size_t size, void (*release)(void *content)) {
  guard *g = lua_newuserdatauv(L, sizeof *g + size, 0);
  memset(g, 0, sizeof *g + size);
  g->release = release;
  luaL_setmetatable(L, GUARD);
  return g->content;
}

void l_release(lua_State *L, int index) {
  guard *g = luaL_checkudata(L, index, GUARD);
  void (*release)(void *content) = g->release;
  g->release = NULL;
  if (release) release(g->content);
}

static int guard_gc(lua_State *L) {
  l_release(L, 1);
  return 0;
}

/* ---- memory() ---- */

static int l_memory(lua_State *L) {
  ml_memory_stats s = ml_memory_get_stats();
  const struct { const char *name; uint64_t value; } counters[] = {
    { "live", s.live_bytes },           { "live_blocks", s.live_blocks }, { "peak", s.peak_bytes },
    { "cached", s.cached_bytes },       { "allocations", s.allocations }, { "system_calls", s.system_calls },
  };
  lua_createtable(L, 0, sizeof counters / sizeof *counters);
  for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
    lua_pushinteger(L, (lua_Integer)counters[i].value);
    lua_setfield(L, -2, counters[i].name);
  }
  return 1;
}

/* For tests: allocation n from now and all later ones fail, until called with 0. */
static int l_fail_allocations(lua_State *L) {
  ml_memory_fail_from((uint64_t)l_int(L, 1, NULL, 0, INT64_MAX));
  return 0;
}

void l_open_memory(lua_State *L) {
  const luaL_Reg meta[] = { { "__gc", guard_gc }, { NULL, NULL } };
  const luaL_Reg functions[] = { { "memory", l_memory }, { "fail_allocations", l_fail_allocations }, { NULL, NULL } };
  l_new_type(L, GUARD, "guard", meta, NULL);
  l_add(L, L_CORE, functions);
}
