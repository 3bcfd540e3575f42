/* Datasets: shared arrays of images and labels, and views of some of their rows. Called by the readers of this folder,
 * by the loader and by the bindings. Nothing here changes an image or a label once the dataset exists. */
#include "data/dataset.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "base/pool.h"

static ml_status check_arrays(const ml_tensor *images, const ml_tensor *labels, int classes, ml_error *err) {
  if (!images->storage || !labels->storage) return ml_fail(err, ML_MISUSE, "images or labels of a step that has ended");
  if (images->dtype != ML_U8 && images->dtype != ML_F32)
    return ml_fail(err, ML_MISUSE, "images are %s, expected u8 or f32", ml_dtype_name(images->dtype));
  if (labels->dtype != ML_I32 && labels->dtype != ML_U8)
    return ml_fail(err, ML_MISUSE, "labels are %s, expected i32 or u8", ml_dtype_name(labels->dtype));
  if (images->shape.ndim < 1) return ml_fail(err, ML_FORMAT, "images are a scalar, expected a dimension of samples");
  if (labels->shape.ndim != 1)
    return ml_fail(err, ML_FORMAT, "labels have %d dimensions, expected 1", labels->shape.ndim);
  if (images->shape.size[0] != labels->shape.size[0])
    return ml_fail(err, ML_FORMAT, "%lld images but %lld labels", (long long)images->shape.size[0],
                   (long long)labels->shape.size[0]);
  if (images->shape.size[0] > INT32_MAX)
    return ml_fail(err, ML_FORMAT, "%lld samples, expected at most %d", (long long)images->shape.size[0], INT32_MAX);
  if (classes < 0) return ml_fail(err, ML_MISUSE, "%d classes, expected 1 or more (or 0 to count them)", classes);
  return ML_OK;
}

/* Floats may be a computed value, which its step takes away: a view of our own keeps the storage. */
static ml_tensor *hold_images(ml_tensor *images, ml_error *err) {
  if (images->dtype == ML_U8) return ml_tensor_ref(images);
  return ml_tensor_reshape(images, &images->shape, err);
}

static ml_tensor *hold_labels(ml_tensor *labels, ml_error *err) {
  if (labels->dtype == ML_I32) return ml_tensor_ref(labels);
  ml_tensor *wide = ml_tensor_new(ML_I32, &labels->shape, err);
  for (int64_t i = 0; wide && i < labels->shape.size[0]; i++) wide->i32[i] = labels->u8[i];
  return wide;
}

/* Every label in 0..classes-1; with classes of 0, as many classes as the greatest label asks for. */
static ml_status check_labels(ml_dataset *d, int classes, ml_error *err) {
  int32_t limit = classes > 0 ? classes : INT32_MAX, greatest = 0;
  for (int64_t i = 0; i < d->count; i++) {
    int32_t label = d->labels->i32[i];
    if (label < 0 || label >= limit)
      return ml_fail(err, ML_FORMAT, "label %d at index %lld, expected 0 to %d", label, (long long)i, limit - 1);
    greatest = label > greatest ? label : greatest;
  }
  d->classes = classes > 0 ? classes : greatest + 1;
  return ML_OK;
}

ml_dataset *ml_dataset_new(ml_tensor *images, ml_tensor *labels, int classes, ml_error *err) {
  if (check_arrays(images, labels, classes, err) != ML_OK) return NULL;
  ml_dataset *d = ml_calloc(1, sizeof *d);
  if (!d) {
    ml_fail(err, ML_NOMEM, "no memory for a dataset");
    return NULL;
  }
  d->refs = 1;
  d->count = images->shape.size[0];
  d->images = hold_images(images, err);
  if (d->images) d->labels = hold_labels(labels, err);
  if (!d->labels || check_labels(d, classes, err) != ML_OK) {
    ml_dataset_unref(d);
    return NULL;
  }
  return d;
}

ml_dataset *ml_dataset_ref(ml_dataset *d) {
  d->refs++;
  return d;
}

void ml_dataset_unref(ml_dataset *d) {
  if (!d || --d->refs > 0) return;
  ml_tensor_unref(d->images);
  ml_tensor_unref(d->labels);
  ml_free(d->index);
  ml_free(d);
}

