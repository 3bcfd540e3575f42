/* Between l_ops.c and l_attrs.c: the operations that need a function of their own. */
#ifndef ML_BIND_OPS_H
#define ML_BIND_OPS_H

#include "bind/bind.h"

/* By the operation's name. The operation itself is the function's first upvalue. */
extern const luaL_Reg l_attrs[];
void l_open_attrs(lua_State *L);   /* what is no operation of its own: flatten */

static inline const ml_op *l_this_op(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

#endif
