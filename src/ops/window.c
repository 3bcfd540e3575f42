/* Checks of images and windows: see window.h. */
#include "ops/window.h"

enum { LARGEST = 65536 };

ml_images ml_images_of(const ml_shape *s) {
  const int last = s->ndim - 1;
  return (ml_images){s->size[0], s->ndim == 4 ? s->size[1] : 1, s->size[last - 1], s->size[last]};
}

ml_status ml_check_images(const ml_op *op, const ml_shape *s, ml_error *err) {
  bool good = s->ndim == 3 || s->ndim == 4;
  for (int d = 1; good && d < s->ndim; d++) good = s->size[d] > 0;
  if (good) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: expected images, count x channels x height x width or count x height x width, "
                 "received %s", op->name, ML_SHAPE_WORDS(s));
}

static ml_status check_range(const ml_op *op, const char *what, int64_t h, int64_t w, int64_t least, ml_error *err) {
  if (h >= least && w >= least && h <= LARGEST && w <= LARGEST) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: the %s is %lldx%lld; expected %lld to %d", op->name, what, (long long)h,
                 (long long)w, (long long)least, LARGEST);
}

ml_status ml_check_window(const ml_op *op, const ml_window2d *win, const ml_images *im, ml_error *err) {
  if (check_range(op, "kernel", win->kh, win->kw, 1, err) != ML_OK) return ML_MISUSE;
  if (check_range(op, "stride", win->stride_h, win->stride_w, 1, err) != ML_OK) return ML_MISUSE;
  if (check_range(op, "padding", win->pad_top, win->pad_left, 0, err) != ML_OK) return ML_MISUSE;
  if (check_range(op, "padding", win->pad_bottom, win->pad_right, 0, err) != ML_OK) return ML_MISUSE;
  const int64_t h = im->h + win->pad_top + win->pad_bottom, w = im->w + win->pad_left + win->pad_right;
  if (win->kh <= h && win->kw <= w) return ML_OK;
  return ml_fail(err, ML_MISUSE, "%s: a kernel of %lldx%lld is larger than the images, %lldx%lld with their padding",
                 op->name, (long long)win->kh, (long long)win->kw, (long long)h, (long long)w);
}
