/* Opens the module `mnistlua.core`: one table of functions, and the types Tensor, Dataset and Loader. main.c puts
 * luaopen_mnistlua_core into package.preload; lua/mnistlua gives scripts its shape. */
#include "bind/bind.h"

int luaopen_mnistlua_core(lua_State *L) {
  lua_settop(L, 0);
  lua_newtable(L);                           /* L_CORE: the module */
  lua_newtable(L);                           /* L_METHODS: of Tensor */
  l_open_memory(L);
  l_open_tensor(L);
  l_open_make(L);
  l_open_inplace(L);
  l_open_random(L);
  l_open_ops(L);
  l_open_grad(L);
  l_open_scope(L);
  l_open_optim(L);
  l_open_weights(L);
  l_open_dataset(L);
  l_open_images(L);
  l_open_loader(L);
  l_open_augment(L);
  l_open_io(L);
  l_open_carried(L);
  l_open_json(L);
  l_open_db(L);
  l_open_embed(L);
  l_open_sys(L);
  l_open_lock(L);
  l_open_editor(L);
  l_open_http(L);
  l_open_process(L);
  l_open_cpu(L);
  lua_pushliteral(L, "0.1.0");
  lua_setfield(L, L_CORE, "version");
  l_push_root(L);
  lua_setfield(L, L_CORE, "root");
  lua_settop(L, L_CORE);
  return 1;
}
