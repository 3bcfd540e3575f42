/* Companions: arrays derived from a tensor's values, such as a weight laid out for one kernel, that are kept with the
 * tensor and are good for as long as its values stay. They save time and never show in a result. Operations make and
 * read them on the main thread; they die with the tensor, or when it expires. */
#ifndef ML_TENSOR_COMPANION_H
#define ML_TENSOR_COMPANION_H

#include "tensor/tensor.h"

typedef enum ml_companion_kind {
  ML_COMPANION_GEMV,     /* the strips of kernels/gemv.h */
  ML_COMPANION_LEFT,     /* packed, kernels/packed.h: as a left operand, ... */
  ML_COMPANION_RIGHT,    /* ... as a right one ... */
  ML_COMPANION_RIGHT_T   /* ... and its transpose as a right one */
} ml_companion_kind;

typedef enum ml_companion_state {
  ML_COMPANION_STALE, /* data is not of the tensor's values: not made yet, or made before they changed */
  ML_COMPANION_READY,
  ML_COMPANION_UNFIT  /* these values cannot have this companion */
} ml_companion_state;

typedef struct ml_companion {
  struct ml_companion *next;
  ml_companion_kind kind;
  ml_companion_state state; /* set by who makes the data */
  uint32_t version;         /* of the storage, that state and uses are about */
  uint32_t uses;            /* see ml_companion_wanted */
  uint32_t form;            /* for the maker: which of several forms the data has */
  size_t floats;
  float *data;              /* NULL until there is room */
} ml_companion;

/* How a companion follows an update of its tensor: once floats begin..end-1 have their new values, and are still in the
 * cache, fn(ctx, begin, end) makes of them what the companion has of them. Pieces begin at multiples of grain. */
typedef struct ml_refresh {
  void (*fn)(void *ctx, int64_t begin, int64_t end);
  void *ctx;
  int64_t grain;
} ml_refresh;

/* t's companion of this kind, STALE if t has changed since it was made; NULL if there was no memory or t has expired:
 * then the caller does without. */
ml_companion *ml_tensor_companion(ml_tensor *t, ml_companion_kind kind);

/* Counts a use and tells whether it is at least the n-th since t last changed: values that stay are worth a companion,
 * a weight that every step changes is not. */
bool ml_companion_wanted(ml_companion *c, uint32_t n);

/* Makes data hold this many floats, 64-byte aligned; false, and no data, if there is no memory. */
bool ml_companion_reserve(ml_companion *c, size_t floats);

/* For tensor.c. */
void ml_tensor_drop_companions(ml_tensor *t);

#endif
