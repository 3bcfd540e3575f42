/* Synthetic handwritten digits in the manner of MNIST: white ink on black, 28x28, the ink within about 20x20 around its
 * centre of mass. Called by the bindings, for work and tests without a download. Every sample is drawn from its own
 * counters, in float arithmetic without libm (sqrtf rounds correctly everywhere), so it is the same on every machine.
 *
 * A sample is made in four steps: draw the random numbers; bend a skeleton's points into a path; pose the path in the
 * image; ink it by each pixel's distance to it. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/digits_skeleton.h"
#include "data/readers.h"

#define SIDE      28
#define PIXELS    (SIDE * SIDE)
#define PIECES    5  /* straight pieces between two points of a skeleton */
#define MAX_PATH  (ML_DIGIT_MAX_POINTS * PIECES + 1)
#define GRID      4  /* control points of the elastic field along each side */
#define SOFT_EDGE 1.5f  /* pixels over which the ink fades */

/* ---- random numbers ---- */

typedef struct draws {
  ml_rng rng;
  uint32_t block[4];
  int used;
} draws;

static uint32_t draw_bits(draws *r) {
  if (r->used == 4) {
    ml_rng_next(r->block, &r->rng);
    r->used = 0;
  }
  return r->block[r->used++];
}

/* Uniform in [low, high). */
static float draw_uniform(draws *r, float low, float high) { return low + (high - low) * ml_rng_unit(draw_bits(r)); }

/* Symmetric about 0 within +-spread, more often small: the difference of two uniform numbers. */
static float draw_spread(draws *r, float spread) {
  uint32_t bits = draw_bits(r);
  return spread * ((float)((int32_t)(bits >> 16) - (int32_t)(bits & 0xffff)) * (1.0f / 65536));
}

static int draw_below(draws *r, int n) { return (int)((uint64_t)draw_bits(r) * (uint32_t)n >> 32); }

/* ---- the path ---- */

typedef struct path_point {
  float x, y;
  float radius;    /* half the stroke's width, in pixels */
  bool begins;     /* no ink between the point before and this one */
} path_point;

typedef struct path {
  int count;
  path_point points[MAX_PATH];
} path;

/* A displacement at each node of a GRID x GRID lattice, interpolated by cubic B-splines. */
typedef struct elastic {
  float dx[GRID][GRID], dy[GRID][GRID];
} elastic;

static void draw_elastic(elastic *e, draws *r, float spread) {
  for (int i = 0; i < GRID; i++)
    for (int j = 0; j < GRID; j++) {
      e->dx[i][j] = draw_spread(r, spread);
      e->dy[i][j] = draw_spread(r, spread);
    }
}

/* The four cubic B-spline weights at t in [0, 1]. */
static void spline_weights(float w[4], float t) {
  float s = 1 - t;
  w[0] = s * s * s * (1.0f / 6);
  w[3] = t * t * t * (1.0f / 6);
  w[1] = (4 - 6 * t * t + 3 * t * t * t) * (1.0f / 6);
  w[2] = 1 - w[0] - w[1] - w[3];
}

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* Moves a point of the unit box by the field; GRID of 4 is one spline patch over the whole box. */
static void bend(float *x, float *y, const elastic *e) {
  float wx[4], wy[4], dx = 0, dy = 0;
  spline_weights(wx, clamp(*x, 0, 1));
  spline_weights(wy, clamp(*y, 0, 1));
  for (int i = 0; i < GRID; i++)
    for (int j = 0; j < GRID; j++) {
      dx += wy[i] * wx[j] * e->dx[i][j];
      dy += wy[i] * wx[j] * e->dy[i][j];
    }
  *x += dx;
  *y += dy;
}

static void add_point(path *p, float x, float y, bool begins) {
  p->points[p->count++] = (path_point){.x = x, .y = y, .begins = begins};
}

