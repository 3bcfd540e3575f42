/* From a picture of a digit to one as MNIST's are. Called by the bindings.
 *
 * 1. The picture is reduced so that its longer side is at most SIDE pixels. Where it shows a sheet on a table, only
 *    the sheet counts (ink_sheet.c); if the digit fills a small part of it, that part alone is taken once more.
 * 2. Ink is what differs from the paper around it, to the side that tells dark ink from light (ink_paper.c,
 *    ink_edges.c, ink.c).
 * 3. Strokes thinner than MNIST's are thickened.
 * 4. The ink's bounding box is scaled to fit 20x20, keeping its aspect, each pixel the mean of what it covers; the
 *    strongest pixel becomes 255.
 * 5. It is moved by whole pixels so that its centre of mass is nearest to pixel (14, 14), counted from 0. In MNIST's
 *    training pictures the centre of mass lies within half a pixel of there, in all of them. */
#include "data/prepare.h"

#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "data/ink.h"
#include "data/picture_fit.h"

enum { SIDE = 320, BOX = ML_DIGIT_BOX, OUT = ML_DIGIT_SIDE };

/* Strokes narrower than this, in pixels of the result, become this wide. */
#define LEAST_STROKE 2.0

typedef struct picture {
  int64_t height, width;
  uint8_t *pixels;
} picture;

static ml_status no_memory(ml_error *err) { return ml_fail(err, ML_NOMEM, "no memory to prepare a picture"); }

/* A picture of this part of grey, whose longer side is at most SIDE. */
static ml_status take_part(picture *p, const uint8_t *grey, int64_t stride, ml_ink_box part, ml_error *err) {
  const int64_t longest = ml_max64(part.height, part.width);
  *p = (picture){.height = part.height, .width = part.width};
  uint8_t *rows = ml_alloc((size_t)(part.height * part.width));
  if (!rows) return no_memory(err);
  for (int64_t y = 0; y < part.height; y++)
    memcpy(rows + y * part.width, grey + (part.top + y) * stride + part.left, (size_t)part.width);
  p->pixels = rows;
  if (longest <= SIDE) return ML_OK;
  p->height = ml_max64(part.height * SIDE / longest, 1);
  p->width = ml_max64(part.width * SIDE / longest, 1);
  p->pixels = ml_alloc((size_t)(p->height * p->width));
  ml_status status = p->pixels ? ml_picture_fit(p->pixels, p->height, p->width, rows, part.height, part.width, 1, err)
                               : no_memory(err);
  ml_free(rows);
  return status;
}

/* Replaces the picture's pixels by the strength of the digit's ink, and tells what it covers. */
static ml_status find_ink(picture *p, ml_ink_box *box, ml_error *err) {
  double noise;
  float *u = ml_alloc((size_t)(p->height * p->width) * sizeof *u);
  if (!u) return no_memory(err);
  ml_status status = ml_ink_contrast(u, &noise, p->pixels, p->height, p->width, err);
  if (status == ML_OK) ml_ink_clear_edges(u, noise, p->height, p->width);
  if (status == ML_OK) status = ml_ink_select(p->pixels, box, u, noise, p->height, p->width, err);
  ml_free(u);
  return status;
}

/* What box, in pixels of p, is in the picture that p shows the given part of. */
static ml_ink_box in_picture(ml_ink_box box, const picture *p, ml_ink_box part) {
  const int64_t top = box.top * part.height / p->height, left = box.left * part.width / p->width;
  const int64_t bottom = ml_ceil_div((box.top + box.height) * part.height, p->height);
  const int64_t right = ml_ceil_div((box.left + box.width) * part.width, p->width);
  return (ml_ink_box){.top = part.top + top, .left = part.left + left, .height = bottom - top, .width = right - left};
}

