/* Batches of a dataset: shuffled by a counter-based permutation, augmented, normalised, and prepared one ahead.
 *
 * Two sets of buffers take turns: while the caller trains on one, idle pool threads fill the other. The batch handed
 * out stays valid until the next call of ml_loader_next or ml_loader_start. */
#ifndef ML_DATA_LOADER_H
#define ML_DATA_LOADER_H

#include "data/augment.h"
#include "data/dataset.h"

typedef struct ml_loader ml_loader;

typedef struct ml_loader_options {
  int64_t batch;          /* samples per batch, >= 1 */
  bool shuffle;
  bool drop_last;         /* leave out a last batch that is not full */
  double mean, std;       /* x' = (x / 255 - mean) / std for u8, (x - mean) / std for f32 */
  uint32_t seed;
  const ml_augment_options *augment;   /* NULL for none; copied */
} ml_loader_options;

/* Holds a reference to d. ML_MISUSE for a batch below 1, std not above 0, or what ml_augment_new refuses. */
ml_loader *ml_loader_new(ml_dataset *d, const ml_loader_options *options, ml_error *err);
void ml_loader_free(ml_loader *l);     /* NULL is allowed; waits for a job under way */

int64_t ml_loader_steps(const ml_loader *l);   /* batches in an epoch */

/* Puts the loader before batch `step` (0-based) of this epoch; the order depends on (seed, epoch) alone. */
ml_status ml_loader_start(ml_loader *l, uint32_t epoch, int64_t step, ml_error *err);

/* How strongly batches are augmented (0 to 1; 1 at first) that are begun from now on: by the next ml_loader_start, the
 * one it goes to; by the next ml_loader_next, the one after that which it hands out. */
void ml_loader_set_strength(ml_loader *l, double strength);

/* The next batch: *x f32 [b, ...image shape], *y i32 [b], or f32 [b, classes] of probabilities where augmentation mixes
 * samples; one reference each; both NULL at the end of the epoch. Mixing is between neighbours in the batch. */
ml_status ml_loader_next(ml_loader *l, ml_tensor **x, ml_tensor **y, ml_error *err);

#endif
