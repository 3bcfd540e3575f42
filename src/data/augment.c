/* Augmentation of a sample and of a pair: what is drawn, and the resampler called with it. Called by the loader's jobs;
 * the bend is in augment_bend.c, maps without chance in augment_fixed.c. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "base/fmath.h"
#include "base/memory.h"
#include "data/augment_parts.h"

/* What a random number is for: the step of its counter, so that one option does not shift another's numbers. */
enum { FOR_MAP, FOR_BEND, FOR_ERASE, FOR_NOISE, FOR_MIX };

struct ml_augment {
  ml_augment_options o;
  float *turn;             /* a copy of o.turn */
  ml_picture_size size;    /* planes of 0 if the samples are no pictures */
  ml_dtype dtype;
  int64_t row;             /* values of a sample */
  int classes;
  float scale, offset;
  bool maps, bends;
  ml_bend_plan bend;
};

/* ---- making ---- */

typedef struct range_rule {
  const char *name;
  ml_range range;
  double low, high;
} range_rule;

static ml_status check_ranges(const ml_augment_options *o, ml_error *err) {
  const range_rule rules[] = {
      {"rotate", o->rotate, -180, 180},
      {"shear", o->shear, -2, 2},
      {"scale", o->scale, 0.1, 10},
      {"zoom", o->zoom, 0.1, 10},
      {"shift", o->shift_x, -8192, 8192},
      {"shift", o->shift_y, -8192, 8192},
      {"elastic rms", {o->elastic_rms, o->elastic_rms}, 0, 100},
      {"elastic sigma", {o->elastic_sigma, o->elastic_sigma}, 1, 100},
      {"erase p", {o->erase_p, o->erase_p}, 0, 1},
      {"erase size", o->erase_size, 1, 8192},
      {"noise", {o->noise, o->noise}, 0, 1e6},
      {"mixup", {o->mixup, o->mixup}, 0, 100},
      {"cutmix", {o->cutmix, o->cutmix}, 0, 100},
  };
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    const range_rule *r = &rules[i];
    if (!(r->range.low >= r->low && r->range.high <= r->high && r->range.low <= r->range.high))
      return ml_fail(err, ML_MISUSE, "%s of %g to %g, expected a range within %g to %g", r->name, r->range.low,
                     r->range.high, r->low, r->high);
  }
  return ML_OK;
}

static bool differs(ml_range r, double neutral) { return r.low != neutral || r.high != neutral; }

static ml_status check_picture(const ml_augment *a, const ml_tensor *images, ml_error *err) {
  const ml_augment_options *o = &a->o;
  if (a->size.planes == 0 && (a->maps || a->bends || o->erase_p > 0 || o->cutmix > 0))
    return ml_fail(err, ML_MISUSE, "augmentation needs pictures (samples x height x width), but the samples are %s",
                   ML_SHAPE_WORDS(&images->shape));
  const int64_t side = a->size.height < a->size.width ? a->size.height : a->size.width;
  if (o->erase_p > 0 && o->erase_size.high > (double)side)
    return ml_fail(err, ML_MISUSE, "erase size of %g, but the pictures have %lld x %lld pixels", o->erase_size.high,
                   (long long)a->size.height, (long long)a->size.width);
  return ML_OK;
}

static bool copy_turn(ml_augment *a) {
  if (!a->o.turn) return true;
  a->turn = ml_calloc((size_t)a->classes + 1, sizeof *a->turn);
  if (a->turn) memcpy(a->turn, a->o.turn, (size_t)a->classes * sizeof *a->turn);
  a->o.turn = a->turn;
  return a->turn != NULL;
}

ml_augment *ml_augment_new(const ml_augment_options *options, const ml_tensor *images, int classes, double scale,
                           double offset, ml_error *err) {
  if (check_ranges(options, err) != ML_OK) return NULL;
  ml_augment *a = ml_calloc(1, sizeof *a);
  if (!a) {
    ml_fail(err, ML_NOMEM, "no memory for augmentation");
    return NULL;
  }
  *a = (ml_augment){.o = *options, .dtype = images->dtype, .row = ml_tensor_row_count(images), .classes = classes,
                    .scale = (float)scale, .offset = (float)offset};
  if (!ml_picture_size_of(&a->size, &images->shape)) a->size.planes = 0;
  a->bends = options->elastic_rms > 0;
  a->maps = differs(options->rotate, 0) || differs(options->shear, 0) || differs(options->scale, 1) ||
            differs(options->zoom, 1) || differs(options->shift_x, 0) || differs(options->shift_y, 0);
  bool ready = copy_turn(a);
  if (check_picture(a, images, err) != ML_OK) {
    ml_augment_free(a);
    return NULL;
  }
  if (ready && a->bends) ready = ml_bend_plan_init(&a->bend, a->size, options->elastic_rms, options->elastic_sigma);
  if (ready) return a;
  ml_augment_free(a);
  ml_fail(err, ML_NOMEM, "no memory for augmentation");
  return NULL;
}

