/* Attention: the heads of all samples are shared out among the threads in chunks whose size follows from the problem,
 * and each head is a few matrix products around a softmax. A chunk has its own part of the workspace. */
#include "kernels/attention.h"

#include <math.h>

#include "base/integer.h"
#include "base/pool.h"
#include "kernels/kernels.h"

enum {
  GRAIN = 1 << 18,   /* multiply-adds of a chunk's product q k^T, if that does not make more than MAX_CHUNKS */
  MAX_CHUNKS = 64
};

typedef struct args {
  const ml_attention *g;
  float *y, *new_p;            /* forward */
  float *dq, *dk, *dv;         /* backward */
  const float *q, *k, *v, *p, *dy;
  float *work;
  int64_t per;                 /* heads in a chunk */
} args;

static int64_t heads_per_chunk(const ml_attention *g) {
  const int64_t least = ml_ceil_div(g->n * g->heads, MAX_CHUNKS), one = g->t * g->s * g->width;
  const int64_t fitting = one >= GRAIN ? 1 : GRAIN / ml_max64(one, 1);
  return ml_max64(fitting, least);
}

/* ---- workspace of a chunk: a product's, the gradient of p, and with dropout p masked ---- */

static int64_t whole_lines(int64_t floats) { return ml_round_up(floats, 16); }
static int64_t scores(const ml_attention *g) { return g->t * g->s; }

static int64_t product_floats(const ml_attention *g) {
  const int64_t forward = ml_max64((int64_t)ml_gemm_workspace(g->t, g->s, g->width),
                                   (int64_t)ml_gemm_workspace(g->t, g->width, g->s));
  return whole_lines(ml_max64(forward, (int64_t)ml_gemm_workspace(g->s, g->width, g->t)));
}

static int64_t chunk_floats(const ml_attention *g) {
  return product_floats(g) + (g->dropout > 0.0f ? 2 : 1) * whole_lines(scores(g));
}

size_t ml_attention_workspace(const ml_attention *g) {
  if (g->n * g->heads == 0) return 0;
  return (size_t)(ml_ceil_div(g->n * g->heads, heads_per_chunk(g)) * chunk_floats(g));
}

/* ---- what both ways share ---- */

/* One head of one sample: where its tokens begin in q and y, and in k and v; `at` counts heads over all samples. */
typedef struct head {
  int64_t q, k, y, p;
} head;

static head head_at(const ml_attention *g, int64_t at) {
  const int64_t sample = at / g->heads, first = at % g->heads * g->width;
  return (head){.q = sample * g->t * g->row + first, .k = sample * g->s * g->row + first,
                .y = sample * g->t * g->heads * g->width + first, .p = at * scores(g)};
}

static ml_matrix tokens(const float *x, int64_t row) { return (ml_matrix){x, row, 1}; }
static ml_matrix transposed(ml_matrix a) { return (ml_matrix){a.data, a.col, a.row}; }

static float scale_of(const ml_attention *g) { return (float)(1.0 / sqrt((double)g->width)); }

/* The same mask for the same head, forward and backward. y may be x. */
static void mask(float *y, const float *x, const ml_attention *g, int64_t at) {
  ml_rng rng = g->rng;
  rng.block += (uint32_t)(at * ml_ceil_div(scores(g), 4));
  ml_dropout(y, x, scores(g), g->dropout, rng);
}

static void hide_later_keys(float *p, const ml_attention *g) {
  for (int64_t i = 0; i < g->t; i++) {
    for (int64_t j = i + 1; j < g->s; j++) p[i * g->s + j] = -INFINITY;
  }
}

static void run_chunks(ml_range_fn fn, args *a) {
  const int64_t heads = a->g->n * a->g->heads;
  if (heads == 0) return;
  a->per = heads_per_chunk(a->g);
  if (heads <= a->per) {
    fn(a, 0, heads);                     /* the products may use all threads themselves */
  } else {
    ml_pool_for(fn, a, heads, a->per);
  }
}

/* ---- forward ---- */

