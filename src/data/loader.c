/* The batch loader: the order of an epoch, two buffers that take turns, and the job that fills the next one while the
 * caller trains on this one. Called by the bindings, from the main thread; only fill_batch runs elsewhere, and it
 * writes numbers and nothing else: references are counted on the main thread. */
#include "data/loader.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"

typedef struct batch_buffer {
  ml_tensor *x, *y;   /* f32 [batch, ...image], i32 [batch]; NULL until first used */
} batch_buffer;

struct ml_loader {
  ml_dataset *d;
  ml_loader_options options;
  int64_t batch;      /* rows of a buffer: no more than there are samples */
  int64_t width;      /* values of a sample */
  int64_t steps, step;
  bool started;
  int32_t *order;     /* [count] rows of the images in this epoch's order */
  float table[256];   /* of a pixel's value */
  batch_buffer buffers[2]; /* batch `step` lies in buffers[step % 2] */
  ml_job job;
  bool pending;       /* the job is filling, or has filled, batch `step` */
};

static ml_status check_options(const ml_loader_options *o, ml_error *err) {
  if (o->batch < 1) return ml_fail(err, ML_MISUSE, "a batch of %lld samples, expected 1 or more", (long long)o->batch);
  if (!(o->std > 0) || !isfinite(o->std)) return ml_fail(err, ML_MISUSE, "std of %g, expected more than 0", o->std);
  if (!isfinite(o->mean)) return ml_fail(err, ML_MISUSE, "mean of %g, expected a finite number", o->mean);
  return ML_OK;
}

ml_loader *ml_loader_new(ml_dataset *d, const ml_loader_options *options, ml_error *err) {
  if (check_options(options, err) != ML_OK) return NULL;
  ml_loader *l = ml_calloc(1, sizeof *l);
  int32_t *order = ml_calloc((size_t)d->count + 1, sizeof *order);
  if (!l || !order) {
    ml_free(l);
    ml_free(order);
    ml_fail(err, ML_NOMEM, "no memory for a loader of %lld samples", (long long)d->count);
    return NULL;
  }
  l->d = ml_dataset_ref(d);
  l->options = *options;
  l->order = order;
  l->batch = options->batch < d->count ? options->batch : d->count;
  l->width = ml_tensor_row_count(d->images);
  l->steps = d->count / options->batch + (!options->drop_last && d->count % options->batch != 0);
  for (int v = 0; v < 256; v++) l->table[v] = (float)((v / 255.0 - options->mean) / options->std);
  return l;
}

static void wait_for_job(ml_loader *l) {
  if (l->pending) ml_pool_wait(&l->job);
  l->pending = false;
}

void ml_loader_free(ml_loader *l) {
  if (!l) return;
  wait_for_job(l);
  for (int i = 0; i < 2; i++) {
    ml_tensor_unref(l->buffers[i].x);
    ml_tensor_unref(l->buffers[i].y);
  }
  ml_dataset_unref(l->d);
  ml_free(l->order);
  ml_free(l);
}

int64_t ml_loader_steps(const ml_loader *l) { return l->steps; }

/* Samples in batch `step`: all of them but the epoch's last have l->batch. */
static int64_t batch_size(const ml_loader *l, int64_t step) {
  int64_t left = l->d->count - step * l->batch;
  return left < l->batch ? left : l->batch;
}

/* ---- filling ---- */

static void gather_floats(const ml_loader *l, float *y, const int32_t *rows, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float *x = l->d->images->f32 + rows[i] * l->width;
    for (int64_t j = 0; j < l->width; j++) *y++ = (float)((x[j] - l->options.mean) / l->options.std);
  }
}

/* The job: batch `step` into its buffer, which nobody else refers to. */
static void fill_batch(void *ctx) {
  const ml_loader *l = ctx;
  const batch_buffer *b = &l->buffers[l->step % 2];
  const int32_t *rows = l->order + l->step * l->batch;
  int64_t count = batch_size(l, l->step);
  if (l->d->images->dtype == ML_U8)
    ml_gather_u8(b->x->f32, l->d->images->u8, rows, count, l->width, l->table);
  else
    gather_floats(l, b->x->f32, rows, count);
  for (int64_t i = 0; i < count; i++) b->y->i32[i] = l->d->labels->i32[rows[i]];
}

/* A tensor that may be overwritten: *t, or a new one if a batch handed out earlier still shows its storage. */
static ml_status own_tensor(ml_tensor **t, ml_dtype dtype, const ml_shape *shape, ml_error *err) {
  if (*t && (*t)->storage->refs == 1) return ML_OK;
  ml_tensor_unref(*t);
  *t = ml_tensor_new(dtype, shape, err);
  return *t ? ML_OK : ML_NOMEM;
}

/* Begins to fill batch `step`. */
static ml_status prepare(ml_loader *l, ml_error *err) {
  batch_buffer *b = &l->buffers[l->step % 2];
  ml_shape shape = l->d->images->shape;
  shape.size[0] = l->batch;
  ml_status status = own_tensor(&b->x, ML_F32, &shape, err);
  shape.ndim = 1;
  if (status == ML_OK) status = own_tensor(&b->y, ML_I32, &shape, err);
  if (status != ML_OK) return status;
  ml_pool_submit(&l->job, fill_batch, l);
  l->pending = true;
  return ML_OK;
}

/* ---- taking ---- */

static void draw_order(ml_loader *l, uint32_t epoch) {
  int32_t *order = l->order;
  if (l->options.shuffle) {
    ml_rng rng = ml_rng_make(l->options.seed, ML_STREAM_SHUFFLE);
    rng.epoch = epoch;
    ml_rng_permutation((uint32_t *)order, (uint32_t)l->d->count, &rng); /* values below 2^31 */
  } else {
    for (int64_t i = 0; i < l->d->count; i++) order[i] = (int32_t)i;
  }
  for (int64_t i = 0; i < l->d->count; i++) order[i] = ml_dataset_row(l->d, order[i]);
}

ml_status ml_loader_start(ml_loader *l, uint32_t epoch, int64_t step, ml_error *err) {
  if (step < 0 || step > l->steps)
    return ml_fail(err, ML_MISUSE, "step %lld of an epoch of %lld steps (counted from 0)", (long long)step,
                   (long long)l->steps);
  wait_for_job(l);
  draw_order(l, epoch);
  l->step = step;
  l->started = true;
  return step < l->steps ? prepare(l, err) : ML_OK;
}

ml_status ml_loader_next(ml_loader *l, ml_tensor **x, ml_tensor **y, ml_error *err) {
  *x = *y = NULL;
  if (!l->started) return ml_fail(err, ML_MISUSE, "the loader has no epoch yet: ml_loader_start comes first");
  if (l->step == l->steps) return ML_OK;
  if (!l->pending) {
    ml_status status = prepare(l, err);
    if (status != ML_OK) return status;
  }
  wait_for_job(l);
  const batch_buffer *b = &l->buffers[l->step % 2];
  int64_t count = batch_size(l, l->step);
  *x = ml_tensor_rows(b->x, 0, count, err);
  *y = *x ? ml_tensor_rows(b->y, 0, count, err) : NULL;
  if (!*y) {
    ml_tensor_unref(*x);
    *x = NULL;
    return ML_NOMEM;
  }
  l->step++;
  /* A failure here is not this batch's: the next call tries again and reports it. */
  if (l->step < l->steps) prepare(l, NULL);
  return ML_OK;
}
