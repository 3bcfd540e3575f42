/* Readers and the Dataset type. Samples count from 1 here and from 0 in the core; labels are values from 0 in both. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bind/bind.h"
#include "data/duplicates.h"
#include "data/readers.h"

/* ---- boxes ---- */

static ml_dataset **dataset_box(lua_State *L) {
  l_collect_if_due(L);
  ml_dataset **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, L_DATASET);
  return box;
}

ml_dataset *l_dataset(lua_State *L, int index) {
  ml_dataset **box = luaL_testudata(L, index, L_DATASET);
  if (!box) l_bad(L, index, NULL, "a Dataset");
  if (!*box) l_raise(L, "this Dataset has been released");
  return *box;
}

static int dataset_gc(lua_State *L) {
  ml_dataset **box = luaL_testudata(L, 1, L_DATASET);
  if (!box) return 0;
  ml_dataset *d = *box;
  *box = NULL;
  ml_dataset_unref(d);
  return 0;
}

static int filled(lua_State *L, ml_dataset **box, ml_dataset *d, const ml_error *err) {
  *box = d;
  return d ? 1 : l_fail(L, err);
}

/* ---- readers ---- */

static void set_number(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* read_idx(path, ...) -> a Tensor for each path; the files are read at once. */
static int l_read_idx(lua_State *L) {
  enum { MOST = 8 };
  ml_error err;
  ml_tensor **boxes[MOST], *tensors[MOST];
  const char *paths[MOST];
  int count = lua_gettop(L) > 1 ? lua_gettop(L) : 1;
  if (count > MOST) return l_raise(L, "read_idx: expected 1 to %d paths, got %d", MOST, count);
  for (int i = 0; i < count; i++) paths[i] = l_text(L, i + 1, NULL);
  for (int i = 0; i < count; i++) boxes[i] = l_box(L);
  if (ml_read_idx_files(tensors, paths, count, &err) != ML_OK) return l_fail(L, &err);
  for (int i = 0; i < count; i++) *boxes[i] = tensors[i];
  return count;
}

/* nil and "auto" let the reader find out. */
static ml_csv_header header_mode(lua_State *L, int index) {
  static const char *const names[] = { "auto", "yes", "no" };
  static const ml_csv_header modes[] = { ML_CSV_AUTO, ML_CSV_YES, ML_CSV_NO };
  if (lua_isnoneornil(L, index)) return ML_CSV_AUTO;
  if (lua_isboolean(L, index)) return lua_toboolean(L, index) ? ML_CSV_YES : ML_CSV_NO;
  for (int i = 0; i < 3; i++) {
    if (lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), names[i]) == 0) return modes[i];
  }
  l_bad(L, index, NULL, "true, false or \"auto\"");
  return ML_CSV_AUTO;
}

static int l_read_csv(lua_State *L) {
  ml_error err;
  ml_csv_info info = { .header = false };
  const char *path = l_text(L, 1, NULL);
  int label = lua_isnoneornil(L, 2) ? 0 : (int)l_int(L, 2, NULL, 1, INT32_MAX - 1) - 1;
  ml_csv_header header = header_mode(L, 3);
  ml_dataset **box = dataset_box(L);
  ml_dataset *d = ml_read_csv(&info, path, label, header, &err);
  if (!d) return filled(L, box, d, &err);
  *box = d;
  lua_createtable(L, 0, 3);
  lua_pushboolean(L, info.header);
  lua_setfield(L, -2, "header");
  set_number(L, "rows", info.rows);
  set_number(L, "columns", info.columns);
  return 2;
}

static int l_make_digits(lua_State *L) {
  ml_error err;
  int64_t n = l_int(L, 1, NULL, 1, INT32_MAX);
  uint32_t seed = lua_isnoneornil(L, 2) ? 0 : l_seed(L, 2, NULL);
  ml_dataset **box = dataset_box(L);
  ml_dataset *d = ml_make_digits(n, seed, &err);
  return filled(L, box, d, &err);
}

static int l_make_dataset(lua_State *L) {
  ml_error err;
  int classes = lua_isnoneornil(L, 3) ? 0 : (int)l_int(L, 3, NULL, 1, INT32_MAX - 1);
  lua_settop(L, 3);
  ml_dataset **box = dataset_box(L);
  ml_tensor *images = l_tensor(L, 1), *labels = l_tensor(L, 2);
  ml_dataset *d = ml_dataset_new(images, labels, classes, &err);
  return filled(L, box, d, &err);
}

/* ---- views ---- */

static void release_block(void *content) { ml_free(*(void **)content); }

/* The sample numbers of the list at stack index 2, from 0, in a block that the collector owns. */
static int32_t *read_rows(lua_State *L, int64_t count, int64_t samples) {
  int32_t **rows = l_guarded(L, sizeof *rows, release_block);
  *rows = ml_calloc((size_t)count + 1, sizeof **rows);
  if (!*rows) l_raise(L, "out of memory: a list of %lld samples", (long long)count);
  for (int64_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, i + 1);
    (*rows)[i] = (int32_t)l_int(L, -1, "sample number", 1, samples) - 1;
    lua_pop(L, 1);
  }
  return *rows;
}

static int l_subset(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  l_table(L, 2, NULL);
  ml_dataset **box = dataset_box(L);
  int64_t count = (int64_t)lua_rawlen(L, 2);
  int32_t *rows = read_rows(L, count, l_dataset(L, 1)->count);
  *box = ml_dataset_subset(l_dataset(L, 1), rows, count, &err);
  l_release(L, 4);
  lua_settop(L, 3);
  return *box ? 1 : l_fail(L, &err);
}

