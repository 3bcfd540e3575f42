/* safetensors files as Lua lists. Entries are {name, tensor} in the order of the file. Also the Save type: a file that
 * is being written in the background. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "io/safetensors.h"
#include "io/save.h"
#include "io/seal.h"

static void release_archive(void *content) { ml_archive_clear(content); }

static void push_entry(lua_State *L, ml_named_tensor *named) {
  lua_createtable(L, 2, 0);
  lua_pushstring(L, named->name);
  lua_rawseti(L, -2, 1);
  ml_tensor **box = l_box(L);
  *box = ml_tensor_ref(named->tensor);
  lua_rawseti(L, -2, 2);
}

/* The archive, which is at the top of the stack above one argument, as list and metadata. */
static int push_archive(lua_State *L, const ml_archive *archive) {
  lua_newtable(L);                           /* path archive list */
  for (int64_t i = 0; i < archive->tensor_count; i++) {
    push_entry(L, &archive->tensors[i]);
    lua_rawseti(L, 3, i + 1);
  }
  lua_newtable(L);                           /* path archive list metadata */
  for (int64_t i = 0; i < archive->metadata_count; i++) {
    lua_pushstring(L, archive->metadata[i].value);
    lua_setfield(L, 4, archive->metadata[i].key);
  }
  l_release(L, 2);
  return 2;
}

/* safetensors_read(path) -> list of {name, tensor}, metadata */
static int l_safetensors_read(lua_State *L) {
  ml_error err;
  lua_settop(L, 1);
  const char *path = l_text(L, 1, NULL);
  l_collect_if_due(L);
  ml_archive *archive = l_guarded(L, sizeof *archive, release_archive);
  if (ml_safetensors_read(archive, path, &err) != ML_OK) return l_fail(L, &err);
  return push_archive(L, archive);
}

/* safetensors_decode(bytes of a file) -> list of {name, tensor}, metadata */
static int l_safetensors_decode(lua_State *L) {
  ml_error err;
  size_t size;
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TSTRING) return l_bad(L, 1, NULL, "a string");
  const char *bytes = lua_tolstring(L, 1, &size);
  l_collect_if_due(L);
  ml_archive *archive = l_guarded(L, sizeof *archive, release_archive);
  if (ml_safetensors_decode(archive, bytes, size, &err) != ML_OK) return l_fail(L, &err);
  return push_archive(L, archive);
}

/* ---- writing: the archive borrows names, texts and tensors from the script's tables ---- */

static void release_lists(void *content) {
  ml_archive *archive = content;
  ml_free(archive->tensors);
  ml_free(archive->metadata);
}

static void read_entries(lua_State *L, ml_archive *archive) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  archive->tensors = ml_calloc((size_t)count + 1, sizeof *archive->tensors);
  if (!archive->tensors) l_raise(L, "out of memory: a list of %lld tensors", (long long)count);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    l_table(L, -1, "an entry of the list");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);                   /* ... entry name tensor */
    archive->tensors[i - 1].name = (char *)(uintptr_t)l_text(L, -2, "the name of a tensor");
    archive->tensors[i - 1].tensor = l_tensor_named(L, -1, lua_tostring(L, -2));
    lua_pop(L, 3);
  }
  archive->tensor_count = count;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const ml_text_pair *)a)->key, ((const ml_text_pair *)b)->key);
}

static void read_metadata(lua_State *L, ml_archive *archive) {
  int64_t count = 0;
  if (lua_isnil(L, 3)) return;
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) count++;
  archive->metadata = ml_calloc((size_t)count + 1, sizeof *archive->metadata);
  if (!archive->metadata) l_raise(L, "out of memory: metadata of %lld entries", (long long)count);
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
    ml_text_pair *pair = &archive->metadata[archive->metadata_count++];
    pair->key = (char *)(uintptr_t)l_text(L, -2, "a key of the metadata");
    pair->value = (char *)(uintptr_t)l_text(L, -1, pair->key);
  }
  qsort(archive->metadata, (size_t)count, sizeof *archive->metadata, by_key);   /* a table's order is left to chance */
}

