/* Batch norm: cuts the work up for the thread pool and calls the loops of the instruction set in use. A block of
 * channels is summed and then changed by the same thread, while it is still in that core's cache; where there are few,
 * the samples of each are shared out instead, in parts whose number follows from the sizes. Rows of features go in
 * blocks of columns. With halving, what a block has in one sample lies in a buffer on the stack before the pooling, and
 * so do its gradients: they never reach memory. */
#include "kernels/norm.h"

#include <math.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/isa.h"
#include "kernels/norm_table.h"
#include "kernels/pooling_halve.h"

enum {
  GRAIN = 16384,     /* elements that one thread takes at a time */
  MAX_PARTS = 32,    /* parts of a block's sums, on the stack */
  BLOCK = 16,        /* channels at most in a block */
  RUN = 512,         /* elements at least of a block in one sample, if it is not full */
  FEW_BLOCKS = 8     /* fewer are not shared out among threads */
};

typedef struct batch {
  const ml_norm *g;
  const ml_norm_table *table;
  float *y, *mean, *rstd, *var;        /* forward */
  float *dx, *dw, *db;                 /* backward */
  const float *x, *dy, *given_mean, *given_rstd;
  double eps;
  bool constant;
} batch;

/* Neighbouring channels, whose values in one sample are one run of memory. */
typedef struct block {
  const batch *b;
  int64_t first, channels;
  int64_t samples;                     /* in a part */
  ml_norm_affine affine[BLOCK];
  ml_norm_slope slope[BLOCK];
  ml_norm_sums (*sums)[BLOCK];         /* by part and channel */
} block;

const ml_norm_table *ml_norm_table_in_use(void) { return ML_FOR_ISA(ml_norm); }

static ml_norm_affine affine_of(const ml_norm *g, int64_t c, float mean, float rstd) {
  return (ml_norm_affine){.mean = mean, .scale = g->weight ? g->weight[c] * rstd : rstd,
                          .bias = g->bias ? g->bias[c] : 0.0f, .relu = g->relu};
}

static void set_affine(ml_norm_affines *f, int64_t j, ml_norm_affine one) {
  f->mean[j] = one.mean;
  f->scale[j] = one.scale;
  f->bias[j] = one.bias;
}

/* Mean and variance of count values from the sums of what they exceed shift by; stores them for channel c. */
static void store_moments(const batch *b, int64_t c, float shift, double sum, double squares) {
  const double count = (double)(b->g->n * b->g->inner), off = sum / count;
  double var = squares / count - off * off;
  if (var < 0.0) var = 0.0;
  b->mean[c] = (float)((double)shift + off);
  b->var[c] = (float)var;
  b->rstd[c] = (float)(1.0 / sqrt(var + b->eps));
}

/* dx from the sums of g and of g (x - mean), and the parameters' gradients. */
static ml_norm_slope slope_of(const batch *b, int64_t c, float scale, double sum, double product) {
  const double count = (double)(b->g->n * b->g->inner), rstd = (double)b->given_rstd[c], a = (double)scale;
  if (b->dw) b->dw[c] = (float)(product * rstd);
  if (b->db) b->db[c] = (float)sum;
  if (b->constant) return (ml_norm_slope){.a = scale};
  return (ml_norm_slope){.a = scale, .b = (float)(-a * rstd * rstd * product / count), .c = (float)(-a * sum / count)};
}

/* ---- images ---- */

/* How many channels make a block: runs of memory as long as the processor likes to read them. */
static int64_t channels_per_block(const ml_norm *g) {
  const int64_t channels = ml_ceil_div(RUN, g->inner);
  return ml_min64(ml_min64(channels, BLOCK), g->c);
}

static block block_of(const batch *b, int64_t number) {
  const int64_t channels = channels_per_block(b->g), first = number * channels;
  return (block){.b = b, .first = first, .channels = ml_min64(channels, b->g->c - first)};
}

