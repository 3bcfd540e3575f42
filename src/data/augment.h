/* Augmentation: each time a sample is used it is a slightly different picture, by numbers that depend on the seed, the
 * epoch and the sample's place in it, and on nothing else: the same for any number of threads, from any starting point.
 *
 * The affine map and the elastic bend are composed, so a picture is interpolated once, straight from its stored pixels
 * to its normalised values. What lies outside is background (a stored value of 0). Order: map, erase, noise, mix.
 *
 * Called by the loader, from its jobs; once made, an ml_augment is only read. */
#ifndef ML_DATA_AUGMENT_H
#define ML_DATA_AUGMENT_H

#include <stdbool.h>

#include "base/rng.h"
#include "tensor/tensor.h"

typedef struct ml_range { double low, high; } ml_range;

/* The map takes a point p of the picture to c + t + R(rotate) [[1, shear], [0, 1]] diag(scale_x, scale_y) (p - c), with
 * c the middle and R counter-clockwise as seen. Every number is drawn uniformly from its range. */
typedef struct ml_augment_options {
  ml_range rotate;             /* degrees, within -180..180 */
  ml_range shear;              /* horizontal, pixels per pixel, within -2..2 */
  ml_range scale;              /* for each axis by itself, within 0.1..10 */
  ml_range zoom;               /* for both axes at once, likewise */
  ml_range shift_x, shift_y;   /* pixels to the right and down */
  double elastic_rms;          /* pixels, of either component of the bend's displacement; 0 for none */
  double elastic_sigma;        /* pixels: how smooth it is, 1 to 100 (see augment_bend.c) */
  double erase_p;              /* share of the samples that lose a rectangle */
  ml_range erase_size;         /* its sides, pixels, whole */
  double noise;                /* standard deviation, added to the normalised values */
  double mixup, cutmix;        /* alpha of Beta(alpha, alpha); 0 for none. With both, either at even odds */
  const float *turn;           /* [classes] factors on rotate and shear of the samples of a class; NULL for 1 */
} ml_augment_options;

/* All of it off. */
#define ML_AUGMENT_NONE                                                                      \
  ((ml_augment_options){.scale = {1, 1}, .zoom = {1, 1}, .elastic_sigma = 4, .erase_size = {1, 1}})

typedef struct ml_augment ml_augment;
typedef struct ml_augment_scratch ml_augment_scratch;   /* buffers of one job */

/* For samples like the rows of `images` ([n, height, width] or [n, channels, height, width], u8 or f32), normalised as
 * scale * value + offset. ML_MISUSE if an option is outside its range, or needs pictures and there are none. The
 * options are copied, turn too. */
ml_augment *ml_augment_new(const ml_augment_options *options, const ml_tensor *images, int classes, double scale,
                           double offset, ml_error *err);
void ml_augment_free(ml_augment *a);                    /* NULL is allowed */

bool ml_augment_moves(const ml_augment *a);             /* there is a map or a bend */
bool ml_augment_mixes(const ml_augment *a);             /* targets are probabilities */

/* NULL if there is no memory. */
ml_augment_scratch *ml_augment_scratch_new(const ml_augment *a);
void ml_augment_scratch_free(ml_augment_scratch *s);

/* Which sample of which epoch is to be augmented, and how strongly: 0 (not at all) to 1 scales every range towards
 * what changes nothing, p and the noise too. */
typedef struct ml_augment_draw {
  uint32_t seed, epoch, sample;
  float strength;
} ml_augment_draw;

/* y: the sample `row` of images; if nothing moves, y holds its normalised values already. */
void ml_augment_sample(const ml_augment *a, float *y, const ml_tensor *images, int64_t row, int label,
                       ml_augment_draw draw, ml_augment_scratch *s);

/* Mixes two augmented samples, each into the other, and their targets [classes]. draw.sample is the first one's. */
void ml_augment_pair(const ml_augment *a, float *x0, float *x1, float *target0, float *target1, ml_augment_draw draw);

/* ---- fixed maps, of a whole batch (augment_fixed.c) ---- */

typedef struct ml_affine {
  double rotate, shear, scale_x, scale_y, shift_x, shift_y;   /* units as above */
} ml_affine;

#define ML_AFFINE_NONE ((ml_affine){.scale_x = 1, .scale_y = 1})

/* f32 pictures [n, ...] moved by one map, `background` coming in from outside. NULL with err filled (ML_MISUSE for what
 * is no batch of pictures). */
ml_tensor *ml_augment_batch(const ml_tensor *x, const ml_affine *map, double background, ml_error *err);

#endif
