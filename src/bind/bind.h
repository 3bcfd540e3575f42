/* What the files of src/bind share: argument checks, raising with the script's position, boxes for core objects.
 *
 * The order inside a binding is always the same, because any allocation by Lua may run a finalizer of the script, and
 * that may do anything: settle the number of arguments, push the boxes for the results, check the arguments, call the
 * core, fill the boxes, raise if the core refused. */
#ifndef ML_BIND_H
#define ML_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "base/error.h"
#include "base/rng.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "io/carried.h"
#include "ops/op.h"

/* ---- raising (l_util.c) ---- */

/* Tells where the library's own Lua files lie ("lua", without a slash at the end): their lines are passed over when a
 * mistake is told. */
void l_set_library(lua_State *L, const char *dir);
/* Pushes the folder that the library folder is in: the root of the installation. */
void l_push_root(lua_State *L);

/* Pushes "file:line: " of the innermost function outside the library; false if there is none (then ""). */
bool l_push_where(lua_State *L);

/* Raises "file:line: <formatted>" with control bytes escaped. Never returns; int for `return l_raise(...)`. */
int l_raise(lua_State *L, const char *fmt, ...) ML_PRINTF(2, 3);

/* What a core function reported: a mistake or a lack of memory is raised, a fault of the outside world is pushed as
 * nil, message (returns 2). */
int l_fail(lua_State *L, const ml_error *err);

/* ---- checking values (l_util.c). `what` names the value in the message; NULL stands for "argument #n". ---- */

/* Raises "<what>: expected <expected>, got <the value>". */
int l_bad(lua_State *L, int index, const char *what, const char *expected);

int64_t l_int(lua_State *L, int index, const char *what, int64_t low, int64_t high);
double l_number(lua_State *L, int index, const char *what);                   /* no strings; NaN is allowed */
double l_finite(lua_State *L, int index, const char *what);
bool l_flag(lua_State *L, int index, const char *what, bool otherwise);       /* nil gives `otherwise` */
const char *l_text(lua_State *L, int index, const char *what);                /* no zero byte inside */
uint32_t l_seed(lua_State *L, int index, const char *what);                   /* 0 to 2^32 - 1 */
void l_table(lua_State *L, int index, const char *what);

/* ---- option tables and names (l_options.c) ---- */

/* Checks that the value is nil or a table whose keys are all among names (which ends in NULL). */
void l_options(lua_State *L, int index, const char *const *names);
/* Pushes the option's value (nil if the table is) and returns its index. */
int l_option(lua_State *L, int index, const char *name);
/* "; did you mean 'x'?" for the best of names, or of the string keys of the table at keys_at; "" if none is near. The
 * text is pushed, so that it stays. */
const char *l_suggest(lua_State *L, const char *wanted, const char *const *names);
const char *l_suggest_key(lua_State *L, const char *wanted, int keys_at);

/* ---- shapes (l_shape.c) ---- */

int l_dim(lua_State *L, int index, int ndim);               /* 1..ndim or -ndim..-1; returned from 0 */
/* Sizes from arguments `first`.. or from a table there; returns the index after them. With `infer` one may be -1. */
int l_shape(lua_State *L, int first, ml_shape *shape, bool infer);
void l_push_shape(lua_State *L, const ml_shape *shape, int from);             /* as a list, from dimension `from` */
ml_dtype l_dtype(lua_State *L, int index, ml_dtype otherwise);

/* ---- native memory (l_memory.c) ---- */

/* Runs a full collection if native memory has grown enough since the last one. Called where a binding makes a box. */
void l_collect_if_due(lua_State *L);
void l_collect(lua_State *L);

/* A zeroed userdata of `size` bytes on the stack whose content `release` gives back when it is collected, however the
 * function is left. l_release does it at once. */
void *l_guarded(lua_State *L, size_t size, void (*release)(void *content));
void l_release(lua_State *L, int index);

/* ml_tensor_new or ml_tensor_zeros, and once more after a full collection if memory was short. */
ml_tensor *l_try_new(lua_State *L, ml_dtype dtype, const ml_shape *shape, bool zeros, ml_error *err);

/* ---- tensors (l_tensor.c) ---- */

ml_tensor **l_box(lua_State *L);                            /* pushes a Tensor that holds NULL */
ml_tensor *l_tensor(lua_State *L, int index);               /* raises if it is no tensor, or gone */
ml_tensor *l_tensor_named(lua_State *L, int index, const char *what);
/* Puts t, of which it takes over one reference, in the box at the top of the stack; raises err if t is NULL. */
int l_filled(lua_State *L, ml_tensor **box, ml_tensor *t, const ml_error *err);
ml_tensor *l_try_tensor(lua_State *L, int index);           /* NULL if it is no tensor */
void l_push_element(lua_State *L, const ml_tensor *t, int64_t index);
/* Raises if changing t in place would make a recorded gradient wrong. */
ml_tensor *l_writable(lua_State *L, int index);
/* ---- elements (l_element.c) ---- */