static int l_range(lua_State *L) {
  ml_error err;
  lua_settop(L, 3);
  ml_dataset **box = dataset_box(L);
  const ml_dataset *d = l_dataset(L, 1);
  int64_t i = l_int(L, 2, NULL, INT64_MIN, INT64_MAX), j = l_int(L, 3, NULL, INT64_MIN, INT64_MAX);
  if (i < 1 || j > d->count || j < i - 1)
    return l_raise(L, "range: %lld to %lld is out of range: the dataset has samples 1 to %lld", (long long)i,
                   (long long)j, (long long)d->count);
  ml_dataset *view = ml_dataset_range(d, i - 1, j - i + 1, &err);
  return filled(L, box, view, &err);
}

static int l_shuffled(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  ml_rng rng = ml_rng_make(l_seed(L, 2, NULL), ML_STREAM_SPLIT);
  ml_dataset **box = dataset_box(L);
  ml_dataset *view = ml_dataset_shuffled(l_dataset(L, 1), rng, &err);
  return filled(L, box, view, &err);
}

/* ---- asking ---- */

static int l_count(lua_State *L) {
  lua_pushinteger(L, l_dataset(L, 1)->count);
  return 1;
}

/* d:get(i) -> the image as a Tensor of its own, and its label. */
static int l_get(lua_State *L) {
  ml_error err;
  lua_settop(L, 2);
  ml_tensor **box = l_box(L);
  const ml_dataset *d = l_dataset(L, 1);
  int64_t row = ml_dataset_row(d, l_int(L, 2, NULL, 1, d->count) - 1);
  ml_shape shape = d->images->shape;
  shape.ndim--;
  memmove(shape.size, shape.size + 1, (size_t)shape.ndim * sizeof *shape.size);
  ml_tensor *image = ml_tensor_new(d->images->dtype, &shape, &err);
  if (image) {
    size_t bytes = ml_tensor_bytes(image);
    memcpy(image->data, (const char *)d->images->data + (size_t)row * bytes, bytes);
    lua_pushinteger(L, d->labels->i32[row]);
    *box = image;
    return 2;
  }
  return l_filled(L, box, image, &err);
}

static int l_classes(lua_State *L) {
  lua_pushinteger(L, l_dataset(L, 1)->classes);
  return 1;
}

static int l_hash(lua_State *L) {
  char text[20];
  snprintf(text, sizeof text, "%016llx", (unsigned long long)ml_dataset_hash(l_dataset(L, 1)));
  lua_pushstring(L, text);
  return 1;
}

/* d:duplicates([other]) -> { count=, relabelled=, first=, second= }: samples of `other` that are in d, or of d that
 * occur earlier in it. */
static int l_duplicates(lua_State *L) {
  ml_error err;
  ml_duplicates found;
  const ml_dataset *d = l_dataset(L, 1), *other = lua_isnoneornil(L, 2) ? d : l_dataset(L, 2);
  if (ml_dataset_duplicates(&found, d, other, &err) != ML_OK) return l_fail(L, &err);
  lua_createtable(L, 0, 4);
  set_number(L, "count", found.count);
  set_number(L, "relabelled", found.relabelled);
  if (found.count > 0) {
    set_number(L, "first", found.first + 1);
    set_number(L, "second", found.second + 1);
  }
  return 1;
}

static int l_moments(lua_State *L) {
  double mean, std;
  ml_dataset_moments(l_dataset(L, 1), &mean, &std);
  lua_pushnumber(L, mean);
  lua_pushnumber(L, std);
  return 2;
}

static int l_sample_shape(lua_State *L) {
  ml_shape shape = l_dataset(L, 1)->images->shape;
  l_push_shape(L, &shape, 1);
  return 1;
}

static int l_images_dtype(lua_State *L) {
  lua_pushstring(L, ml_dtype_name(l_dataset(L, 1)->images->dtype));
  return 1;
}

/* A list: entry c + 1 is the number of samples with label c. */
static int l_label_counts(lua_State *L) {
  lua_newtable(L);
  const ml_dataset *d = l_dataset(L, 1);
  if (d->classes > 1 << 20) return l_raise(L, "label_counts: %d classes are too many to list", d->classes);
  for (int c = 0; c < d->classes; c++) {
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, c + 1);
  }
  for (int64_t i = 0; i < d->count; i++) {
    int32_t label = d->labels->i32[ml_dataset_row(d, i)];
    lua_rawgeti(L, -1, label + 1);
    lua_pushinteger(L, lua_tointeger(L, -1) + 1);
    lua_rawseti(L, -3, label + 1);
    lua_pop(L, 1);
  }
  return 1;
}

void l_open_dataset(lua_State *L) {
  const luaL_Reg functions[] = {
    { "read_idx", l_read_idx },    { "read_csv", l_read_csv }, { "make_digits", l_make_digits },
    { "dataset", l_make_dataset }, { NULL, NULL },
  };
  const luaL_Reg methods[] = {
    { "get",      l_get      }, { "subset",  l_subset  }, { "range",        l_range        },
    { "shuffled", l_shuffled }, { "classes", l_classes }, { "hash",         l_hash         },
    { "moments",  l_moments  }, { "sample_shape", l_sample_shape }, { "label_counts", l_label_counts },
    { "dtype",    l_images_dtype }, { "duplicates", l_duplicates }, { NULL, NULL },
  };
  const luaL_Reg meta[] = { { "__gc", dataset_gc }, { "__len", l_count }, { NULL, NULL } };
  l_new_type(L, L_DATASET, "Dataset", meta, methods);
  l_add(L, L_CORE, functions);
}