static void forward_head(const args *a, int64_t at, float *product, float *masked) {
  const ml_attention *g = a->g;
  const head h = head_at(g, at);
  float *p = a->new_p + h.p;
  ml_gemm(p, g->s, tokens(a->q + h.q, g->row), transposed(tokens(a->k + h.k, g->row)), ML_NO_EPILOGUE, g->t, g->s,
          g->width, product);
  ml_scale(p, p, scores(g), scale_of(g));
  if (g->causal) hide_later_keys(p, g);
  ml_softmax(p, p, g->t, g->s);
  if (g->dropout > 0.0f) mask(masked, p, g, at);
  ml_gemm(a->y + h.y, g->heads * g->width, tokens(g->dropout > 0.0f ? masked : p, g->s), tokens(a->v + h.k, g->row),
          ML_NO_EPILOGUE, g->t, g->width, g->s, product);
}

static void forward_range(void *ctx, int64_t begin, int64_t end) {
  const args *a = ctx;
  float *product = a->work + begin / a->per * chunk_floats(a->g), *masked = product + product_floats(a->g);
  for (int64_t at = begin; at < end; at++) forward_head(a, at, product, masked);
}

void ml_attention_forward(float *y, float *p, const float *q, const float *k, const float *v, const ml_attention *g,
                          float *work) {
  run_chunks(forward_range, &(args){.g = g, .y = y, .new_p = p, .q = q, .k = k, .v = v, .work = work});
}

/* ---- backward ---- */

/* d, the gradient of the scores before their scaling, is p (dp - sum over keys of dp p) / sqrt(width) with dp = dy v^T
 * under the mask. */
static void scores_gradient(const args *a, const head *h, int64_t at, float *d, float *product) {
  const ml_attention *g = a->g;
  ml_gemm(d, g->s, tokens(a->dy + h->y, g->heads * g->width), transposed(tokens(a->v + h->k, g->row)), ML_NO_EPILOGUE,
          g->t, g->s, g->width, product);
  if (g->dropout > 0.0f) mask(d, d, g, at);
  ml_softmax_backward(d, d, a->p + h->p, g->t, g->s);
  ml_scale(d, d, scores(g), scale_of(g));
}

static void backward_head(const args *a, int64_t at, float *product, float *d, float *masked) {
  const ml_attention *g = a->g;
  const head h = head_at(g, at);
  if (a->dv) {                           /* dv = mask(p)^T dy */
    if (g->dropout > 0.0f) mask(masked, a->p + h.p, g, at);
    ml_gemm(a->dv + h.k, g->row, transposed(tokens(g->dropout > 0.0f ? masked : a->p + h.p, g->s)),
            tokens(a->dy + h.y, g->heads * g->width), ML_NO_EPILOGUE, g->s, g->width, g->t, product);
  }
  if (!a->dq && !a->dk) return;
  scores_gradient(a, &h, at, d, product);
  if (a->dq) {                           /* dq = d k */
    ml_gemm(a->dq + h.q, g->row, tokens(d, g->s), tokens(a->k + h.k, g->row), ML_NO_EPILOGUE, g->t, g->width, g->s,
            product);
  }
  if (a->dk) {                           /* dk = d^T q */
    ml_gemm(a->dk + h.k, g->row, transposed(tokens(d, g->s)), tokens(a->q + h.q, g->row), ML_NO_EPILOGUE, g->s,
            g->width, g->t, product);
  }
}

static void backward_range(void *ctx, int64_t begin, int64_t end) {
  const args *a = ctx;
  float *product = a->work + begin / a->per * chunk_floats(a->g), *d = product + product_floats(a->g);
  float *masked = d + whole_lines(scores(a->g));
  for (int64_t at = begin; at < end; at++) backward_head(a, at, product, d, masked);
}

void ml_attention_backward(float *dq, float *dk, float *dv, const float *dy, const float *q, const float *k,
                           const float *v, const float *p, const ml_attention *g, float *work) {
  run_chunks(backward_range, &(args){.g = g, .dq = dq, .dk = dk, .dv = dv, .dy = dy, .q = q, .k = k, .v = v, .p = p,
                                     .work = work});
}