/* box and as much again on every side, where p has it. */
static ml_ink_box around(ml_ink_box box, const picture *p) {
  const int64_t room = ml_max64(box.height, box.width);
  const int64_t top = ml_max64(box.top - room, 0), left = ml_max64(box.left - room, 0);
  return (ml_ink_box){.top = top, .left = left, .height = ml_min64(box.top + box.height + room, p->height) - top,
                      .width = ml_min64(box.left + box.width + room, p->width) - left};
}

/* The ink in p, which shows a part of grey, looked at more closely if it is small. */
static ml_status find_in_part(picture *p, ml_ink_box *box, const uint8_t *grey, int64_t stride, ml_ink_box part,
                              ml_error *err) {
  ml_status status = find_ink(p, box, err);
  if (status != ML_OK || (p->height == part.height && p->width == part.width)) return status;
  const ml_ink_box near = around(*box, p);
  if (2 * ml_max64(near.height, near.width) > SIDE) return ML_OK;
  const ml_ink_box closer = in_picture(near, p, part);
  ml_free(p->pixels);
  status = take_part(p, grey, stride, closer, err);
  return status == ML_OK ? find_ink(p, box, err) : status;
}

/* ---- strokes ---- */

/* The strokes' mean width in pixels: across a bar of width w the distance to paper is w / 4 + 1/2 in the mean. */
static double stroke_width(const float *inside, const uint8_t *strength, int64_t n) {
  double sum = 0, count = 0;
  for (int64_t i = 0; i < n; i++)
    if (strength[i] >= 128) sum += inside[i], count++;
  return count > 0 ? fmax(4 * sum / count - 2, 1) : 1;
}

/* A copy of the ink in box, with `margin` pixels of paper around it. */
static ml_status cut_out(picture *out, const picture *p, ml_ink_box box, int64_t margin, ml_error *err) {
  *out = (picture){.height = box.height + 2 * margin, .width = box.width + 2 * margin};
  out->pixels = ml_calloc((size_t)(out->height * out->width), 1);
  if (!out->pixels) return no_memory(err);
  for (int64_t y = 0; y < box.height; y++)
    memcpy(out->pixels + (y + margin) * out->width + margin, p->pixels + (box.top + y) * p->width + box.left,
           (size_t)box.width);
  return ML_OK;
}

static ml_status measure_stroke(double *stroke, const picture *p, ml_error *err) {
  float *d = ml_alloc((size_t)(p->height * p->width) * sizeof *d);
  if (!d) return no_memory(err);
  const ml_status status = ml_ink_distance(d, p->pixels, false, p->height, p->width, err);
  if (status == ML_OK) *stroke = stroke_width(d, p->pixels, p->height * p->width);
  ml_free(d);
  return status;
}

/* Adds `by` pixels on every side of the strokes; edges stay soft. */
static ml_status thicken(picture *p, double by, ml_error *err) {
  float *d = ml_alloc((size_t)(p->height * p->width) * sizeof *d);
  if (!d) return no_memory(err);
  const ml_status status = ml_ink_distance(d, p->pixels, true, p->height, p->width, err);
  for (int64_t i = 0; status == ML_OK && i < p->height * p->width; i++) {
    const double s = 255 * fmin(fmax(by + 0.5 - (double)d[i], 0), 1);
    if (s > p->pixels[i]) p->pixels[i] = (uint8_t)(s + 0.5);
  }
  ml_free(d);
  return status;
}

/* The digit alone, with strokes as wide as they have to be. */
static ml_status take_digit(picture *digit, const picture *p, ml_ink_box box, ml_error *err) {
  double stroke = 0;
  ml_status status = cut_out(digit, p, box, 0, err);
  if (status == ML_OK) status = measure_stroke(&stroke, digit, err);
  if (status != ML_OK) return status;
  /* With r added on every side the digit grows to longest + 2 r: (stroke + 2 r) BOX / (longest + 2 r) is enough. */
  const double longest = (double)ml_max64(box.height, box.width);
  const double by = (LEAST_STROKE * longest - BOX * stroke) / (2 * (BOX - LEAST_STROKE));
  if (by <= 0) return ML_OK;
  ml_free(digit->pixels);
  status = cut_out(digit, p, box, (int64_t)ceil(by), err);
  return status == ML_OK ? thicken(digit, by, err) : status;
}

