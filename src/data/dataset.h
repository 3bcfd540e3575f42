/* A dataset in memory: images as bytes, or rows of features as floats, with an integer label each.
 *
 * A dataset is a list of sample numbers over shared arrays, so a subset or a split copies no image. */
#ifndef ML_DATA_DATASET_H
#define ML_DATA_DATASET_H

#include "base/rng.h"
#include "tensor/tensor.h"

typedef struct ml_dataset {
  int refs;
  ml_tensor *images;    /* u8 or f32 [n, ...], e.g. [60000, 28, 28] */
  ml_tensor *labels;    /* i32 [n], each in 0..classes-1 */
  int classes;
  int64_t count;        /* samples in this view */
  int32_t *index;       /* [count] rows of images and labels; NULL for all of them in order */
} ml_dataset;

/* Takes a reference to both tensors; u8 labels, as IDX files have them, are copied to i32. classes of 0 means the
 * greatest label plus 1. ML_FORMAT if the numbers of images and labels differ (both are named) or a label is out of
 * range (its index is named). NULL on failure. */
ml_dataset *ml_dataset_new(ml_tensor *images, ml_tensor *labels, int classes, ml_error *err);
ml_dataset *ml_dataset_ref(ml_dataset *d);
void ml_dataset_unref(ml_dataset *d);   /* NULL is allowed */

/* The samples at rows[count] of d (0-based). ML_MISUSE if one is out of range. */
ml_dataset *ml_dataset_subset(const ml_dataset *d, const int32_t *rows, int64_t count, ml_error *err);
/* Samples begin..begin+count-1. */
ml_dataset *ml_dataset_range(const ml_dataset *d, int64_t begin, int64_t count, ml_error *err);
/* The same samples in the order of a permutation drawn from rng. */
ml_dataset *ml_dataset_shuffled(const ml_dataset *d, ml_rng rng, ml_error *err);

/* The row of images and labels that holds sample i. */
int32_t ml_dataset_row(const ml_dataset *d, int64_t i);
/* A 64-bit hash that tells data sets apart: FNV-1a over the shape, then in order over each sample's own FNV-1a and its
 * label. */
uint64_t ml_dataset_hash(const ml_dataset *d);
/* FNV-1a of the bytes of each of the samples first..first+count-1, on all threads. */
void ml_dataset_sample_hashes(uint64_t *hashes, const ml_dataset *d, int64_t first, int64_t count);
/* Mean and standard deviation of the pixels as x / 255 (of the features as they are, for f32), in double. */
void ml_dataset_moments(const ml_dataset *d, double *mean, double *std);

#endif
