/* The batch loader: the order of an epoch, two buffers that take turns, and the jobs that fill the next one while the
 * caller trains on this one. Called by the bindings, from the main thread; only fill_share runs elsewhere, and it
 * writes numbers and nothing else: references are counted on the main thread.
 *
 * A batch is cut into shares, a job each: workers take them up whenever they have nothing else to do, such as between
 * two parallel regions, and what none has begun when the batch is wanted is shared between the caller and the workers.
 * Small shares fit into small gaps; they cost little beside what they do. */
#include "data/loader.h"

#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"

enum { MOST_SHARES = 8, LEAST_SHARE = 16 /* samples */, LEAST_PLAIN = 8192 /* values, without augmentation */ };

typedef struct batch_buffer {
  ml_tensor *x, *y;   /* f32 [batch, ...image], i32 [batch] or f32 [batch, classes]; NULL until first used */
} batch_buffer;

/* A run of a batch's samples, filled by a job of its own. */
typedef struct batch_share {
  struct ml_loader *loader;
  int64_t begin, end;
  ml_augment_scratch *scratch;
  ml_job job;
} batch_share;

struct ml_loader {
  ml_dataset *d;
  ml_loader_options options;
  int64_t batch;      /* rows of a buffer: no more than there are samples */
  int64_t width;      /* values of a sample */
  int64_t steps, step;
  bool started;
  int32_t *order;     /* [count] rows of the images in this epoch's order */
  ml_byte_values pixels;
  batch_buffer buffers[2]; /* batch `step` lies in buffers[step % 2] */
  ml_augment *augment;     /* NULL for none */
  uint32_t epoch;
  float strength;          /* of batches to be begun; of the one under way */
  float strength_now;
  batch_share shares[MOST_SHARES];
  int share_count;
  bool pending;       /* the jobs are filling, or have filled, batch `step` */
};

static ml_status check_options(const ml_loader_options *o, ml_error *err) {
  if (o->batch < 1) return ml_fail(err, ML_MISUSE, "a batch of %lld samples, expected 1 or more", (long long)o->batch);
  if (!(o->std > 0) || !isfinite(o->std)) return ml_fail(err, ML_MISUSE, "std of %g, expected more than 0", o->std);
  if (!isfinite(o->mean)) return ml_fail(err, ML_MISUSE, "mean of %g, expected a finite number", o->mean);
  return ML_OK;
}

/* x' = scale x + offset for a stored value x */
static double value_scale(const ml_loader *l) {
  return (l->d->images->dtype == ML_U8 ? 1 / 255.0 : 1) / l->options.std;
}

static double value_offset(const ml_loader *l) { return -l->options.mean / l->options.std; }

/* Shares of even sizes, so that no pair to be mixed is cut apart. */
static void cut_batch(ml_loader *l) {
  const int64_t least = l->augment ? LEAST_SHARE : ml_max64(LEAST_SHARE, LEAST_PLAIN / ml_max64(l->width, 1));
  int64_t size = ml_max64(ml_ceil_div(l->batch, MOST_SHARES), least);
  size = ml_min64(size + size % 2, l->batch);
  for (int64_t begin = 0; begin < l->batch; begin += size)
    l->shares[l->share_count++] = (batch_share){.loader = l, .begin = begin, .end = begin + size};
}

static ml_status prepare_augment(ml_loader *l, ml_error *err) {
  const ml_augment_options *o = l->options.augment;
  l->options.augment = NULL;
  if (o) {
    l->augment = ml_augment_new(o, l->d->images, l->d->classes, value_scale(l), value_offset(l), err);
    if (!l->augment) return ML_MISUSE;
  }
  cut_batch(l);
  for (int i = 0; l->augment && i < l->share_count; i++) {
    l->shares[i].scratch = ml_augment_scratch_new(l->augment);
    if (!l->shares[i].scratch) return ml_fail(err, ML_NOMEM, "no memory for augmentation");
  }
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
  l->batch = ml_min64(options->batch, d->count);
  l->width = ml_tensor_row_count(d->images);
  l->steps = d->count / options->batch + (!options->drop_last && d->count % options->batch != 0);
  l->strength = 1;
  ml_byte_values_normalise(&l->pixels, options->mean, options->std);
  if (prepare_augment(l, err) == ML_OK) return l;
  ml_loader_free(l);
  return NULL;
}

/* From the last one on, because workers begin with the first: waiting for a job that nobody has begun runs it here, and
 * so both ends meet. */
static void wait_for_jobs(ml_loader *l) {
  for (int i = l->share_count - 1; l->pending && i >= 0; i--) ml_pool_wait(&l->shares[i].job);
  l->pending = false;
}

void ml_loader_free(ml_loader *l) {
  if (!l) return;
  wait_for_jobs(l);
  for (int i = 0; i < 2; i++) {
    ml_tensor_unref(l->buffers[i].x);
    ml_tensor_unref(l->buffers[i].y);
  }
  for (int i = 0; i < l->share_count; i++) ml_augment_scratch_free(l->shares[i].scratch);
  ml_augment_free(l->augment);
  ml_dataset_unref(l->d);
  ml_free(l->order);
  ml_free(l);
}

int64_t ml_loader_steps(const ml_loader *l) { return l->steps; }

/* Samples in batch `step`: all of them but the epoch's last have l->batch. */
static int64_t batch_size(const ml_loader *l, int64_t step) {
  return ml_min64(l->d->count - step * l->batch, l->batch);
}

