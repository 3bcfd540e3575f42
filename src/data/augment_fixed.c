/* Maps of pictures without chance: the affine map, a picture's planes, a batch of f32 pictures moved at once (the views
 * of test-time augmentation). Called by augment.c, by straighten.c and by the bindings. */
#include "base/fmath.h"
#include "base/memory.h"
#include "base/pool.h"
#include "data/augment_parts.h"

bool ml_picture_size_of(ml_picture_size *size, const ml_shape *shape) {
  const int n = shape->ndim;
  if (n < 3 || n > 4) return false;
  *size = (ml_picture_size){n == 4 ? shape->size[1] : 1, shape->size[n - 2], shape->size[n - 1]};
  const int64_t most = 8192;
  return size->height >= 1 && size->width >= 1 && size->height <= most && size->width <= most;
}

/* The inverse of R(rotate) [[1, shear], [0, 1]] diag(scale_x, scale_y), rows counted downwards, and of the shift. Whole
 * quarter turns and whole pixels come out exact. */
void ml_affine_set(ml_warp *w, const ml_affine *map) {
  const float turns = (float)(map->rotate / 360), c = ml_cosf2pi(turns), s = ml_sinf2pi(turns);
  const float h = (float)map->shear, sx = (float)map->scale_x, sy = (float)map->scale_y;
  const float tx = (float)map->shift_x, ty = (float)map->shift_y;
  w->xx = (c - h * s) / sx;
  w->xy = (-s - h * c) / sx;
  w->yx = s / sy;
  w->yy = c / sy;
  w->x0 = 0.5f * (float)(w->width - 1) - (w->xx * tx + w->xy * ty);
  w->y0 = 0.5f * (float)(w->height - 1) - (w->yx * tx + w->yy * ty);
}

/* Every buffer begins at a cache line. */
static size_t rounded(int64_t bytes) { return ((size_t)bytes + 63) / 64 * 64; }

bool ml_augment_scratch_init(ml_augment_scratch *s, ml_picture_size size, int64_t controls, int64_t row_floats) {
  const int64_t area = ml_resample_area(size.height, size.width);
  const size_t work = rounded(ml_resample_workspace(size.width) * 4), quads = rounded(area * 4);
  const size_t border = rounded(area), bits = rounded(controls * 4), rows = rounded(row_floats * 4);
  char *block = ml_alloc(work + quads + border + 2 * bits + rows);
  s->block = block;
  if (!block) return false;
  s->work = (float *)(void *)block;
  s->quads = (uint32_t *)(void *)(block += work);
  s->border = (uint8_t *)(block += quads);
  s->bits = (uint32_t *)(void *)(block += border);
  s->control = (float *)(void *)(block += bits);
  s->rows = (float *)(void *)(block + bits);
  return true;
}

void ml_picture_resample(float *y, const void *x, ml_dtype dtype, const ml_warp *w, int64_t planes, float background,
                         float scale, float offset, ml_augment_scratch *s) {
  const int64_t area = w->height * w->width;
  for (int64_t p = 0; p < planes; p++, y += area) {
    if (dtype == ML_U8) {
      ml_resample_quads(s->quads, (const uint8_t *)x + p * area, w->height, w->width, s->border);
      ml_resample_u8(y, s->quads, w, scale, offset);
    } else {
      float *plane = (float *)(void *)s->quads;
      ml_resample_plane(plane, (const float *)x + p * area, w->height, w->width, background);
      ml_resample_f32(y, plane, w, scale, offset);
    }
  }
}

/* ---- a batch ---- */

enum { STRIPS = 16 };

typedef struct batch_job {
  const ml_tensor *x;
  ml_tensor *y;
  ml_picture_size size;
  ml_warp warp;
  float background;
  ml_augment_scratch scratch[STRIPS];
} batch_job;

static void move_strip(void *ctx, uint32_t strip) {
  batch_job *job = ctx;
  ml_warp warp = job->warp;
  warp.work = job->scratch[strip].work;
  const int64_t n = job->x->shape.size[0], row = ml_tensor_row_count(job->x);
  for (int64_t i = n * strip / STRIPS; i < n * (strip + 1) / STRIPS; i++)
    ml_picture_resample(job->y->f32 + i * row, job->x->f32 + i * row, ML_F32, &warp, job->size.planes, job->background,
                        1.0f, 0.0f, &job->scratch[strip]);
}

ml_tensor *ml_augment_batch(const ml_tensor *x, const ml_affine *map, double background, ml_error *err) {
  batch_job job = {.x = x, .background = (float)background};
  if (x->dtype != ML_F32 || !ml_picture_size_of(&job.size, &x->shape)) {
    ml_fail(err, ML_MISUSE, "expected f32 pictures (samples x height x width), received %s %s", ml_dtype_name(x->dtype),
            ML_SHAPE_WORDS(&x->shape));
    return NULL;
  }
  job.warp = (ml_warp){.height = job.size.height, .width = job.size.width};
  ml_affine_set(&job.warp, map);
  bool ready = true;
  for (int i = 0; i < STRIPS; i++) ready = ml_augment_scratch_init(&job.scratch[i], job.size, 0, 0) && ready;
  if (ready) job.y = ml_tensor_new(ML_F32, &x->shape, err);
  else ml_fail(err, ML_NOMEM, "no memory for moving pictures");
  if (job.y) ml_pool_run(move_strip, &job, STRIPS);
  for (int i = 0; i < STRIPS; i++) ml_free(job.scratch[i].block);
  return job.y;
}