/* Channel k of the block in this sample. */
static int64_t element(const block *k, int64_t sample, int64_t channel) {
  return (sample * k->b->g->c + k->first + channel) * k->b->g->inner;
}

/* Runs fn over the block's samples in parts; returns how many there are. */
static int64_t in_parts(ml_range_fn fn, block *k) {
  const ml_norm *g = k->b->g;
  const int64_t sample = k->channels * g->inner, least = ml_ceil_div(g->n, MAX_PARTS);
  k->samples = sample >= GRAIN ? 1 : GRAIN / sample;
  if (k->samples < least) k->samples = least;
  ml_pool_for(fn, k, g->n, k->samples);
  return ml_ceil_div(g->n, k->samples);
}

/* y, or dy, of the block in this sample, and the places of what is left of its halving. */
static int64_t halved_element(const block *k, int64_t sample) {
  const ml_norm_halving *h = k->b->g->halving;
  return (sample * k->b->g->c + k->first) * (h->h / 2) * (h->w / 2);
}

static void moments_range(void *ctx, int64_t begin, int64_t end) {
  const block *k = ctx;
  ml_norm_sums *sum = k->sums[begin / k->samples];
  for (int64_t c = 0; c < k->channels; c++) sum[c] = (ml_norm_sums){.p = {0}};
  for (int64_t i = begin; i < end; i++)
    for (int64_t c = 0; c < k->channels; c++)
      k->b->table->moments(&sum[c], k->b->x + element(k, i, c), k->b->g->inner, k->b->x[element(k, 0, c)]);
}

static void apply_range(void *ctx, int64_t begin, int64_t end) {
  const block *k = ctx;
  const ml_norm *g = k->b->g;
  float buffer[ML_NORM_HALVED];
  for (int64_t i = begin; i < end; i++) {
    float *y = g->halving ? buffer : k->b->y + element(k, i, 0);
    for (int64_t c = 0; c < k->channels; c++)
      k->b->table->apply(y + c * g->inner, k->b->x + element(k, i, c), g->inner, &k->affine[c]);
    if (!g->halving) continue;
    const int64_t at = halved_element(k, i);
    ml_halve(k->b->y + at, g->halving->index + at, buffer, k->channels, g->halving->h, g->halving->w);
  }
}

/* dy of the block in this sample, before the halving in the buffer. */
static const float *dy_of(const block *k, int64_t sample, float buffer[ML_NORM_HALVED]) {
  const ml_norm_halving *h = k->b->g->halving;
  if (!h) return k->b->dy + element(k, sample, 0);
  const int64_t at = halved_element(k, sample);
  ml_halve_dx(buffer, k->b->dy + at, h->index + at, k->channels, h->h, h->w);
  return buffer;
}

static void slope_sums_range(void *ctx, int64_t begin, int64_t end) {
  const block *k = ctx;
  ml_norm_sums *sum = k->sums[begin / k->samples];
  const int64_t inner = k->b->g->inner;
  float buffer[ML_NORM_HALVED];
  for (int64_t c = 0; c < k->channels; c++) sum[c] = (ml_norm_sums){.p = {0}};
  for (int64_t i = begin; i < end; i++) {
    const float *dy = dy_of(k, i, buffer);
    for (int64_t c = 0; c < k->channels; c++)
      k->b->table->slope_sums(&sum[c], dy + c * inner, k->b->x + element(k, i, c), inner, &k->affine[c]);
  }
}

static void slope_range(void *ctx, int64_t begin, int64_t end) {
  const block *k = ctx;
  const int64_t inner = k->b->g->inner;
  float buffer[ML_NORM_HALVED];
  for (int64_t i = begin; i < end; i++) {
    const float *dy = dy_of(k, i, buffer);
    for (int64_t c = 0; c < k->channels; c++) {
      const int64_t at = element(k, i, c);
      k->b->table->slope(k->b->dx + at, dy + c * inner, k->b->x + at, inner, &k->affine[c], &k->slope[c]);
    }
  }
}