void ml_augment_free(ml_augment *a) {
  if (!a) return;
  ml_bend_plan_free(&a->bend);
  ml_free(a->turn);
  ml_free(a);
}

bool ml_augment_moves(const ml_augment *a) { return a->maps || a->bends; }
bool ml_augment_mixes(const ml_augment *a) { return a->o.mixup > 0 || a->o.cutmix > 0; }

ml_augment_scratch *ml_augment_scratch_new(const ml_augment *a) {
  ml_augment_scratch *s = ml_calloc(1, sizeof *s);
  const ml_bend_plan *b = &a->bend;
  if (s && !ml_augment_scratch_init(s, a->size, 2 * b->rows * b->columns, 2 * b->rows * b->padded)) {
    ml_free(s);
    return NULL;
  }
  return s;
}

void ml_augment_scratch_free(ml_augment_scratch *s) {
  if (!s) return;
  ml_free(s->block);
  ml_free(s);
}

/* ---- drawing ---- */

static ml_rng rng_for(ml_augment_draw d, uint32_t purpose) {
  return (ml_rng){.seed = d.seed, .stream = ML_STREAM_AUGMENT, .epoch = d.epoch, .step = purpose, .sample = d.sample};
}

/* u of the way through the range, drawn towards `neutral` where strength is below 1. */
static double pick(ml_range r, float u, double neutral, double strength) {
  return neutral + strength * (r.low + (r.high - r.low) * u - neutral);
}

static ml_affine draw_map(const ml_augment *a, int label, ml_augment_draw d) {
  const ml_augment_options *o = &a->o;
  const double k = d.strength, turn = o->turn ? o->turn[label] : 1;
  float u[7];
  ml_rng rng = rng_for(d, FOR_MAP);
  ml_rng_uniform(u, 7, &rng, 0, 1);
  const double zoom = pick(o->zoom, u[4], 1, k);
  return (ml_affine){.rotate = turn * pick(o->rotate, u[0], 0, k), .shear = turn * pick(o->shear, u[1], 0, k),
                     .scale_x = zoom * pick(o->scale, u[2], 1, k), .scale_y = zoom * pick(o->scale, u[3], 1, k),
                     .shift_x = pick(o->shift_x, u[5], 0, k), .shift_y = pick(o->shift_y, u[6], 0, k)};
}

typedef struct rectangle {
  int64_t top, left, height, width;
} rectangle;

/* u in [0, 1) to a whole number low..high. */
static int64_t whole(float u, double low, double high) { return (int64_t)(low + floor(u * (high - low + 1))); }

/* A rectangle inside the picture, or one of no size for the samples that are spared. */
static rectangle draw_hole(const ml_augment *a, ml_augment_draw d) {
  float u[5];
  ml_rng rng = rng_for(d, FOR_ERASE);
  ml_rng_uniform(u, 5, &rng, 0, 1);
  if (u[0] >= (float)a->o.erase_p * d.strength) return (rectangle){0};
  rectangle r = {.height = whole(u[1], a->o.erase_size.low, a->o.erase_size.high),
                 .width = whole(u[2], a->o.erase_size.low, a->o.erase_size.high)};
  r.top = whole(u[3], 0, (double)(a->size.height - r.height));
  r.left = whole(u[4], 0, (double)(a->size.width - r.width));
  return r;
}

static void erase(const ml_augment *a, float *y, rectangle r) {
  for (int64_t p = 0; p < a->size.planes; p++)
    for (int64_t i = 0; i < r.height; i++) {
      float *line = y + (p * a->size.height + r.top + i) * a->size.width + r.left;
      for (int64_t j = 0; j < r.width; j++) line[j] = a->offset;
    }
}

