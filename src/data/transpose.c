/* Pictures whose rows were stored as columns, put right: EMNIST's are. Called by the bindings. */
#include "base/pool.h"
#include "data/readers.h"

typedef struct transpose_job {
  uint8_t *pixels;
  int64_t side;
} transpose_job;

static void transpose_range(void *ctx, int64_t begin, int64_t end) {
  const transpose_job *job = ctx;
  for (int64_t i = begin; i < end; i++) {
    uint8_t *x = job->pixels + i * job->side * job->side;
    for (int64_t r = 0; r < job->side; r++)
      for (int64_t c = r + 1; c < job->side; c++) {
        const uint8_t swap = x[r * job->side + c];
        x[r * job->side + c] = x[c * job->side + r];
        x[c * job->side + r] = swap;
      }
  }
}

ml_status ml_transpose_pictures(ml_tensor *images, ml_error *err) {
  const ml_shape *shape = &images->shape;
  if (images->dtype != ML_U8 || shape->ndim != 3 || shape->size[1] != shape->size[2]) {
    return ml_fail(err, ML_FORMAT, "expected square pictures of bytes, found %s of %s",
                   ML_SHAPE_WORDS(shape), ml_dtype_name(images->dtype));
  }
  transpose_job job = {images->u8, shape->size[1]};
  ml_pool_for(transpose_range, &job, shape->size[0], 256);
  return ML_OK;
}
