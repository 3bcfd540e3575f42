/* Samples that occur more than once, in one data set or in two (duplicates.c says how). Called by the bindings. */
#ifndef ML_DATA_DUPLICATES_H
#define ML_DATA_DUPLICATES_H

#include "data/dataset.h"

typedef struct ml_duplicates {
  int64_t count;         /* samples that occur elsewhere, byte for byte */
  int64_t relabelled;    /* of these, those that have another label there */
  int64_t first, second; /* the first of them (second, in b) and where it occurs (first, in a); -1 without any */
} ml_duplicates;

/* Finds the samples of b that occur in a; where b is a, those that occur earlier in a. Samples of another size or type
 * are never the same. ML_NOMEM is the only failure. */
ml_status ml_dataset_duplicates(ml_duplicates *found, const ml_dataset *a, const ml_dataset *b, ml_error *err);

#endif