void ml_augment_sample(const ml_augment *a, float *y, const ml_tensor *images, int64_t row, int label,
                       ml_augment_draw d, ml_augment_scratch *s) {
  const uint32_t key[2] = {d.seed, ML_STREAM_AUGMENT};
  if (ml_augment_moves(a)) {
    ml_warp w = {.height = a->size.height, .width = a->size.width, .work = s->work};
    const ml_affine map = draw_map(a, label, d);
    ml_affine_set(&w, &map);
    if (a->bends) w.bend = ml_bend_draw(&a->bend, (uint32_t[]){d.epoch, FOR_BEND, d.sample, 0}, key, d.strength, s);
    const char *x = (const char *)images->data + (size_t)(row * a->row) * ml_dtype_size(a->dtype);
    ml_picture_resample(y, x, a->dtype, &w, a->size.planes, 0.0f, a->scale, a->offset, s);
  }
  if (a->o.erase_p > 0) erase(a, y, draw_hole(a, d));
  if (a->o.noise > 0)
    ml_add_noise(y, a->row, (float)a->o.noise * d.strength, (uint32_t[]){d.epoch, FOR_NOISE, d.sample, 0}, key);
}

/* ---- mixing ---- */

/* ln of a Gamma(alpha) variate (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000), from
 * Gamma(alpha + 1) u^(1 / alpha) so that any alpha above 0 will do. In logarithms, because small ones underflow. */
static float log_gamma_variate(float alpha, ml_rng *rng) {
  const float d = alpha + 1.0f - 1.0f / 3.0f, c = 1.0f / (3.0f * __builtin_sqrtf(d));
  for (;;) {
    float z, u[2];
    ml_rng_normal(&z, 1, rng, 0, 1);
    ml_rng_uniform(u, 2, rng, 0x1p-25f, 1);
    const float root = 1.0f + c * z, v = root * root * root;
    if (v <= 0 || ml_logf(u[0]) >= 0.5f * z * z + d - d * v + d * ml_logf(v)) continue;
    return ml_logf(d * v) + ml_logf(u[1]) / alpha;
  }
}

/* Beta(alpha, alpha) */
static float draw_beta(float alpha, ml_rng *rng) {
  const float g = log_gamma_variate(alpha, rng), h = log_gamma_variate(alpha, rng);
  return ml_sigmoidf(g - h);
}

/* A rectangle of the picture's proportions and `share` of its area around a random point, cut off at the border. */
static rectangle draw_patch(const ml_augment *a, float share, const float u[2]) {
  const float side = __builtin_sqrtf(share), height = (float)a->size.height, width = (float)a->size.width;
  const float y = u[0] * height, x = u[1] * width, dy = 0.5f * side * height, dx = 0.5f * side * width;
  const int64_t top = (int64_t)fmaxf(y - dy, 0), left = (int64_t)fmaxf(x - dx, 0);
  const int64_t bottom = (int64_t)fminf(y + dy, height), right = (int64_t)fminf(x + dx, width);
  return (rectangle){top, left, bottom - top, right - left};
}

static void swap_patch(const ml_augment *a, float *x0, float *x1, rectangle r) {
  for (int64_t p = 0; p < a->size.planes; p++)
    for (int64_t i = 0; i < r.height; i++) {
      const int64_t at = (p * a->size.height + r.top + i) * a->size.width + r.left;
      for (int64_t j = at; j < at + r.width; j++) {
        const float kept = x0[j];
        x0[j] = x1[j];
        x1[j] = kept;
      }
    }
}

void ml_augment_pair(const ml_augment *a, float *x0, float *x1, float *target0, float *target1, ml_augment_draw d) {
  float u[3];
  ml_rng rng = rng_for(d, FOR_MIX);
  ml_rng_uniform(u, 3, &rng, 0, 1);
  const bool cut = a->o.cutmix > 0 && (a->o.mixup == 0 || u[0] < 0.5f);
  const float share = draw_beta((float)(cut ? a->o.cutmix : a->o.mixup), &rng) * d.strength; /* of the other one */
  float keep = 1.0f - share;
  if (cut) {
    const rectangle r = draw_patch(a, share, u + 1);
    swap_patch(a, x0, x1, r);
    keep = 1.0f - (float)(r.height * r.width) / (float)(a->size.height * a->size.width);
  } else {
    ml_mix_pair(x0, x1, a->row, keep);
  }
  ml_mix_pair(target0, target1, a->classes, keep);
}
