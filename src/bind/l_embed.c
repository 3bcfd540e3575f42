/* Numbers as text for pages that hold a model: base64 of tensors and strings, rows of weights as 16-bit numbers. */
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "io/embed.h"
#include "tensor/tensor.h"

static void release_block(void *content) { ml_free(*(void **)content); }

static void *block(lua_State *L, size_t size) {
  void **guard = l_guarded(L, sizeof *guard, release_block);              /* ... guard */
  *guard = ml_alloc(size > 0 ? size : 1);
  if (!*guard) l_raise(L, "no memory for %zu bytes of text", size);
  return *guard;
}

static void push_base64(lua_State *L, const void *bytes, size_t size) {
  luaL_Buffer buffer;
  const size_t length = ml_base64_size(size);
  ml_base64(luaL_buffinitsize(L, &buffer, length), bytes, size);
  luaL_pushresultsize(&buffer, length);                                   /* ... text */
}

/* A copy of the tensor's bytes, which no finalizer can take away while the text is made. */
static void push_base64_of(lua_State *L, int index) {
  const ml_tensor *t = l_tensor(L, index);
  const size_t size = (size_t)ml_shape_count(&t->shape) * ml_dtype_size(t->dtype);
  void *copy = block(L, size);                                            /* ... guard */
  t = l_tensor(L, index);
  if (size > 0) memcpy(copy, t->data, size);
  push_base64(L, copy, size);                                             /* ... guard text */
}

/* base64(tensor | string) -> text: the elements row by row, little-endian, or the string's bytes. */
static int l_base64(lua_State *L) {
  size_t size;
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, 1, &size);
    push_base64(L, text, size);
    return 1;
  }
  push_base64_of(L, 1);
  l_release(L, 2);
  return 1;
}

/* int16_rows(tensor f32 [rows, ...]) -> base64 of the values (i16), base64 of the scales (f32); nil and why if some are
 * no numbers. */
static int l_int16_rows(lua_State *L) {
  lua_settop(L, 1);
  const ml_tensor *t = l_tensor(L, 1);
  if (t->dtype != ML_F32 || t->shape.ndim < 1) return l_bad(L, 1, NULL, "an f32 tensor of at least one dimension");
  const int64_t rows = t->shape.size[0], count = ml_shape_count(&t->shape);
  const size_t value_bytes = (size_t)count * sizeof(int16_t), scale_bytes = (size_t)rows * sizeof(float);
  int16_t *values = block(L, value_bytes);                                /* t guard */
  float *scales = block(L, scale_bytes);                                  /* t guard guard */
  t = l_tensor(L, 1);
  if (!ml_rows_to_int16(values, scales, t->f32, rows, rows > 0 ? count / rows : 0)) {
    luaL_pushfail(L);
    lua_pushliteral(L, "expected finite numbers, found NaN or infinity");
    return 2;
  }
  push_base64(L, values, value_bytes);
  push_base64(L, scales, scale_bytes);
  l_release(L, 2);
  l_release(L, 3);
  return 2;
}

void l_open_embed(lua_State *L) {
  const luaL_Reg functions[] = { { "base64", l_base64 }, { "int16_rows", l_int16_rows }, { NULL, NULL } };
  l_add(L, L_CORE, functions);
}