int32_t ml_dataset_row(const ml_dataset *d, int64_t i) { return d->index ? d->index[i] : (int32_t)i; }

/* A view of count samples of d whose index the caller fills. */
static ml_dataset *new_view(const ml_dataset *d, int64_t count, ml_error *err) {
  ml_dataset *view = ml_calloc(1, sizeof *view);
  int32_t *index = ml_calloc((size_t)count + 1, sizeof *index);
  if (!view || !index) {
    ml_free(view);
    ml_free(index);
    ml_fail(err, ML_NOMEM, "no memory for an index of %lld samples", (long long)count);
    return NULL;
  }
  *view = (ml_dataset){.refs = 1, .classes = d->classes, .count = count, .index = index};
  view->images = ml_tensor_ref(d->images);
  view->labels = ml_tensor_ref(d->labels);
  return view;
}

ml_dataset *ml_dataset_subset(const ml_dataset *d, const int32_t *rows, int64_t count, ml_error *err) {
  if (count < 0 || count > INT32_MAX) {
    ml_fail(err, ML_MISUSE, "a subset of %lld samples, expected 0 to %d", (long long)count, INT32_MAX);
    return NULL;
  }
  for (int64_t i = 0; i < count; i++)
    if (rows[i] < 0 || rows[i] >= d->count) {
      ml_fail(err, ML_MISUSE, "sample %d of a dataset of %lld samples (counted from 0)", rows[i], (long long)d->count);
      return NULL;
    }
  ml_dataset *view = new_view(d, count, err);
  for (int64_t i = 0; view && i < count; i++) view->index[i] = ml_dataset_row(d, rows[i]);
  return view;
}

ml_dataset *ml_dataset_range(const ml_dataset *d, int64_t begin, int64_t count, ml_error *err) {
  if (begin < 0 || count < 0 || begin > d->count || count > d->count - begin) {
    ml_fail(err, ML_MISUSE, "%lld samples from sample %lld (counted from 0) of a dataset of %lld samples",
            (long long)count, (long long)begin, (long long)d->count);
    return NULL;
  }
  ml_dataset *view = new_view(d, count, err);
  for (int64_t i = 0; view && i < count; i++) view->index[i] = ml_dataset_row(d, begin + i);
  return view;
}

ml_dataset *ml_dataset_shuffled(const ml_dataset *d, ml_rng rng, ml_error *err) {
  ml_dataset *view = new_view(d, d->count, err);
  if (!view) return NULL;
  /* Signed and unsigned types of one size may share memory; every value is below 2^31. */
  ml_rng_permutation((uint32_t *)view->index, (uint32_t)d->count, &rng);
  for (int64_t i = 0; i < d->count; i++) view->index[i] = ml_dataset_row(d, view->index[i]);
  return view;
}

/* ---- hash ---- */

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define HASH_BLOCK 1024 /* samples hashed in parallel before their hashes are combined */

/* The number's bytes, the lowest first. */
static uint64_t fnv_number(uint64_t hash, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)(number >> (8 * i))) * FNV_PRIME;
  return hash;
}

typedef struct hash_job {
  const ml_dataset *d;
  int64_t first;     /* sample of hashes[0] */
  size_t row_bytes;
  uint64_t *hashes;
} hash_job;

/* FNV-1a of each sample's bytes. Four at a time, because one alone waits for its multiplications. */
static void hash_samples(void *ctx, int64_t begin, int64_t end) {
  hash_job *job = ctx;
  const uint8_t *bytes = job->d->images->data;
  for (int64_t i = begin; i < end; i += 4) {
    const uint8_t *row[4];
    uint64_t h[4] = {FNV_BASIS, FNV_BASIS, FNV_BASIS, FNV_BASIS};
    for (int k = 0; k < 4; k++) {
      int64_t sample = job->first + (i + k < end ? i + k : end - 1);
      row[k] = bytes + (size_t)ml_dataset_row(job->d, sample) * job->row_bytes;
    }
    for (size_t j = 0; j < job->row_bytes; j++)
      for (int k = 0; k < 4; k++) h[k] = (h[k] ^ row[k][j]) * FNV_PRIME;
    for (int k = 0; k < 4 && i + k < end; k++) job->hashes[i + k] = h[k];
  }
}

