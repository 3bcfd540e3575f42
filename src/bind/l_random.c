/* Random numbers for scripts. Every fill is told apart by its number within its stream, so a draw depends on the seed
 * and on how many draws came before, and never on threads or time. The clock of dropout and noise is the training step
 * instead, so that a resumed run draws what the whole run would have drawn. */
#include "bind/bind.h"

static uint32_t seed;
static uint32_t script_draws, init_draws;
static uint32_t dropout_epoch, dropout_step, dropout_draws, noise_draws;

void l_dropout_clock(uint32_t epoch, uint32_t step) {
  dropout_epoch = epoch;
  dropout_step = step;
  dropout_draws = noise_draws = 0;
}

static ml_rng clocked_draw(ml_stream stream, uint32_t *draws) {
  ml_rng rng = ml_rng_make(seed, stream);
  rng.epoch = dropout_epoch;
  rng.step = dropout_step;
  rng.sample = (*draws)++;
  return rng;
}

ml_rng l_dropout_rng(void) { return clocked_draw(ML_STREAM_DROPOUT, &dropout_draws); }
ml_rng l_noise_rng(void) { return clocked_draw(ML_STREAM_NOISE, &noise_draws); }

static ml_rng next_draw(ml_stream stream, uint32_t *draws) {
  ml_rng rng = ml_rng_make(seed, stream);
  rng.sample = (*draws)++;
  return rng;
}

static int l_manual_seed(lua_State *L) {
  seed = l_seed(L, 1, NULL);
  script_draws = init_draws = 0;
  l_dropout_clock(0, 0);
  return 0;
}

uint32_t l_run_seed(void) { return seed; }

/* random_state() -> what a checkpoint keeps of the script's streams; random_state(state) restores it. */
static int l_random_state(lua_State *L) {
  static const char *const names[] = { "seed", "script", "init", "math_seed", "math_draws", NULL };
  l_math_place *math = l_math_state();
  if (!lua_isnoneornil(L, 1)) {
    uint32_t given[3];
    l_math_place place;
    l_options(L, 1, names);
    for (int i = 0; i < 3; i++) given[i] = l_seed(L, l_option(L, 1, names[i]), names[i]);
    place.seed = (uint64_t)l_int(L, l_option(L, 1, names[3]), names[3], INT64_MIN, INT64_MAX);
    place.draws = (uint64_t)l_int(L, l_option(L, 1, names[4]), names[4], 0, INT64_MAX);
    seed = given[0], script_draws = given[1], init_draws = given[2];
    *math = place;
  }
  const uint64_t values[] = { seed, script_draws, init_draws, math->seed, math->draws };
  lua_createtable(L, 0, 5);
  for (int i = 0; names[i]; i++) {
    lua_pushinteger(L, (lua_Integer)values[i]);
    lua_setfield(L, -2, names[i]);
  }
  return 1;
}

/* ---- rand(dims), randn(dims): the script's stream ---- */

static ml_tensor *new_f32(lua_State *L) {
  ml_shape shape;
  ml_error err;
  l_shape(L, 1, &shape, false);
  ml_tensor **box = l_box(L);
  *box = l_try_new(L, ML_F32, &shape, false, &err);
  if (!*box) l_fail(L, &err);
  return *box;
}

static int l_rand(lua_State *L) {
  ml_tensor *t = new_f32(L);
  ml_rng rng = next_draw(ML_STREAM_SCRIPT, &script_draws);
  ml_rng_uniform(t->f32, (size_t)ml_tensor_count(t), &rng, 0, 1);
  return 1;
}

static int l_randn(lua_State *L) {
  ml_tensor *t = new_f32(L);
  ml_rng rng = next_draw(ML_STREAM_SCRIPT, &script_draws);
  ml_rng_normal(t->f32, (size_t)ml_tensor_count(t), &rng, 0, 1);
  return 1;
}

/* ---- t:uniform_(low, high), t:normal_(mean, std): the stream of initial weights ---- */

typedef void (*fill_fn)(float *out, size_t n, ml_rng *rng, float a, float b);

static float bound(lua_State *L, int index, float otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  l_finite(L, index, NULL);
  return (float)l_value(L, index, NULL, ML_F32);
}

static int fill_random(lua_State *L, fill_fn fill, float a_default, float b_default) {
  ml_tensor *t = l_writable(L, 1);
  if (t->dtype != ML_F32) return l_bad(L, 1, NULL, "an f32 Tensor");
  float a = bound(L, 2, a_default), b = bound(L, 3, b_default);
  ml_rng rng = next_draw(ML_STREAM_INIT, &init_draws);
  fill(t->f32, (size_t)ml_tensor_count(t), &rng, a, b);
  ml_tensor_changed(t);
  lua_settop(L, 1);
  return 1;
}

static int l_uniform_(lua_State *L) { return fill_random(L, ml_rng_uniform, 0, 1); }
static int l_normal_(lua_State *L) { return fill_random(L, ml_rng_normal, 0, 1); }

void l_open_random(lua_State *L) {
  const luaL_Reg functions[] = {
    { "manual_seed", l_manual_seed }, { "random_state", l_random_state }, { "rand", l_rand }, { "randn", l_randn },
    { NULL, NULL },
  };
  const luaL_Reg methods[] = { { "uniform_", l_uniform_ }, { "normal_", l_normal_ }, { NULL, NULL } };
  l_add(L, L_CORE, functions);
  l_add(L, L_METHODS, methods);
}
