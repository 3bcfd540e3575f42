/* What the files of augmentation share. Internal to src/data. */
#ifndef ML_DATA_AUGMENT_PARTS_H
#define ML_DATA_AUGMENT_PARTS_H

#include "data/augment.h"
#include "kernels/resample.h"

/* The planes of a sample: height x width each, one after the other. */
typedef struct ml_picture_size {
  int64_t planes, height, width;
} ml_picture_size;

/* False if a row of a tensor of this shape is no picture. */
bool ml_picture_size_of(ml_picture_size *size, const ml_shape *shape);

/* Buffers for one picture. */
struct ml_augment_scratch {
  float *work;            /* of the resampler */
  uint32_t *quads;        /* u8: the bordered source; f32: as floats */
  uint8_t *border;
  uint32_t *bits;         /* of the bend's control points */
  float *control, *rows;  /* the bend's control points; expanded to rows of pixels, x then y */
  void *block;            /* what holds them all */
};

/* `controls` and `row_floats` are for the bend, 0 without one. False if there is no memory. */
bool ml_augment_scratch_init(ml_augment_scratch *s, ml_picture_size size, int64_t controls, int64_t row_floats);

/* Sets the map of w: out of output coordinates into the source's. */
void ml_affine_set(ml_warp *w, const ml_affine *map);

/* All planes of a picture: y = scale * sample + offset. x points to u8 or f32 values as dtype says. */
void ml_picture_resample(float *y, const void *x, ml_dtype dtype, const ml_warp *w, int64_t planes, float background,
                         float scale, float offset, ml_augment_scratch *s);

/* The smooth random displacement (augment_bend.c). */
typedef struct ml_bend_plan {
  int64_t width, height, padded;
  int64_t columns, rows;      /* control points; columns a multiple of 4 */
  float *weights;             /* [columns][padded] */
  int32_t *first;             /* [height] */
  float (*taps)[4];           /* [height] */
  float amplitude;            /* of a uniform control point, for the wanted RMS */
} ml_bend_plan;

bool ml_bend_plan_init(ml_bend_plan *p, ml_picture_size size, double rms, double sigma);   /* false: no memory */
void ml_bend_plan_free(ml_bend_plan *p);
ml_bend ml_bend_draw(const ml_bend_plan *p, const uint32_t counter[4], const uint32_t key[2], float strength,
                     ml_augment_scratch *s);

#endif
