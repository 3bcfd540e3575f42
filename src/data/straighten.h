/* Preprocessing of pictures: deskewing and centring (straighten.c says how). Called by the bindings. */
#ifndef ML_DATA_STRAIGHTEN_H
#define ML_DATA_STRAIGHTEN_H

#include "data/dataset.h"

/* A data set of its own with the samples of d, in its order, moved so that their centre of mass is in the middle; with
 * `deskew` their slant is taken out, too. Pictures without ink stay as they are. ML_MISUSE if the samples are no
 * pictures. */
ml_dataset *ml_dataset_straightened(const ml_dataset *d, bool deskew, ml_error *err);

#endif
