/* One image through a linear layer: its weight is kept in the strips of kernels/gemv.h, as a companion of the tensor,
 * once it has been seen to stay as it is. Called by linear.c; what it cannot do, and its first use of new values, is
 * left to ml_gemm. */
#include "ops/few_rows.h"

#include "kernels/gemv.h"
#include "kernels/precision.h"
#include "ops/tape.h"
#include "tensor/companion.h"

enum {
  FEW = 4,      /* up to here inputs without a zero, too, are faster than with ml_gemm */
  MAKE_AT = 2   /* making strips costs about as much as two products without */
};

/* A weight that is being trained changes before strips would pay. */
static bool worth_making(ml_companion *c, const ml_tensor *w) {
  return !(ml_recording() && w->requires_grad) && ml_companion_wanted(c, MAKE_AT);
}

static void make_strips(ml_companion *c, const ml_tensor *w, int64_t out, int64_t in) {
  if (!ml_companion_reserve(c, ml_gemv_floats(out, in))) return;
  c->state = ml_gemv_pack(c->data, w->f32, out, in) ? ML_COMPANION_READY : ML_COMPANION_UNFIT;
}

bool ml_few_rows(float *y, const float *x, ml_tensor *w, ml_epilogue e, int64_t n) {
  const int64_t out = w->shape.size[0], in = w->shape.size[1];
  if (n > FEW || n < 1 || out < 1 || in < 1 || ml_precision_in_use() != ML_PRECISION_F32) return false;
  ml_companion *c = ml_tensor_companion(w, ML_COMPANION_GEMV);
  if (!c) return false;
  if (c->state == ML_COMPANION_STALE && worth_making(c, w)) make_strips(c, w, out, in);
  if (c->state != ML_COMPANION_READY) return false;
  ml_gemv(y, x, c->data, e, n, out, in);
  return true;
}
