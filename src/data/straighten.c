/* Deskewing and centring: preprocessing that makes a new data set of straightened pictures, once. Called by the
 * bindings.
 *
 * With the ink as weight, (x0, y0) the centre of mass and m = cov(x, y) / var(y), the slant of the writing, the pixel
 * at (u, v) from the middle comes from (x0 + u + m v, y0 + v): LeCun, Bottou, Bengio and Haffner, "Gradient-based
 * learning applied to document recognition" (1998). Centring is the same with m = 0. */
#include "data/straighten.h"

#include "base/memory.h"
#include "base/pool.h"
#include "data/augment_parts.h"

enum { STRIPS = 16 };

typedef struct straighten_job {
  const ml_dataset *d;
  ml_tensor *out;
  ml_picture_size size;
  bool deskew;
  ml_augment_scratch scratch[STRIPS];
  float *picture[STRIPS];
} straighten_job;

/* The map that straightens a picture, from all its planes together; false if it has no ink. */
static bool straightening(ml_warp *w, const straighten_job *job, int64_t row) {
  const ml_tensor *images = job->d->images;
  const int64_t area = job->size.height * job->size.width, n = area * job->size.planes;
  double ink = 0, sx = 0, sy = 0, syy = 0, sxy = 0;
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = row * n + i;
    const double v = images->dtype == ML_U8 ? images->u8[at] : images->f32[at] > 0 ? images->f32[at] : 0;
    const double x = (double)(i % area % job->size.width), y = (double)(i % area / job->size.width);
    ink += v;
    sx += v * x;
    sy += v * y;
    syy += v * y * y;
    sxy += v * x * y;
  }
  if (!(ink > 0)) return false;
  const double x0 = sx / ink, y0 = sy / ink, variance = syy / ink - y0 * y0, covariance = sxy / ink - x0 * y0;
  *w = (ml_warp){.height = job->size.height, .width = job->size.width, .xx = 1, .yy = 1, .x0 = (float)x0,
                 .y0 = (float)y0};
  if (job->deskew && variance > 1e-6) w->xy = (float)(covariance / variance);
  return true;
}

static void store(const straighten_job *job, int64_t i, const float *y, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    if (job->out->dtype == ML_U8) job->out->u8[i * n + j] = (uint8_t)(y[j] + 0.5f);
    else job->out->f32[i * n + j] = y[j];
  }
}

static void straighten_strip(void *ctx, uint32_t strip) {
  straighten_job *job = ctx;
  const ml_tensor *images = job->d->images;
  const int64_t n = ml_tensor_row_count(images), count = job->d->count;
  const size_t bytes = (size_t)n * ml_dtype_size(images->dtype);
  for (int64_t i = count * strip / STRIPS; i < count * (strip + 1) / STRIPS; i++) {
    const int64_t row = ml_dataset_row(job->d, i);
    ml_warp w = {.height = job->size.height, .width = job->size.width};
    if (!straightening(&w, job, row)) ml_affine_set(&w, &ML_AFFINE_NONE);
    w.work = job->scratch[strip].work;
    ml_picture_resample(job->picture[strip], (const char *)images->data + (size_t)row * bytes, images->dtype, &w,
                        job->size.planes, 0.0f, 1.0f, 0.0f, &job->scratch[strip]);
    store(job, i, job->picture[strip], n);
  }
}

static bool make_buffers(straighten_job *job, int64_t n) {
  for (int i = 0; i < STRIPS; i++) {
    job->picture[i] = ml_alloc((size_t)n * sizeof *job->picture[i]);
    if (!job->picture[i] || !ml_augment_scratch_init(&job->scratch[i], job->size, 0, 0)) return false;
  }
  return true;
}

static ml_tensor *make_labels(const ml_dataset *d, ml_error *err) {
  ml_tensor *labels = ml_tensor_new(ML_I32, &(ml_shape){.ndim = 1, .size = {d->count}}, err);
  for (int64_t i = 0; labels && i < d->count; i++) labels->i32[i] = d->labels->i32[ml_dataset_row(d, i)];
  return labels;
}

ml_dataset *ml_dataset_straightened(const ml_dataset *d, bool deskew, ml_error *err) {
  straighten_job job = {.d = d, .deskew = deskew};
  if (!ml_picture_size_of(&job.size, &d->images->shape)) {
    ml_fail(err, ML_MISUSE, "expected pictures (samples x height x width), but the samples are %s",
            ML_SHAPE_WORDS(&d->images->shape));
    return NULL;
  }
  ml_shape shape = d->images->shape;
  shape.size[0] = d->count;
  job.out = ml_tensor_new(d->images->dtype, &shape, err);
  ml_tensor *labels = job.out ? make_labels(d, err) : NULL;
  ml_dataset *made = NULL;
  if (labels && !make_buffers(&job, ml_tensor_row_count(d->images))) {
    ml_fail(err, ML_NOMEM, "no memory for straightening %lld pictures", (long long)d->count);
  } else if (labels) {
    ml_pool_run(straighten_strip, &job, STRIPS);
    made = ml_dataset_new(job.out, labels, d->classes, err);
  }
  for (int i = 0; i < STRIPS; i++) {
    ml_free(job.picture[i]);
    ml_free(job.scratch[i].block);
  }
  ml_tensor_unref(job.out);
  ml_tensor_unref(labels);
  return made;
}