void ml_dataset_sample_hashes(uint64_t *hashes, const ml_dataset *d, int64_t first, int64_t count) {
  size_t row_bytes = (size_t)ml_tensor_row_count(d->images) * ml_dtype_size(d->images->dtype);
  hash_job job = {.d = d, .first = first, .row_bytes = row_bytes, .hashes = hashes};
  ml_pool_for(hash_samples, &job, count, 64);
}

/* FNV-1a over the number of samples, the dtype and the shape of one sample, then over (hash of its bytes, label) of
 * every sample in order: equal for equal samples, whether they are a view or a copy. */
uint64_t ml_dataset_hash(const ml_dataset *d) {
  uint64_t hashes[HASH_BLOCK];
  uint64_t hash = fnv_number(FNV_BASIS, (uint64_t)d->count, 8);
  hash = fnv_number(hash, (uint64_t)d->images->dtype, 1);
  for (int i = 1; i < d->images->shape.ndim; i++) hash = fnv_number(hash, (uint64_t)d->images->shape.size[i], 8);
  for (int64_t first = 0; first < d->count; first += HASH_BLOCK) {
    int64_t n = ml_min64(d->count - first, HASH_BLOCK);
    ml_dataset_sample_hashes(hashes, d, first, n);
    for (int64_t i = 0; i < n; i++) {
      hash = fnv_number(hash, hashes[i], 8);
      hash = fnv_number(hash, (uint32_t)d->labels->i32[ml_dataset_row(d, first + i)], 4);
    }
  }
  return hash;
}

/* ---- moments ---- */

/* Sums of v and v^2 over n bytes, exact: in 32 bits over runs short enough (4096 * 255^2 < 2^32). */
static void sum_bytes(uint64_t *sum, uint64_t *squares, const uint8_t *x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += 4096) {
    int64_t end = n - begin < 4096 ? n : begin + 4096;
    uint32_t s = 0, q = 0;
    for (int64_t i = begin; i < end; i++) {
      s += x[i];
      q += (uint32_t)x[i] * x[i];
    }
    *sum += s;
    *squares += q;
  }
}

/* Variance (n * sum(v^2) - sum(v)^2) / n^2, exact up to the division. */
static void byte_moments(const ml_dataset *d, int64_t width, double *mean, double *std) {
  uint64_t sum = 0, squares = 0, n = (uint64_t)d->count * (uint64_t)width;
  for (int64_t i = 0; i < d->count; i++)
    sum_bytes(&sum, &squares, d->images->u8 + ml_dataset_row(d, i) * width, width);
  unsigned __int128 spread = (unsigned __int128)n * squares - (unsigned __int128)sum * sum;
  *mean = (double)sum / (double)n / 255;
  *std = sqrt((double)spread) / (double)n / 255;
}

static void float_moments(const ml_dataset *d, int64_t width, double *mean, double *std) {
  double n = (double)d->count * (double)width, sum = 0, squares = 0;
  for (int64_t i = 0; i < d->count; i++) {
    const float *x = d->images->f32 + ml_dataset_row(d, i) * width;
    for (int64_t j = 0; j < width; j++) sum += x[j];
  }
  for (int64_t i = 0; i < d->count; i++) {
    const float *x = d->images->f32 + ml_dataset_row(d, i) * width;
    for (int64_t j = 0; j < width; j++) squares += (x[j] - sum / n) * (x[j] - sum / n);
  }
  *mean = sum / n;
  *std = sqrt(squares / n);
}

void ml_dataset_moments(const ml_dataset *d, double *mean, double *std) {
  int64_t width = ml_tensor_row_count(d->images);
  *mean = *std = 0;
  if (d->count == 0 || width == 0) return;
  if (d->images->dtype == ML_U8)
    byte_moments(d, width, mean, std);
  else
    float_moments(d, width, mean, std);
}
