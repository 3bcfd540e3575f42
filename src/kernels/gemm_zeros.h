/* Products that add nothing: a panel of an operand, some of its rows or columns side by side, often holds nothing but
 * zeros for a product p. Four fifths of a digit's pixels in 0..1 are zeros, and those of neighbours and of several
 * digits coincide: half of all products of twelve. The matrix product lists the others and reads only those.
 *
 * A sum is the same chain of multiply-adds with zeros left out: the same bits, the sign of a zero apart, as long as the
 * other operand is finite, since 0 times infinity is NaN. Internal to src/kernels. */
#ifndef ML_GEMM_ZEROS_H
#define ML_GEMM_ZEROS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/integer.h"

/* An operand, or a part of one: row or column w and product p is x[w * stride_w + p * stride_p]. */
typedef struct ml_operand {
  const float *x;
  int64_t count, stride_w; /* of rows or columns */
  int64_t k, stride_p;     /* of products */
} ml_operand;

/* Whether lists for panels of `width` are worth their time: a few places decide, the same ones each time. Where there
 * are no zeros that costs a load for each. */
bool ml_zeros_many(const ml_operand *o, int width);

/* Whether all elements are finite; false, too, where they do not lie in one piece. Threaded inside. */
bool ml_operand_finite(const ml_operand *o);

/* The lists of an operand cut into panels of `width` and, along k, into blocks. */
typedef struct ml_zero_lists {
  ml_operand operand;
  int64_t width, block; /* block <= 65535 */
  uint16_t *room;       /* ml_zero_lists_room elements; block by block, panel by panel: a count and as many products */
} ml_zero_lists;

static inline int64_t ml_zero_lists_room(int64_t panels, int64_t k, int64_t block) {
  return ml_ceil_div(k, block) * panels * (block + 1);
}

/* Makes all lists, each ascending. Threaded inside. */
void ml_zero_lists_fill(const ml_zero_lists *z);

/* The products of a panel, in the block that begins at p, for which not all of its elements are zeros, counted from p.
 * at[-1] is their number. */
static inline const uint16_t *ml_zero_list(const ml_zero_lists *z, int64_t panel, int64_t p) {
  const int64_t panels = ml_ceil_div(z->operand.count, z->width);
  return z->room + (p / z->block * panels + panel) * (z->block + 1) + 1;
}

#endif