/* ---- filling ---- */

static void gather_floats(const ml_loader *l, float *y, const int32_t *rows, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float *x = l->d->images->f32 + rows[i] * l->width;
    for (int64_t j = 0; j < l->width; j++) *y++ = (float)((x[j] - l->options.mean) / l->options.std);
  }
}

/* Samples begin..end-1 of the batch, normalised. */
static void fill_plain(const ml_loader *l, float *x, const int32_t *rows, int64_t begin, int64_t end) {
  if (l->d->images->dtype == ML_U8)
    ml_gather_u8(x + begin * l->width, l->d->images->u8, rows + begin, end - begin, l->width, &l->pixels);
  else
    gather_floats(l, x + begin * l->width, rows + begin, end - begin);
}

/* A label as probabilities where samples are mixed. */
static void fill_targets(const ml_loader *l, const ml_tensor *y, const int32_t *rows, int64_t begin, int64_t end) {
  const int64_t classes = l->d->classes;
  for (int64_t i = begin; i < end; i++) {
    const int32_t label = l->d->labels->i32[rows[i]];
    if (y->dtype == ML_I32) {
      y->i32[i] = label;
      continue;
    }
    for (int64_t c = 0; c < classes; c++) y->f32[i * classes + c] = c == label ? 1.0f : 0.0f;
  }
}

static void augment_share(const batch_share *share, const batch_buffer *b, const int32_t *rows, int64_t end) {
  const ml_loader *l = share->loader;
  const ml_augment *a = l->augment;
  const int64_t classes = l->d->classes, first = l->step * l->batch;
  ml_augment_draw draw = {.seed = l->options.seed, .epoch = l->epoch, .strength = l->strength_now};
  for (int64_t i = share->begin; i < end; i++) {
    draw.sample = (uint32_t)(first + i);
    ml_augment_sample(a, b->x->f32 + i * l->width, l->d->images, rows[i], l->d->labels->i32[rows[i]], draw,
                      share->scratch);
  }
  for (int64_t i = share->begin; ml_augment_mixes(a) && i + 1 < end; i += 2) {
    float *x = b->x->f32 + i * l->width, *target = b->y->f32 + i * classes;
    draw.sample = (uint32_t)(first + i);
    ml_augment_pair(a, x, x + l->width, target, target + classes, draw);
  }
}

/* The job: its share of batch `step` into the batch's buffer, which nobody else refers to. */
static void fill_share(void *ctx) {
  const batch_share *share = ctx;
  const ml_loader *l = share->loader;
  const batch_buffer *b = &l->buffers[l->step % 2];
  const int32_t *rows = l->order + l->step * l->batch;
  const int64_t count = batch_size(l, l->step), end = ml_min64(share->end, count);
  if (share->begin >= end) return;
  if (!l->augment || !ml_augment_moves(l->augment)) fill_plain(l, b->x->f32, rows, share->begin, end);
  fill_targets(l, b->y, rows, share->begin, end);
  if (l->augment) augment_share(share, b, rows, end);
}

/* A tensor that may be overwritten: *t, or a new one if a batch handed out earlier still shows its storage. */
static ml_status own_tensor(ml_tensor **t, ml_dtype dtype, const ml_shape *shape, ml_error *err) {
  if (*t && (*t)->storage->refs == 1) return ML_OK;
  ml_tensor_unref(*t);
  *t = ml_tensor_new(dtype, shape, err);
  return *t ? ML_OK : ML_NOMEM;
}

/* Begins to fill batch `step`; its jobs read strength_now, epoch and step, which stay until they are waited for. */
static ml_status prepare(ml_loader *l, ml_error *err) {
  batch_buffer *b = &l->buffers[l->step % 2];
  ml_shape shape = l->d->images->shape;
  shape.size[0] = l->batch;
  ml_status status = own_tensor(&b->x, ML_F32, &shape, err);
  const bool mixes = l->augment && ml_augment_mixes(l->augment);
  shape = (ml_shape){.ndim = mixes ? 2 : 1, .size = {l->batch, l->d->classes}};
  if (status == ML_OK) status = own_tensor(&b->y, mixes ? ML_F32 : ML_I32, &shape, err);
  if (status != ML_OK) return status;
  l->strength_now = l->strength;
  for (int i = 0; i < l->share_count; i++) {
    ml_job *next = i + 1 < l->share_count ? &l->shares[i + 1].job : NULL;
    l->shares[i].job = (ml_job){.fn = fill_share, .ctx = &l->shares[i], .next = next};
  }
  ml_pool_submit_chain(&l->shares[0].job);
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
  wait_for_jobs(l);
  draw_order(l, epoch);
  l->epoch = epoch;
  l->step = step;
  l->started = true;
  return step < l->steps ? prepare(l, err) : ML_OK;
}

void ml_loader_set_strength(ml_loader *l, double strength) { l->strength = (float)strength; }

ml_status ml_loader_next(ml_loader *l, ml_tensor **x, ml_tensor **y, ml_error *err) {
  *x = *y = NULL;
  if (!l->started) return ml_fail(err, ML_MISUSE, "the loader has no epoch yet: ml_loader_start comes first");
  if (l->step == l->steps) return ML_OK;
  if (!l->pending) {
    ml_status status = prepare(l, err);
    if (status != ML_OK) return status;
  }
  wait_for_jobs(l);
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
