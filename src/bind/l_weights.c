/* Lists of parameters as a whole: their gradients' norm, clipping, the max-norm constraint, running averages. What is
 * clipped when, and the averages' decay, is the script's business: lua/mnistlua/optim. */
#include <math.h>

#include "bind/bind.h"
#include "kernels/kernels.h"
#include "optim/weights.h"

/* A positive, finite number. */
static double limit_at(lua_State *L, int index) {
  double limit = l_finite(L, index, NULL);
  if (!(limit > 0)) l_bad(L, index, NULL, "a number > 0");
  return limit;
}

static double norm_of_gradients(lua_State *L) {
  double squares = 0;
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    const ml_tensor *grad = l_parameter(L, 1, i)->grad;
    if (grad) squares += ml_sum_squares(grad->f32, ml_tensor_count(grad));
  }
  return sqrt(squares);
}

static int l_grad_norm(lua_State *L) {
  lua_pushnumber(L, norm_of_gradients(L));
  return 1;
}

/* clip_grad_norm(params, limit) -> the norm that all their gradients together had; scales them so that it is at most
 * limit, with PyTorch's 1e-6 in the denominator. */
static int l_clip_grad_norm(lua_State *L) {
  double limit = limit_at(L, 2), norm = norm_of_gradients(L);
  double factor = limit / (norm + 1e-6);
  lua_Integer n = factor < 1 ? (lua_Integer)lua_rawlen(L, 1) : 0;
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *grad = l_parameter(L, 1, i)->grad;
    if (!grad) continue;
    ml_scale(grad->f32, grad->f32, ml_tensor_count(grad), (float)factor);
    ml_tensor_changed(grad);
  }
  lua_pushnumber(L, norm);
  return 1;
}

/* clip_grad_value(params, limit): every element of their gradients into -limit .. limit. */
static int l_clip_grad_value(lua_State *L) {
  double limit = limit_at(L, 2);
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *grad = l_parameter(L, 1, i)->grad;
    if (!grad) continue;
    ml_clamp(grad->f32, ml_tensor_count(grad), (float)limit);
    ml_tensor_changed(grad);
  }
  return 0;
}

/* limit_rows(params, limit): the rows of those that have two dimensions or more. */
static int l_limit_rows(lua_State *L) {
  double limit = limit_at(L, 2);
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *w = l_parameter(L, 1, i);
    if (w->shape.ndim < 2) continue;
    ml_limit_rows(w->f32, w->shape.size[0], ml_tensor_row_count(w), limit);
    ml_tensor_changed(w);
  }
  return 0;
}

/* average_(means, values, share): each mean s becomes s + share (value - s). */
static int l_average_(lua_State *L) {
  double share = l_finite(L, 3, NULL);
  l_table(L, 1, NULL);
  l_table(L, 2, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *s = l_parameter(L, 1, i), *w = l_parameter(L, 2, i);
    l_same_kind(L, s, w);
    ml_average(s->f32, w->f32, ml_tensor_count(s), (float)share);
    ml_tensor_changed(s);
  }
  return 0;
}

static int l_zero_grad(lua_State *L) {
  l_table(L, 1, NULL);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    ml_tensor *t = l_parameter(L, 1, i), *grad = t->grad;
    t->grad = NULL;
    ml_tensor_unref(grad);
  }
  return 0;
}

void l_open_weights(lua_State *L) {
  const luaL_Reg functions[] = {
    { "grad_norm",  l_grad_norm  }, { "clip_grad_norm", l_clip_grad_norm }, { "clip_grad_value", l_clip_grad_value },
    { "limit_rows", l_limit_rows }, { "average_",       l_average_       }, { "zero_grad",       l_zero_grad       },
    { NULL,         NULL         },
  };
  l_add(L, L_CORE, functions);
}
