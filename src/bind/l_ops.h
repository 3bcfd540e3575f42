/* Between l_ops.c and l_attrs.c: the operations that need a function of their own. */
#ifndef ML_BIND_OPS_H
#define ML_BIND_OPS_H

#include "bind/bind.h"

/* By the operation's name. The operation itself is the function's first upvalue. */
extern const luaL_Reg l_attrs[];
void l_open_attrs(lua_State *L);   /* what is no operation of its own: flatten */

/* l_norm.c */
int l_batch_norm(lua_State *L);
int l_group_norm(lua_State *L);   /* and layer_norm */
int l_gaussian_noise(lua_State *L);
int l_permute(lua_State *L);
int l_attention(lua_State *L);

/* l_recurrent.c */
int l_recurrent(lua_State *L);    /* rnn, lstm and gru */

/* l_losses.c */
int l_smooth_l1(lua_State *L);
int l_kl_div(lua_State *L);
int l_multi_margin(lua_State *L);

/* l_conv.c */
int l_conv2d(lua_State *L);
int l_pool2d(lua_State *L);
int l_adaptive_pool2d(lua_State *L);

static inline const ml_op *l_this_op(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

#endif