/* Runs fn, which fills k->sums, and adds the parts up. */
static void sum_parts(double total[BLOCK][2], ml_range_fn fn, block *k) {
  ml_norm_sums parts[MAX_PARTS][BLOCK];
  k->sums = parts;
  const int64_t count = in_parts(fn, k);
  for (int64_t c = 0; c < k->channels; c++) {
    total[c][0] = total[c][1] = 0.0;
    for (int64_t i = 0; i < count; i++) {
      total[c][0] += ml_norm_total(parts[i][c].p);
      total[c][1] += ml_norm_total(parts[i][c].q);
    }
  }
}

static void forward_blocks(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  for (int64_t i = begin; i < end; i++) {
    double sum[BLOCK][2];
    block k = block_of(b, i);
    sum_parts(sum, moments_range, &k);
    for (int64_t c = 0; c < k.channels; c++) {
      const int64_t channel = k.first + c;
      store_moments(b, channel, b->x[element(&k, 0, c)], sum[c][0], sum[c][1]);
      k.affine[c] = affine_of(b->g, channel, b->mean[channel], b->rstd[channel]);
    }
    in_parts(apply_range, &k);
  }
}

static void backward_blocks(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  for (int64_t i = begin; i < end; i++) {
    double sum[BLOCK][2];
    block k = block_of(b, i);
    for (int64_t c = 0; c < k.channels; c++)
      k.affine[c] = affine_of(b->g, k.first + c, b->given_mean[k.first + c], b->given_rstd[k.first + c]);
    sum_parts(sum, slope_sums_range, &k);
    for (int64_t c = 0; c < k.channels; c++)
      k.slope[c] = slope_of(b, k.first + c, k.affine[c].scale, sum[c][0], sum[c][1]);
    if (b->dx) in_parts(slope_range, &k);
  }
}

static void apply_planes(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  const int64_t inner = b->g->inner;
  const ml_norm_halving *h = b->g->halving;
  float buffer[ML_NORM_HALVED];
  for (int64_t i = begin; i < end; i++) {
    const int64_t c = i % b->g->c;
    const ml_norm_affine f = affine_of(b->g, c, b->given_mean[c], b->given_rstd[c]);
    b->table->apply(h ? buffer : b->y + i * inner, b->x + i * inner, inner, &f);
    if (!h) continue;
    const int64_t at = i * (h->h / 2) * (h->w / 2);
    ml_halve(b->y + at, h->index + at, buffer, 1, h->h, h->w);
  }
}

/* ---- rows of features: blocks of columns ---- */

static void forward_columns(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  const int64_t c = b->g->c, n = b->g->n;
  for (int64_t at = begin * ML_NORM_COLUMNS; at < ml_min64(end * ML_NORM_COLUMNS, c); at += ML_NORM_COLUMNS) {
    const int64_t w = ml_min64(ML_NORM_COLUMNS, c - at);
    double sum[ML_NORM_COLUMNS] = {0}, squares[ML_NORM_COLUMNS] = {0};
    ml_norm_affines f = {.relu = b->g->relu};
    b->table->column_moments(sum, squares, b->x + at, n, c, w, b->x + at);
    for (int64_t j = 0; j < w; j++) {
      store_moments(b, at + j, b->x[at + j], sum[j], squares[j]);
      set_affine(&f, j, affine_of(b->g, at + j, b->mean[at + j], b->rstd[at + j]));
    }
    b->table->column_apply(b->y + at, b->x + at, n, c, w, &f);
  }
}

static void given_affines(ml_norm_affines *f, const batch *b, int64_t at, int64_t w) {
  f->relu = b->g->relu;
  for (int64_t j = 0; j < w; j++)
    set_affine(f, j, affine_of(b->g, at + j, b->given_mean[at + j], b->given_rstd[at + j]));
}

