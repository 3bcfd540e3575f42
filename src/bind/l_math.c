/* math.random and math.randomseed, in place of Lua's own, whose state nobody can ask for: here a number is a function
 * of the seed and of how many numbers were drawn before it, so a checkpoint keeps two integers. Called as Lua's are.
 * Where Lua's randomseed would take the clock, this one takes the run's seed. */
#include <lualib.h>
#include <string.h>

#include "bind/bind.h"

static l_math_place place;

l_math_place *l_math_state(void) { return &place; }

/* The next draw's generator; a draw that needs several blocks takes them from it. */
static ml_rng next_draw(void) {
  ml_rng rng = ml_rng_make((uint32_t)place.seed, ML_STREAM_MATH);
  rng.epoch = (uint32_t)(place.seed >> 32);
  rng.step = (uint32_t)(place.draws >> 32);
  rng.sample = (uint32_t)place.draws;
  place.draws++;
  return rng;
}

static uint64_t next_bits(ml_rng *rng) {
  uint32_t block[4];
  ml_rng_next(block, rng);
  return (uint64_t)block[0] << 32 | block[1];
}

/* Uniform in 0..most, by rejection. */
static uint64_t bounded(uint64_t most) {
  ml_rng rng = next_draw();
  uint64_t mask = most;
  for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
  uint64_t x;
  do x = next_bits(&rng) & mask;
  while (x > most);
  return x;
}

/* random() in [0, 1); random(0), any integer; random(m) in 1..m; random(m, n) in m..n */
static int l_math_random(lua_State *L) {
  lua_Integer low = 1, high;
  int count = lua_gettop(L);
  if (count == 0) {
    ml_rng rng = next_draw();
    lua_pushnumber(L, (lua_Number)(next_bits(&rng) >> 11) * 0x1p-53);
    return 1;
  }
  if (count > 2) return luaL_error(L, "wrong number of arguments");
  high = luaL_checkinteger(L, count);
  if (count == 2) low = luaL_checkinteger(L, 1);
  if (count == 1 && high == 0) {
    ml_rng rng = next_draw();
    lua_pushinteger(L, (lua_Integer)next_bits(&rng));
    return 1;
  }
  luaL_argcheck(L, low <= high, count, "interval is empty");
  lua_pushinteger(L, (lua_Integer)((uint64_t)low + bounded((uint64_t)high - (uint64_t)low)));
  return 1;
}

/* A number as a seed: a whole one by its value, any other by its bits. */
static uint64_t seed_of(lua_State *L, int index) {
  lua_Integer whole;
  lua_Number number = luaL_checknumber(L, index);
  uint64_t bits;
  int is_whole;
  whole = lua_tointegerx(L, index, &is_whole);
  if (is_whole) return (uint64_t)whole;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

/* randomseed([x [, y]]) */
static int l_math_randomseed(lua_State *L) {
  uint64_t seed = lua_isnone(L, 1) ? l_run_seed() : seed_of(L, 1);
  if (!lua_isnoneornil(L, 2)) seed ^= seed_of(L, 2) * 0x9e3779b97f4a7c15u;
  place = (l_math_place){ .seed = seed };
  return 0;
}

void l_replace_random(lua_State *L) {
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_pushcfunction(L, l_math_random);
  lua_setfield(L, -2, "random");
  lua_pushcfunction(L, l_math_randomseed);
  lua_setfield(L, -2, "randomseed");
  lua_pop(L, 1);
}
