/* Counts right predictions: what argmax, eq and sum would give, in one walk and without a tensor in between. */
#include "ops/accuracy.h"

#include <math.h>

static ml_status check(const ml_tensor *scores, const ml_tensor *labels, ml_error *err) {
  if (scores->dtype != ML_F32)
    return ml_fail(err, ML_MISUSE, "count_correct: expected f32 scores, got %s", ml_dtype_name(scores->dtype));
  if (labels->dtype == ML_F32)
    return ml_fail(err, ML_MISUSE, "count_correct: expected i32 or u8 labels, got f32");
  if (scores->shape.ndim == 2 && labels->shape.ndim == 1 && scores->shape.size[0] == labels->shape.size[0])
    return ML_OK;
  return ml_fail(err, ML_MISUSE, "count_correct: expected scores [n, classes] and n labels, got %s and %s",
                 ML_SHAPE_WORDS(&scores->shape), ML_SHAPE_WORDS(&labels->shape));
}

/* Whether x[at] is what argmax of x[c] finds: nothing before it is as great, nothing after it is greater. */
static bool is_first_greatest(const float *x, int64_t c, int64_t at) {
  const float best = x[at];
  bool holds = true;
  if (isnan(best)) {
    for (int64_t j = 0; j < at; j++) holds &= !isnan(x[j]);
    return holds;
  }
  for (int64_t j = 0; j < at; j++) holds &= x[j] < best;
  for (int64_t j = at + 1; j < c; j++) holds &= x[j] <= best;    /* false for a NaN, too */
  return holds;
}

ml_status ml_count_correct(int64_t *count, const ml_tensor *scores, const ml_tensor *labels, ml_error *err) {
  *count = 0;
  ml_status status = check(scores, labels, err);
  if (status != ML_OK) return status;
  const int64_t n = scores->shape.size[0], c = scores->shape.size[1];
  for (int64_t i = 0; i < n; i++) {
    int64_t label = labels->dtype == ML_U8 ? labels->u8[i] : labels->i32[i];
    *count += label >= 0 && label < c && is_first_greatest(scores->f32 + i * c, c, label);
  }
  return ML_OK;
}
