/* Packed forms of tensors that linear layers multiply, kept as companions of the tensors for as long as their values
 * stay: a weight's, which updates take along, and an activation's, which the layer that computes it makes for the next.
 * linear.c uses them; src/bind tells of updates. All are absent in f32, and where there is no memory. */
#ifndef ML_OPS_PACKED_H
#define ML_OPS_PACKED_H

#include "kernels/packed.h"
#include "tensor/companion.h"

/* w[out, in] as a right operand (ML_COMPANION_RIGHT), or its transpose (ML_COMPANION_RIGHT_T), for ml_gemm_kept, packed
 * now if it isn't yet; NULL if it cannot be kept. */
const float *ml_packed_weight(ml_tensor *w, ml_companion_kind kind);

/* ml_tensor_changed(w), for an update that is about to begin. True if packed copies can follow it: then *refresh is to
 * be run over all of w, piece by piece as its values are written, and the copies are good again. */
bool ml_packed_weight_update(ml_tensor *w, ml_refresh *refresh);

/* x, whose last dimension are the columns and all others together the rows, as the operand of this kind (LEFT or
 * RIGHT), if whoever computed it packed it; else NULL. */
const float *ml_packed_value(ml_tensor *x, ml_companion_kind kind);

/* Room for these forms of y, in kept's c_left and c_right, for the product of at least one multiply-add an element that
 * is about to compute y: what ml_packed_value will give. Where there is none they are NULL. */
void ml_packed_result(ml_tensor *y, bool left, bool right, ml_kept *kept);

#endif