/* ---- into MNIST's frame ---- */

static ml_status fit_box(picture *p, ml_error *err) {
  const int64_t longest = ml_max64(p->height, p->width);
  picture y = {.height = ml_max64((2 * BOX * p->height + longest) / (2 * longest), 1),
               .width = ml_max64((2 * BOX * p->width + longest) / (2 * longest), 1)};
  y.pixels = ml_alloc((size_t)(y.height * y.width));
  if (!y.pixels) return no_memory(err);
  const ml_status status = ml_picture_fit(y.pixels, y.height, y.width, p->pixels, p->height, p->width, 1, err);
  ml_free(p->pixels);
  *p = y;
  return status;
}

static void stretch(picture *p) {
  uint32_t most = 1;
  for (int64_t i = 0; i < p->height * p->width; i++) most = p->pixels[i] > most ? p->pixels[i] : most;
  for (int64_t i = 0; i < p->height * p->width; i++) p->pixels[i] = (uint8_t)((p->pixels[i] * 255 + most / 2) / most);
}

/* Where a side of `size` begins so that its mean lies nearest to the centre, and nothing is cut off. */
static int64_t place(double mean, int64_t size) {
  const int64_t at = ML_DIGIT_CENTRE - (int64_t)floor(mean + 0.5);
  return ml_min64(ml_max64(at, 0), OUT - size);
}

static void put_centred(uint8_t *out, const picture *p) {
  double mass = 0, down = 0, across = 0;
  for (int64_t i = 0; i < p->height * p->width; i++) {
    mass += p->pixels[i];
    down += (double)p->pixels[i] * (double)(i / p->width);
    across += (double)p->pixels[i] * (double)(i % p->width);
  }
  const int64_t top = place(mass > 0 ? down / mass : 0, p->height);
  const int64_t left = place(mass > 0 ? across / mass : 0, p->width);
  memset(out, 0, OUT * OUT);
  for (int64_t y = 0; y < p->height; y++)
    memcpy(out + (top + y) * OUT + left, p->pixels + y * p->width, (size_t)p->width);
}

/* ---- all steps ---- */

static ml_status find_digit(picture *p, ml_ink_box *box, const uint8_t *grey, int64_t height, int64_t width,
                            ml_error *err) {
  const ml_ink_box whole = {.height = height, .width = width};
  ml_ink_box sheet;
  ml_status status = take_part(p, grey, width, whole, err);
  if (status == ML_OK && ml_ink_find_sheet(&sheet, p->pixels, p->height, p->width)) {
    sheet = in_picture(sheet, p, whole);
    ml_free(p->pixels);
    status = take_part(p, grey, width, sheet, err);
    if (status == ML_OK) status = find_in_part(p, box, grey, width, sheet, err);
    if (status != ML_FORMAT) return status;
    ml_free(p->pixels);                      /* a blank sheet, which may be a bold stroke */
    status = take_part(p, grey, width, whole, err);
  }
  return status == ML_OK ? find_in_part(p, box, grey, width, whole, err) : status;
}

ml_status ml_prepare_digit(uint8_t *out, const uint8_t *grey, int64_t height, int64_t width, ml_error *err) {
  picture found = {.height = 0}, digit = {.height = 0};
  ml_ink_box box = {.top = 0};
  ml_status status = find_digit(&found, &box, grey, height, width, err);
  if (status == ML_OK) status = take_digit(&digit, &found, box, err);
  if (status == ML_OK) status = fit_box(&digit, err);
  if (status == ML_OK) {
    stretch(&digit);
    put_centred(out, &digit);
  }
  ml_free(found.pixels);
  ml_free(digit.pixels);
  return status;
}
