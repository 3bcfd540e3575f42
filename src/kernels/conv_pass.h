/* A convolution taken apart. The forward is one pass, the input gradient one pass for each of the stride_h x stride_w
 * remainders of a pixel's place: in a pass all pixels use the same taps of the kernel, and their neighbours in a row
 * read neighbours in the source, so that a pass is a matrix product
 *
 *     out[row, pixel] = sum over p of weights[row, p] staged[pixel + offset of p],   p = (channel, tap)
 *
 * over the source copied, some images at a time, into planes with the padding written out (staged). Internal to
 * src/kernels: conv.c drives, conv_product.c and conv_direct.c compute passes, conv_dw.c uses the forward pass. */
#ifndef ML_CONV_PASS_H
#define ML_CONV_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/conv.h"
#include "kernels/conv_unit.h"

/* Staged planes [phases][rows][cols]: element (f, r, u) is the source's (row0 + r, col0 + f + u step), 0 outside. */
typedef struct ml_conv_planes {
  const float *source; /* [n, channels, h, w] */
  int64_t channels, h, w;
  int64_t row0, col0, step, phases, rows, cols;
  int64_t plane; /* floats: phases * rows * cols */
} ml_conv_planes;

typedef struct ml_conv_pass {
  int64_t groups, rows, channels; /* of a group: rows of out, channels of the source */
  int64_t k;                      /* channels * taps.taps */
  ml_conv_planes planes;
  ml_conv_taps taps;

  /* The weight of (group, row, channel, tap) is weights[group * weight_group + row * weight_row +
   * channel * weight_channel + weight_tap[tap]]. */
  const float *weights;
  int64_t weight_group, weight_row, weight_channel;
  const int64_t *weight_tap;

  /* Pixel (i, j) of this pass, i < h and j < w, reads from base + i * row + j on in its image's first plane, and is
   * out[image * out_image + row * out_plane + out_base + i * out_row + j * out_col]. */
  int64_t h, w, base, row;
  float *out;
  int64_t out_image, out_plane, out_base, out_row, out_col;
  const float *bias; /* per row of all groups, or NULL */
  bool relu;
} ml_conv_pass;

/* int64_t words that the tables of a pass take. ml_conv_*_pass are given as many, or NULL where only sizes matter. */
int64_t ml_conv_table_words(const ml_conv2d *g);

ml_conv_pass ml_conv_forward_pass(const ml_conv2d *g, float *y, const float *x, const float *w, int64_t *words);

/* The pass for the pixels of dx whose row + pad_top leaves r over, and whose column + pad_left leaves q over, when
 * divided by the strides; h or w is 0 where there are none. The planes are the same for all r and q. */
ml_conv_pass ml_conv_dx_pass(const ml_conv2d *g, float *dx, const float *dy, const float *w, int64_t r, int64_t q,
                             int64_t *words);

/* to[images, channels, plane] from images first.. of the source; threaded. */
void ml_conv_stage(float *to, const ml_conv_planes *p, int64_t first, int64_t images);

/* The pixels q0..q0+count-1, counted through the images of a stage, cut into pieces of at most `width` along their
 * rows; count pieces at most. Returns how many. */
int64_t ml_conv_cut(ml_conv_piece *pieces, const ml_conv_pass *p, int width, int64_t q0, int64_t count);

/* out[p - p0] = the weights of products p0..p0+count-1 of a row. */
void ml_conv_weights(float *out, const ml_conv_pass *p, int64_t group, int64_t row, int64_t p0, int64_t count);

#endif
