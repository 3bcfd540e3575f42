/* Dimensions in another order: neighbours that stay together are merged first, so that what remains is as few and as
 * long walks as there can be. The innermost walk of y is a copy of a run of x, or one with a stride; where the two last
 * dimensions of what remains change places, blocks of f32 are transposed. */
#include "kernels/permute.h"

#include <stdbool.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"

enum { GRAIN = 16384 };

typedef struct walk {
  uint8_t *y;
  const uint8_t *x;
  size_t element;
  int ndim;                            /* of what remains, in y's order; at least 1 */
  int64_t size[ML_PERMUTE_MAX_DIMS], stride[ML_PERMUTE_MAX_DIMS]; /* strides in x */
  int inner;                           /* dimensions that a step covers: 1, or 2 for a transpose */
  int64_t step;                        /* elements that a step covers */
} walk;

/* Dimension d joins the one before it if stepping through both is one walk with d's stride. */
static void add_dim(walk *w, int64_t size, int64_t stride) {
  const int last = w->ndim - 1;
  if (size == 1) return;
  if (last >= 0 && w->stride[last] == size * stride) {
    w->size[last] *= size;
    w->stride[last] = stride;
    return;
  }
  w->size[w->ndim] = size;
  w->stride[w->ndim++] = stride;
}

static void strided(uint8_t *y, const uint8_t *x, int64_t n, int64_t stride, size_t element) {
  if (stride == 1) {
    memcpy(y, x, (size_t)n * element);
  } else if (element == 4) {
    for (int64_t i = 0; i < n; i++) memcpy(y + 4 * i, x + 4 * i * stride, 4);
  } else {
    for (int64_t i = 0; i < n; i++) y[i] = x[i * stride];
  }
}

static void walk_range(void *ctx, int64_t begin, int64_t end) {
  const walk *w = ctx;
  const int last = w->ndim - 1, outer = w->ndim - w->inner;
  for (int64_t at = begin; at < end; at++) {
    int64_t from = 0, rest = at;
    for (int d = outer - 1; d >= 0; d--) {
      from += rest % w->size[d] * w->stride[d];
      rest /= w->size[d];
    }
    uint8_t *y = w->y + (size_t)(at * w->step) * w->element;
    const uint8_t *x = w->x + (size_t)from * w->element;
    if (w->inner == 2) {
      ml_transpose((float *)(void *)y, (const float *)(const void *)x, w->size[last], w->size[last - 1]);
    } else {
      strided(y, x, w->size[last], w->stride[last], w->element);
    }
  }
}

/* Whether the two last dimensions of y are a matrix of x, transposed. */
static bool is_transpose(const walk *w) {
  const int last = w->ndim - 1;
  return w->element == 4 && last >= 1 && w->stride[last - 1] == 1 && w->stride[last] == w->size[last - 1];
}

void ml_permute(void *y, const void *x, size_t element, const int64_t *x_size, const int *order, int ndim) {
  walk w = {.y = y, .x = x, .element = element, .inner = 1};
  int64_t stride[ML_PERMUTE_MAX_DIMS], total = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    stride[d] = total;
    total *= x_size[d];
  }
  if (total == 0) return;
  for (int d = 0; d < ndim; d++) add_dim(&w, x_size[order[d]], stride[order[d]]);
  if (w.ndim == 0) {                   /* a single element */
    w.ndim = 1;
    w.size[0] = w.stride[0] = 1;
  }
  if (is_transpose(&w)) w.inner = 2;
  w.step = 1;
  for (int d = w.ndim - w.inner; d < w.ndim; d++) w.step *= w.size[d];
  ml_pool_for(walk_range, &w, total / w.step, w.step >= GRAIN ? 1 : GRAIN / w.step);
}
