/* Tensors: a shape over contiguous, reference-counted storage.
 *
 * Everything is row-major and contiguous, so a view is a range of rows or another shape over the same bytes, and a
 * transpose is a copy. f32 is for computing, u8 for images, i32 for labels and indices. Only the main thread counts
 * references.
 *
 * A tensor's storage can be taken away by its step (ml_tensor_expire): values that a training step computed are
 * readable until the next step begins, then every access from a script is refused with a message. */
#ifndef ML_TENSOR_H
#define ML_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ML_MAX_DIMS 6

typedef enum ml_dtype { ML_F32, ML_U8, ML_I32, ML_DTYPE_COUNT } ml_dtype;

typedef struct ml_shape {
  int ndim;                     /* 0 for a scalar, which has one element */
  int64_t size[ML_MAX_DIMS];
} ml_shape;

typedef struct ml_storage {
  int refs;
  uint32_t version;             /* rises with every change in place: ml_tensor_changed */
  size_t bytes;
  void *data;                   /* from ml_alloc */
} ml_storage;

/* How a tensor was computed. Only src/ops knows what follows; a tensor that dies calls its node's release. */
typedef struct ml_node {
  void (*release)(struct ml_node *node);
} ml_node;

typedef struct ml_tensor {
  int refs;
  ml_dtype dtype;
  ml_shape shape;
  ml_storage *storage;          /* NULL once expired */
  union {                       /* the first element, inside storage */
    void *data;
    float *f32;
    uint8_t *u8;
    int32_t *i32;
  };
  bool requires_grad;           /* a leaf that wants a gradient, or computed from one */
  struct ml_tensor *grad;       /* of a leaf, after a backward pass; same shape, f32 */
  ml_node *node;                /* of a computed value that wants a gradient */
  bool expires;                 /* with the training step under way: src/ops/tape.h */
  struct ml_companion *companions; /* companion.h */
} ml_tensor;

/* ---- shapes ---- */
int64_t ml_shape_count(const ml_shape *shape);
bool ml_shape_equal(const ml_shape *a, const ml_shape *b);
/* "128x784", "scalar" for no dimensions; writes into text[size] and returns it. */
const char *ml_shape_text(char *text, size_t size, const ml_shape *shape);
#define ML_SHAPE_TEXT 160
/* The same for an argument of ml_fail: the text lasts as long as the block around it. */
#define ML_SHAPE_WORDS(shape) ml_shape_text((char[ML_SHAPE_TEXT]){0}, ML_SHAPE_TEXT, shape)
/* The shape that a and b broadcast to by NumPy's rule; false if they do not fit. */
bool ml_shape_broadcast(ml_shape *out, const ml_shape *a, const ml_shape *b);

const char *ml_dtype_name(ml_dtype dtype);  /* "f32" "u8" "i32" */
const char *ml_dtype_noun(ml_dtype dtype);  /* with its article: "an f32" "a u8" "an i32" */
size_t ml_dtype_size(ml_dtype dtype);

/* ---- making; each gives one reference, or NULL with err filled (ML_NOMEM, ML_MISUSE for a bad shape) ---- */
ml_tensor *ml_tensor_new(ml_dtype dtype, const ml_shape *shape, ml_error *err);   /* uninitialised */
ml_tensor *ml_tensor_zeros(ml_dtype dtype, const ml_shape *shape, ml_error *err);
ml_tensor *ml_tensor_clone(const ml_tensor *t, ml_error *err);                    /* own storage, no history */

/* Rows begin..begin+count-1 of the first dimension, over the same storage. */
ml_tensor *ml_tensor_rows(ml_tensor *t, int64_t begin, int64_t count, ml_error *err);
/* The same elements under another shape of the same count, over the same storage. */
ml_tensor *ml_tensor_reshape(ml_tensor *t, const ml_shape *shape, ml_error *err);

/* The elements from `offset` on under `shape`, over the same storage. */
ml_tensor *ml_tensor_view(ml_tensor *t, const ml_shape *shape, int64_t offset, ml_error *err);

/* ---- owning ---- */
ml_tensor *ml_tensor_ref(ml_tensor *t);     /* NULL is allowed; returns t */
void ml_tensor_unref(ml_tensor *t);         /* frees at zero, its node and gradient too; NULL is allowed */
void ml_tensor_expire(ml_tensor *t);        /* gives up this tensor's hold on its storage */

/* ---- changing ---- */

/* To be called by whoever writes into a tensor that others may hold. The tape compares versions, so that no gradient is
 * computed from values that are gone. Views of one storage share its version. */
static inline void ml_tensor_changed(ml_tensor *t) { t->storage->version++; }

/* ---- asking ---- */
int64_t ml_tensor_count(const ml_tensor *t);
size_t ml_tensor_bytes(const ml_tensor *t);
/* Product of the dimensions after the first; 1 for a scalar. */
int64_t ml_tensor_row_count(const ml_tensor *t);
/* An element as a double, whatever the dtype. */
double ml_tensor_get(const ml_tensor *t, int64_t index);

#endif