/* Catmull-Rom: the curve from b to c, with the neighbours a and d giving its directions. */
static float curve_at(float a, float b, float c, float d, float t) {
  return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

/* The strokes through n points. Beyond a stroke's end or a corner, the neighbour is a mirror image. */
static void trace(path *p, const ml_digit_point *pens, float (*at)[2], int n) {
  p->count = 0;
  for (int i = 0; i < n; i++) {
    if (pens[i].pen == ML_PEN_DOWN) {
      add_point(p, at[i][0], at[i][1], true);
      continue;
    }
    float a[2], d[2];
    bool sharp_before = pens[i - 1].pen != ML_PEN_CURVE;
    bool sharp_after = i + 1 == n || pens[i].pen == ML_PEN_CORNER || pens[i + 1].pen == ML_PEN_DOWN;
    for (int k = 0; k < 2; k++) {
      a[k] = sharp_before ? 2 * at[i - 1][k] - at[i][k] : at[i - 2][k];
      d[k] = sharp_after ? 2 * at[i][k] - at[i - 1][k] : at[i + 1][k];
    }
    for (int j = 1; j <= PIECES; j++) {
      float t = (float)j * (1.0f / PIECES);
      add_point(p, curve_at(a[0], at[i - 1][0], at[i][0], d[0], t), curve_at(a[1], at[i - 1][1], at[i][1], d[1], t),
                false);
    }
  }
}

/* One of the digit's skeletons with every point moved a little, bent as a whole. */
static void draw_path(path *p, draws *r, int digit) {
  const ml_digit_skeleton *skeleton = &ml_digit_skeletons[digit];
  const ml_digit_point *pens = skeleton->styles[draw_below(r, skeleton->count)].points;
  float at[ML_DIGIT_MAX_POINTS][2];
  float jitter = draw_uniform(r, 0.01f, 0.1f);
  int n = 0;
  for (; pens[n].pen != ML_PEN_END; n++) {
    at[n][0] = (float)pens[n].x * 0.01f + draw_spread(r, jitter);
    at[n][1] = (float)pens[n].y * 0.01f + draw_spread(r, jitter);
  }
  elastic e;
  draw_elastic(&e, r, 0.36f);
  trace(p, pens, at, n);
  for (int i = 0; i < p->count; i++) bend(&p->points[i].x, &p->points[i].y, &e);
}

/* ---- the pose ---- */

/* Rotates, shears and stretches: x' = m[0] x + m[1] y, y' = m[2] x + m[3] y. An angle is given by its half's tangent:
 * cos = (1 - t^2) / (1 + t^2), sin = 2t / (1 + t^2). */
static void draw_matrix(float m[4], draws *r) {
  float t = draw_spread(r, 0.2f), slant = -0.16f + draw_spread(r, 0.55f), narrow = draw_uniform(r, 0.6f, 1.15f);
  float c = (1 - t * t) / (1 + t * t), s = 2 * t / (1 + t * t);
  m[0] = c * narrow;
  m[1] = c * slant - s;
  m[2] = s * narrow;
  m[3] = s * slant + c;
}

/* Scales the path to fit size x size. */
static void fit(path *p, float size) {
  float left = p->points[0].x, right = left, top = p->points[0].y, bottom = top;
  for (int i = 1; i < p->count; i++) {
    const path_point *q = &p->points[i];
    left = q->x < left ? q->x : left;
    right = q->x > right ? q->x : right;
    top = q->y < top ? q->y : top;
    bottom = q->y > bottom ? q->y : bottom;
  }
  float extent = right - left > bottom - top ? right - left : bottom - top;
  float scale = size / (extent > 0.1f ? extent : 0.1f);
  for (int i = 0; i < p->count; i++) {
    p->points[i].x *= scale;
    p->points[i].y *= scale;
  }
}

/* Moves the path's centre of mass to (x, y): the pieces' middles, weighted by length times width. */
static void centre(path *p, float x, float y) {
  float mass = 1e-6f, sum_x = 0, sum_y = 0;
  for (int i = 1; i < p->count; i++) {
    const path_point *a = &p->points[i - 1], *b = &p->points[i];
    if (b->begins) continue;
    float dx = b->x - a->x, dy = b->y - a->y;
    float w = sqrtf(dx * dx + dy * dy) * (a->radius + b->radius) * 0.5f;
    mass += w;
    sum_x += w * (a->x + b->x) * 0.5f;
    sum_y += w * (a->y + b->y) * 0.5f;
  }
  x -= sum_x / mass;
  y -= sum_y / mass;
  for (int i = 0; i < p->count; i++) {
    p->points[i].x += x;
    p->points[i].y += y;
  }
}

/* The stroke's half width wanders between three values along the path. */
static void draw_width(path *p, draws *r, float radius) {
  float knots[4];
  for (int i = 0; i < 4; i++) knots[i] = radius * (1 + draw_spread(r, 0.3f));
  for (int i = 0; i < p->count; i++) {
    float at = 3 * (float)i / (float)p->count;
    int k = (int)at;
    p->points[i].radius = knots[k] + (at - (float)k) * (knots[k + 1] - knots[k]);
  }
}

static void draw_pose(path *p, draws *r) {
  float m[4], radius = draw_uniform(r, 0.75f, 1.75f), size = draw_uniform(r, 16.5f, 20.5f);
  draw_matrix(m, r);
  for (int i = 0; i < p->count; i++) {
    path_point *q = &p->points[i];
    float x = q->x, y = q->y;
    q->x = m[0] * x + m[1] * y;
    q->y = m[2] * x + m[3] * y;
  }
  draw_width(p, r, radius);
  fit(p, size - 2 * radius);
  float x = 14 + draw_spread(r, 1.5f), y = 14 + draw_spread(r, 1.5f);
  centre(p, x, y);
}

/* ---- the ink ---- */

/* The pixels in reach of [low, high] along one side: *begin..*end-1. */
static void pixel_range(int *begin, int *end, float low, float high, float reach) {
  *begin = (int)clamp(low - reach, 0, SIDE);
  *end = (int)clamp(high + reach + 1, 0, SIDE);
}

/* ink = max(ink, coverage by a capsule from a to b): 1 within its radius, fading over SOFT_EDGE pixels around it. */
static void ink_piece(float *ink, const path_point *a, const path_point *b) {
  float dx = b->x - a->x, dy = b->y - a->y, dr = b->radius - a->radius;
  float per_length = 1 / (dx * dx + dy * dy + 1e-6f);
  float reach = (a->radius > b->radius ? a->radius : b->radius) + SOFT_EDGE;
  int left, right, top, bottom;
  pixel_range(&left, &right, a->x < b->x ? a->x : b->x, a->x < b->x ? b->x : a->x, reach);
  pixel_range(&top, &bottom, a->y < b->y ? a->y : b->y, a->y < b->y ? b->y : a->y, reach);
  for (int i = top; i < bottom; i++) {
    float y = (float)i + 0.5f - a->y;
    for (int j = left; j < right; j++) {
      float x = (float)j + 0.5f - a->x;
      float t = clamp((x * dx + y * dy) * per_length, 0, 1);
      float ex = x - t * dx, ey = y - t * dy;
      float cover = (a->radius + t * dr - sqrtf(ex * ex + ey * ey)) * (1 / SOFT_EDGE) + 0.5f;
      float *pixel = &ink[i * SIDE + j];
      *pixel = cover > *pixel ? cover : *pixel;
    }
  }
}

static void draw_ink(uint8_t *image, draws *r, const path *p) {
  float ink[PIXELS] = {0};
  for (int i = 1; i < p->count; i++)
    if (!p->points[i].begins) ink_piece(ink, &p->points[i - 1], &p->points[i]);
  float full = 255 * (1.15f - 0.3f * draw_uniform(r, 0, 1) * ml_rng_unit(draw_bits(r)));
  for (int i = 0; i < PIXELS; i++) image[i] = (uint8_t)(clamp(full * (ink[i] < 1 ? ink[i] : 1), 0, 255) + 0.5f);
}

/* ---- the set ---- */

typedef struct digits_job {
  uint32_t seed;
  uint8_t *images;
  int32_t *labels;
} digits_job;

static void make_range(void *ctx, int64_t begin, int64_t end) {
  const digits_job *job = ctx;
  for (int64_t i = begin; i < end; i++) {
    draws r = {.rng = ml_rng_make(job->seed, ML_STREAM_DIGITS), .used = 4};
    r.rng.sample = (uint32_t)i;
    path p;
    job->labels[i] = draw_below(&r, 10);
    draw_path(&p, &r, job->labels[i]);
    draw_pose(&p, &r);
    draw_ink(job->images + i * PIXELS, &r, &p);
  }
}

ml_dataset *ml_make_digits(int64_t n, uint32_t seed, ml_error *err) {
  if (n < 1 || n > INT32_MAX) {
    ml_fail(err, ML_MISUSE, "%lld digits, expected 1 to %d", (long long)n, INT32_MAX);
    return NULL;
  }
  ml_shape shape = {.ndim = 3, .size = {n, SIDE, SIDE}};
  ml_tensor *images = ml_tensor_new(ML_U8, &shape, err);
  shape.ndim = 1;
  ml_tensor *labels = images ? ml_tensor_new(ML_I32, &shape, err) : NULL;
  ml_dataset *d = NULL;
  if (labels) {
    digits_job job = {.seed = seed, .images = images->u8, .labels = labels->i32};
    ml_pool_for(make_range, &job, n, 64);
    d = ml_dataset_new(images, labels, 10, err);
  }
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
  return d;
}