bool l_fits(ml_dtype dtype, double value);
/* The number at index; raises if a tensor of this dtype cannot hold it. */
double l_value(lua_State *L, int index, const char *what, ml_dtype dtype);
void l_set_element(ml_tensor *t, int64_t index, double value);   /* a value that fits */
/* Fills t with the number at index; raises if it does not fit. */
void l_fill(lua_State *L, ml_tensor *t, int index, const char *what);
/* Copies `from` into `to`, of as many elements, whatever the dtypes. -1, or the index of the first value that does not
 * fit. */
int64_t l_convert(ml_tensor *to, const ml_tensor *from);
void l_push_nested(lua_State *L, const ml_tensor *t);       /* its numbers, in nested lists */
/* Shape and dtype must be equal; raises otherwise. */
void l_same_kind(lua_State *L, const ml_tensor *a, const ml_tensor *b);

int l_tensor_tostring(lua_State *L);                        /* l_print.c */

/* ---- operations (l_ops.c) ---- */

/* ml_apply, and once more after a full collection if memory was short. NULL with err filled; never raises. */
ml_tensor *l_try_apply(lua_State *L, const ml_op *op, ml_tensor *const *in, int count, const ml_attrs *attrs,
                       ml_error *err);
/* Puts t in the box at the top of the stack, to expire with the innermost scope; raises err if t is NULL. */
int l_computed(lua_State *L, ml_tensor **box, ml_tensor *t, const ml_error *err);
/* Puts l_try_apply's result in the box at the top of the stack; raises if there is none, else returns 1. */
int l_apply(lua_State *L, ml_tensor **box, const ml_op *op, ml_tensor *const *in, int count, const ml_attrs *attrs);
/* The operation of this name. It is a mistake in src/bind, told as an error, if there is none. */
const ml_op *l_op(lua_State *L, const char *name);

/* Lets the Tensor at the top of the stack expire with the innermost scope, if there is one (l_scope.c). */
void l_scope_add(lua_State *L);

/* ---- parameters (l_optim.c) ---- */

/* The i-th tensor of the list at stack index `list`, which keeps it alive; raises if it is computed, or not f32. */
ml_tensor *l_parameter(lua_State *L, int list, lua_Integer i);

/* ---- random streams (l_random.c) ---- */
ml_rng l_dropout_rng(void);
ml_rng l_noise_rng(void);
void l_dropout_clock(uint32_t epoch, uint32_t step);
uint32_t l_run_seed(void);
/* Where math.random is in its stream (l_math.c): the seed, and how many numbers were drawn. */
typedef struct l_math_place {
  uint64_t seed, draws;
} l_math_place;
l_math_place *l_math_state(void);
void l_replace_random(lua_State *L);

/* ---- system (l_sys.c) ---- */
void l_install_signals(void);

/* ---- loading Lua as text only (l_load.c) ---- */
void l_refuse_bytecode(lua_State *L);

/* ---- what the program carries behind itself (l_carried.c) ---- */
/* The library comes from c, which outlives L, in place of a folder. */
void l_carry(lua_State *L, const ml_carried *c);

/* ---- opening. Each adds to the tables at these stack indices. ---- */
enum { L_CORE = 1, L_METHODS = 2 };

void l_add(lua_State *L, int table, const luaL_Reg *functions);
void l_new_type(lua_State *L, const char *type, const char *shown, const luaL_Reg *meta, const luaL_Reg *methods);
void l_open_tensor(lua_State *L);
void l_open_make(lua_State *L);
void l_open_inplace(lua_State *L);
void l_open_random(lua_State *L);
void l_open_ops(lua_State *L);
void l_open_grad(lua_State *L);
void l_open_scope(lua_State *L);
void l_open_optim(lua_State *L);
void l_open_weights(lua_State *L);
void l_open_dataset(lua_State *L);
void l_open_images(lua_State *L);
void l_open_loader(lua_State *L);
void l_open_augment(lua_State *L);
void l_open_io(lua_State *L);
void l_open_carried(lua_State *L);
void l_open_json(lua_State *L);
void l_open_db(lua_State *L);
void l_open_embed(lua_State *L);
void l_open_sys(lua_State *L);
void l_open_lock(lua_State *L);
void l_open_editor(lua_State *L);
void l_open_http(lua_State *L);
void l_open_process(lua_State *L);
void l_open_cpu(lua_State *L);
void l_open_memory(lua_State *L);
int luaopen_mnistlua_core(lua_State *L);

#define L_TENSOR "mnistlua.Tensor"
#define L_DATASET "mnistlua.Dataset"
#define L_LOADER "mnistlua.Loader"
#define L_SAVE "mnistlua.Save"

ml_dataset *l_dataset(lua_State *L, int index);             /* l_dataset.c */

/* Reads a loader's option `augment` at index; false if it is nil. o->turn points into a userdata that is left on top of
 * the stack (l_augment.c). */
bool l_read_augment(lua_State *L, int index, int classes, ml_augment_options *o);

#endif
