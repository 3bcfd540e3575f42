/* How many predictions are right: the count behind the accuracy that the trainer shows. No operation: it is a number,
 * not a tensor, and has no gradient. src/bind calls it. */
#ifndef ML_OPS_ACCURACY_H
#define ML_OPS_ACCURACY_H

#include "tensor/tensor.h"

/* Into *count the rows of scores (f32 [n, c]) whose greatest element is at their label (i32 or u8 [n], from 0). As with
 * argmax, the lowest place wins a tie and a NaN counts as the greatest; a label outside 0..c-1 is never right.
 * ML_MISUSE for other shapes and dtypes. */
ml_status ml_count_correct(int64_t *count, const ml_tensor *scores, const ml_tensor *labels, ml_error *err);

#endif