static void apply_columns(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  const int64_t c = b->g->c;
  for (int64_t at = begin * ML_NORM_COLUMNS; at < ml_min64(end * ML_NORM_COLUMNS, c); at += ML_NORM_COLUMNS) {
    const int64_t w = ml_min64(ML_NORM_COLUMNS, c - at);
    ml_norm_affines f;
    given_affines(&f, b, at, w);
    b->table->column_apply(b->y + at, b->x + at, b->g->n, c, w, &f);
  }
}

static void backward_columns(void *ctx, int64_t begin, int64_t end) {
  const batch *b = ctx;
  const int64_t c = b->g->c, n = b->g->n;
  for (int64_t at = begin * ML_NORM_COLUMNS; at < ml_min64(end * ML_NORM_COLUMNS, c); at += ML_NORM_COLUMNS) {
    const int64_t w = ml_min64(ML_NORM_COLUMNS, c - at);
    double sum[ML_NORM_COLUMNS] = {0}, product[ML_NORM_COLUMNS] = {0};
    ml_norm_affines f;
    ml_norm_slopes s;
    given_affines(&f, b, at, w);
    b->table->column_slope_sums(sum, product, b->dy + at, b->x + at, n, c, w, &f);
    for (int64_t j = 0; j < w; j++) {
      const ml_norm_slope one = slope_of(b, at + j, f.scale[j], sum[j], product[j]);
      s.a[j] = one.a;
      s.b[j] = one.b;
      s.c[j] = one.c;
    }
    if (b->dx) b->table->column_slope(b->dx + at, b->dy + at, b->x + at, n, c, w, &f, &s);
  }
}

/* ---- both ---- */

static void run(ml_range_fn blocks, ml_range_fn columns, batch *b) {
  const ml_norm *g = b->g;
  b->table = ml_norm_table_in_use();
  if (g->c == 0) return;
  if (g->inner == 1) {
    const int64_t elements = g->n * ml_min64(g->c, ML_NORM_COLUMNS);
    ml_pool_for(columns, b, ml_ceil_div(g->c, ML_NORM_COLUMNS), elements >= GRAIN ? 1 : GRAIN / elements);
    return;
  }
  const int64_t per = channels_per_block(g), count = ml_ceil_div(g->c, per), elements = g->n * g->inner * per;
  if (count < FEW_BLOCKS) {
    blocks(b, 0, count);
  } else {
    ml_pool_for(blocks, b, count, elements >= GRAIN ? 1 : GRAIN / elements);
  }
}

void ml_batch_norm_forward(float *y, float *mean, float *rstd, float *var, const float *x, const ml_norm *g,
                           double eps) {
  batch b = {.g = g, .y = y, .mean = mean, .rstd = rstd, .var = var, .x = x, .eps = eps};
  run(forward_blocks, forward_columns, &b);
}

void ml_batch_norm_apply(float *y, const float *x, const float *mean, const float *rstd, const ml_norm *g) {
  batch b = {.g = g, .y = y, .given_mean = mean, .given_rstd = rstd, .x = x};
  if (g->n * g->inner == 0) return;
  if (g->inner == 1) {
    run(NULL, apply_columns, &b);
    return;
  }
  b.table = ml_norm_table_in_use();
  ml_pool_for(apply_planes, &b, g->n * g->c, g->inner >= GRAIN ? 1 : GRAIN / g->inner);
}

void ml_batch_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *mean,
                            const float *rstd, const ml_norm *g, bool constant) {
  batch b = {.g = g, .dx = dx, .dw = dw, .db = db, .x = x, .dy = dy, .given_mean = mean, .given_rstd = rstd,
             .constant = constant};
  if (g->n * g->inner == 0) {
    for (int64_t c = 0; c < g->c; c++) slope_of(&b, c, 0.0f, 0.0, 0.0);
    return;
  }
  run(backward_blocks, backward_columns, &b);
}
