/* Finding the ink in a picture of a digit: how much each pixel differs from the paper around it (ink_paper.c,
 * ink_edges.c), which of these marks are the digit (ink.c), and how far pixels are from it (ink_distance.c). Used by
 * prepare.c only. */
#ifndef ML_DATA_INK_H
#define ML_DATA_INK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* No side of a picture given to these functions is longer. */
enum { ML_INK_MOST = 1024 };

typedef struct ml_ink_box {
  int64_t top, left, height, width;
} ml_ink_box;

/* Whether the picture shows a sheet of paper that lies on a table, and the part of it that lies well within the
 * sheet. */
bool ml_ink_find_sheet(ml_ink_box *box, const uint8_t *grey, int64_t height, int64_t width);

/* u [height, width]: how much a pixel of grey is darker than the paper around it (or lighter, if that is what the ink
 * is); *noise: the standard deviation of the paper. ML_NOMEM is the only failure. */
ml_status ml_ink_contrast(float *u, double *noise, const uint8_t *grey, int64_t height, int64_t width, ml_error *err);

/* The value from which on the values in a histogram [256] are the upper of two groups that lie farthest apart (Otsu's
 * method); 0 if all are equal. */
int ml_ink_parting(const int64_t *counts);

/* The contrast of typical ink: of the n values above `least`, the mean of the upper ones, those that ml_ink_parting
 * tells from edges, ruled lines and soft shadows; 0 if there are none. */
double ml_ink_level(const float *u, int64_t n, double least);

/* Takes shadows and tables along the sides of the picture off u [height, width]. */
void ml_ink_clear_edges(float *u, double noise, int64_t height, int64_t width);

/* strength [height, width]: 255 on the digit's strokes, 0 on paper and on marks that are no part of it, between them
 * along edges; *box: what it covers. u is changed. ML_FORMAT if there is no ink. */
ml_status ml_ink_select(uint8_t *strength, ml_ink_box *box, float *u, double noise, int64_t height, int64_t width,
                        ml_error *err);

/* d [height, width]: the distance between the centres of a pixel and the nearest one whose strength is 128 or more
 * (`of_ink`) or less than that; outside the picture there is paper. ML_NOMEM is the only failure. */
ml_status ml_ink_distance(float *d, const uint8_t *strength, bool of_ink, int64_t height, int64_t width, ml_error *err);

#endif