/* Arguments path, list and metadata, as an archive that is pushed. */
static ml_archive *read_arguments(lua_State *L) {
  l_text(L, 1, NULL);
  l_table(L, 2, NULL);
  if (!lua_isnil(L, 3)) l_table(L, 3, NULL);
  ml_archive *archive = l_guarded(L, sizeof *archive, release_lists);
  read_entries(L, archive);
  read_metadata(L, archive);
  return archive;
}

/* safetensors_write(path, list [, metadata]) -> true */
static int l_safetensors_write(lua_State *L) {
  ml_error err;
  lua_settop(L, 3);
  ml_archive *archive = read_arguments(L);
  const char *path = lua_tostring(L, 1);
  ml_status status = ml_safetensors_write(path, archive, &err);
  l_release(L, 4);
  if (status != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static void release_block(void *content) { ml_free(*(void **)content); }

/* safetensors_encode(list [, metadata]) -> the bytes that safetensors_write would write */
static int l_safetensors_encode(lua_State *L) {
  ml_error err;
  size_t size;
  lua_settop(L, 2);
  l_table(L, 1, NULL);
  lua_pushliteral(L, "");                    /* in place of a path */
  lua_insert(L, 1);
  uint8_t **image = l_guarded(L, sizeof *image, release_block);
  lua_insert(L, 4);                          /* path list metadata image */
  ml_archive *archive = read_arguments(L);
  ml_status status = ml_safetensors_image(image, &size, archive, &err);
  l_release(L, 5);
  if (status != ML_OK) *image = NULL;
  if (status != ML_OK) return l_fail(L, &err);
  lua_pushlstring(L, (const char *)*image, size);
  l_release(L, 4);
  return 1;
}

/* ---- the Save type ---- */

static ml_save *check_save(lua_State *L, int index) {
  ml_save **box = luaL_testudata(L, index, L_SAVE);
  if (!box) l_bad(L, index, NULL, "a Save");
  if (!*box) l_raise(L, "this Save has been waited for");
  return *box;
}

/* A program that ends waits for what it has begun to save. */
static int save_gc(lua_State *L) {
  ml_save **box = luaL_testudata(L, 1, L_SAVE);
  if (!box || !*box) return 0;
  ml_save *save = *box;
  *box = NULL;
  ml_save_end(save, NULL);
  return 0;
}

/* save_begin(path, list, metadata) -> Save. The metadata has a place for the seal. */
static int l_save_begin(lua_State *L) {
  ml_error err;
  lua_settop(L, 3);
  ml_save **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_SAVE);
  ml_archive *archive = read_arguments(L);   /* path list metadata box archive */
  *box = ml_save_begin(lua_tostring(L, 1), archive, &err);
  l_release(L, 5);
  if (!*box) return l_fail(L, &err);
  lua_settop(L, 4);
  return 1;
}

static int l_save_done(lua_State *L) {
  lua_pushboolean(L, ml_save_done(check_save(L, 1)));
  return 1;
}

/* save:wait() -> true; once only */
static int l_save_wait(lua_State *L) {
  ml_error err;
  ml_save *save = check_save(L, 1);
  *(ml_save **)lua_touserdata(L, 1) = NULL;
  if (ml_save_end(save, &err) != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* check_seal(path) -> true */
static int l_check_seal(lua_State *L) {
  ml_error err;
  if (ml_seal_check_file(l_text(L, 1, NULL), &err) != ML_OK) return l_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

void l_open_io(lua_State *L) {
  const luaL_Reg functions[] = {
    { "safetensors_read", l_safetensors_read }, { "safetensors_write", l_safetensors_write },
    { "safetensors_decode", l_safetensors_decode }, { "safetensors_encode", l_safetensors_encode },
    { "save_begin", l_save_begin },             { "check_seal", l_check_seal },
    { NULL, NULL },
  };
  const luaL_Reg meta[] = { { "__gc", save_gc }, { NULL, NULL } };
  const luaL_Reg methods[] = { { "done", l_save_done }, { "wait", l_save_wait }, { NULL, NULL } };
  l_new_type(L, L_SAVE, "Save", meta, methods);
  l_add(L, L_CORE, functions);
}
