/* Recurrent layers through time: see recurrent.h. Called by src/ops/recurrent.c.
 *
 * Samples are cut into groups that go through all steps by themselves, so there is one parallel region for the whole
 * sequence and no thread ever waits for another in between. In a step a group multiplies its states, which lie
 * contiguous, by the packed weight with the matrix product's register kernels, and the cell's loop takes the result
 * while it is in the cache. Rows and columns beyond the problem's are zeros in the group's buffers. */
#include "kernels/recurrent.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/gemm_micro.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/recurrent_table.h"

enum {
  GROUP = 24,           /* samples in a group, a multiple of ML_MICRO_MAX_ROWS; */
  SMALL_GROUP = 12,     /* so many where there are FEW or less, for the sake of balance */
  FEW = 128,
  PACK_FLOATS = 1 << 14 /* that a thread copies at a time */
};

/* c[rows, width] = (c +) a[rows, k] b, b[k, n] being packed in panels of nr columns, of which width is a multiple. */
typedef struct product {
  const ml_micro *micro;
  float *packed;
  ml_matrix b;
  int64_t n, k, width, k_block;
} product;

typedef struct pass {
  const ml_recurrent *g;
  const ml_recurrent_table *table;
  product p;
  float *gates, *h_out, *cells_out;          /* forward */
  const float *h, *cells, *dh;               /* backward */
  bool last;
  const float *zeros, *b_hn;                 /* [hidden] */
  float *groups;                              /* buffers of group_floats each */
  int64_t group;                              /* samples in one */
  int64_t blocks, group_floats, state_floats; /* state_floats: of [group, hidden] */
} pass;

int64_t ml_recurrent_gates(ml_cell cell) { return cell == ML_CELL_LSTM ? 4 : cell == ML_CELL_GRU ? 3 : 1; }

int64_t ml_recurrent_blocks(ml_cell cell) { return cell == ML_CELL_LSTM || cell == ML_CELL_GRU ? 4 : 1; }

/* ---- workspace: the packed weight, zeros, then the groups' buffers ---- */

static int64_t group_of(const ml_recurrent *g) { return g->n > FEW ? GROUP : SMALL_GROUP; }

static int64_t lines(int64_t floats) { return ml_round_up(floats, 16); }

static int64_t group_floats(const ml_recurrent *g) {
  const int64_t gates = ml_recurrent_gates(g->cell);
  const int64_t forward = g->hidden + ml_round_up(gates * g->hidden, ML_MICRO_MAX_COLS);
  const int64_t backward = gates * g->hidden + ml_round_up(g->hidden, ML_MICRO_MAX_COLS);
  return lines(group_of(g) * g->hidden) + lines(group_of(g) * ml_max64(forward, backward)) + 16;
}

static int64_t packed_floats(const ml_recurrent *g) {
  const int64_t all = ml_recurrent_gates(g->cell) * g->hidden;
  return lines(ml_max64(ml_round_up(all, ML_MICRO_MAX_COLS) * g->hidden,
                        ml_round_up(g->hidden, ML_MICRO_MAX_COLS) * all));
}

size_t ml_recurrent_workspace(const ml_recurrent *g) {
  return (size_t)(packed_floats(g) + lines(g->hidden) + ml_ceil_div(g->n, group_of(g)) * group_floats(g));
}

static pass make_pass(const ml_recurrent *g, ml_matrix b, int64_t n, int64_t k, float *work) {
  float *zeros = work + packed_floats(g);
  memset(zeros, 0, (size_t)g->hidden * sizeof *zeros);
  pass s = {.g = g, .table = ML_FOR_ISA(ml_recurrent), .zeros = zeros, .b_hn = zeros,
            .groups = zeros + lines(g->hidden), .group = group_of(g), .blocks = ml_recurrent_blocks(g->cell),
            .group_floats = group_floats(g), .state_floats = lines(group_of(g) * g->hidden)};
  const ml_micro *micro = ML_FOR_ISA(ml_micro);
  s.p = (product){.micro = micro, .packed = work, .b = b, .n = n, .k = k, .width = ml_round_up(n, micro->nr),
                  .k_block = ml_k_block(k)};
  return s;
}

/* ---- the product of a step ---- */

static void pack_panels(void *ctx, int64_t begin, int64_t end) {
  const product *p = ctx;
  const int nr = p->micro->nr;
  const int64_t j = begin * nr, count = ml_min64(end * nr, p->n) - j;
  ml_pack_panels(p->packed + j * p->k, nr, count, p->b.data + j * p->b.col, p->b.col, p->b.row, p->k);
}

static void pack(product *p) {
  ml_pool_for(pack_panels, p, p->width / p->micro->nr, ml_ceil_div(PACK_FLOATS, p->k * p->micro->nr));
}

/* rows is a multiple of the register kernel's step. The same chain of operations as ml_gemm's. */
static void multiply(const product *p, float *c, const float *a, int64_t rows, bool add) {
  const int mr = p->micro->mr, nr = p->micro->nr;
  for (int64_t j = 0; j < p->width; j += nr) {
    for (int64_t at = 0; at < p->k; at += p->k_block) {
      const float *b = p->packed + j * p->k + at * nr;
      const ml_finish finish = {.add = add || at > 0};
      for (int64_t i = 0; i < rows; i += mr)
        p->micro->run_rows(c + i * p->width + j, p->width, a + i * p->k + at, p->k, b, nr,
                           ml_min64(p->k_block, p->k - at), ml_min64(mr, rows - i), &finish);
    }
  }
}

/* ---- forward ---- */

/* Sample and step `row`: h and c are the sample's state, u its share of the product. */
static void forward_step(const pass *s, int64_t row, float *h, float *c, const float *u) {
  const int64_t n = s->g->hidden;
  float *a = s->gates + row * s->blocks * n;
  switch (s->g->cell) {
    case ML_CELL_TANH: s->table->tanh(h, a, u, n); break;
    case ML_CELL_RELU: s->table->relu(h, a, u, n); break;
    case ML_CELL_GRU: s->table->gru(h, a, u, s->b_hn, n); break;
    case ML_CELL_LSTM:
      s->table->lstm(h, c, a, u, n);
      memcpy(s->cells_out + row * n, c, (size_t)n * sizeof *c);
  }
  memcpy(s->h_out + row * n, h, (size_t)n * sizeof *h);
}

static void forward_group(void *ctx, uint32_t chunk) {
  const pass *s = ctx;
  const int64_t n = s->g->hidden, steps = s->g->steps, first = (int64_t)chunk * s->group;
  const int64_t count = ml_min64(s->group, s->g->n - first), rows = ml_round_up(count, s->p.micro->step);
  float *c = s->groups + chunk * s->group_floats, *h = c + s->state_floats, *u = h + s->state_floats;
  memset(c, 0, (size_t)(2 * s->state_floats) * sizeof *c);
  memset(u, 0, (size_t)(rows * s->p.width) * sizeof *u);
  for (int64_t k = 0; k < steps; k++) {
    const int64_t t = s->g->reverse ? steps - 1 - k : k;
    if (k > 0) multiply(&s->p, u, h, rows, false);
    for (int64_t i = 0; i < count; i++)
      forward_step(s, (first + i) * steps + t, h + i * n, c + i * n, u + i * s->p.width);
  }
}

void ml_recurrent_forward(float *h, float *gates, float *cells, const float *w_hh, const float *b_hn,
                          const ml_recurrent *g, float *work) {
  const ml_matrix transposed = {w_hh, 1, g->hidden};
  pass s = make_pass(g, transposed, ml_recurrent_gates(g->cell) * g->hidden, g->hidden, work);
  s.gates = gates;
  s.h_out = h;
  s.cells_out = cells;
  if (b_hn) s.b_hn = b_hn;
  pack(&s.p);
  ml_pool_run(forward_group, &s, (uint32_t)ml_ceil_div(g->n, s.group));
}

/* ---- backward ---- */

/* The gradients of u, [gates, hidden], which the product with w_hh takes to the step before. */
static void copy_slopes(const pass *s, float *da, const float *a) {
  const size_t block = (size_t)s->g->hidden;
  if (s->g->cell != ML_CELL_GRU) {
    memcpy(da, a, (size_t)s->p.k * sizeof *a);
  } else {
    memcpy(da, a, 2 * block * sizeof *a);
    memcpy(da + 2 * block, a + 3 * block, block * sizeof *a);
  }
}

/* Sample and step `row`, the one before it being `before`, or none if that is negative. */
static void backward_step(const pass *s, int64_t row, int64_t before, float *dh, float *dc, float *da) {
  const int64_t n = s->g->hidden;
  float *a = s->gates + row * s->blocks * n;
  switch (s->g->cell) {
    case ML_CELL_TANH: s->table->tanh_slope(a, dh, n); break;
    case ML_CELL_RELU: s->table->relu_slope(a, dh, n); break;
    case ML_CELL_GRU: s->table->gru_slope(a, dh, before < 0 ? s->zeros : s->h + before * n, n); break;
    case ML_CELL_LSTM:
      s->table->lstm_slope(a, dc, dh, s->cells + row * n, before < 0 ? s->zeros : s->cells + before * n, n);
  }
  copy_slopes(s, da, a);
}

/* What comes from outside to the h of this sample and step. */
static void add_dh(const pass *s, float *dh, int64_t sample, int64_t row, bool newest) {
  const int64_t n = s->g->hidden;
  if (!s->last) s->table->add(dh, s->dh + row * n, n);
  else if (newest) s->table->add(dh, s->dh + sample * n, n);
}

static void backward_group(void *ctx, uint32_t chunk) {
  const pass *s = ctx;
  const int64_t n = s->g->hidden, steps = s->g->steps, first = (int64_t)chunk * s->group;
  const int64_t count = ml_min64(s->group, s->g->n - first), rows = ml_round_up(count, s->p.micro->step);
  float *dc = s->groups + chunk * s->group_floats, *dh = dc + s->state_floats;
  float *da = dh + lines(s->group * s->p.width);
  memset(dc, 0, (size_t)s->state_floats * sizeof *dc);
  memset(dh, 0, (size_t)(rows * s->p.width) * sizeof *dh);
  memset(da, 0, (size_t)(rows * s->p.k) * sizeof *da);
  for (int64_t k = steps - 1; k >= 0; k--) {
    const int64_t t = s->g->reverse ? steps - 1 - k : k;
    for (int64_t i = 0; i < count; i++) {
      const int64_t row = (first + i) * steps + t, before = k == 0 ? -1 : s->g->reverse ? row + 1 : row - 1;
      add_dh(s, dh + i * s->p.width, first + i, row, k == steps - 1);
      backward_step(s, row, before, dh + i * s->p.width, dc + i * n, da + i * s->p.k);
    }
    if (k > 0) multiply(&s->p, dh, da, rows, s->g->cell == ML_CELL_GRU);
  }
}

void ml_recurrent_backward(float *gates, const float *h, const float *cells, const float *dh, bool last,
                           const float *w_hh, const ml_recurrent *g, float *work) {
  const ml_matrix plain = {w_hh, g->hidden, 1};
  pass s = make_pass(g, plain, g->hidden, ml_recurrent_gates(g->cell) * g->hidden, work);
  s.gates = gates;
  s.h = h;
  s.cells = cells;
  s.dh = dh;
  s.last = last;
  pack(&s.p);
  ml_pool_run(backward_group, &s, (uint32_t)ml_ceil_div(g->n, s.group));
}

/* ---- both inputs side by side ---- */

typedef struct pairing {
  const ml_recurrent *g;
  float *pairs;
  const float *x, *h;
  int64_t in;
} pairing;

static void pair_samples(void *ctx, int64_t begin, int64_t end) {
  const pairing *p = ctx;
  const int64_t n = p->g->hidden, in = p->in, steps = p->g->steps;
  const int64_t oldest = p->g->reverse ? steps - 1 : 0, before = p->g->reverse ? 1 : -1;
  for (int64_t row = begin * steps; row < end * steps; row++) {
    float *pair = p->pairs + row * (in + n);
    memcpy(pair, p->x + row * in, (size_t)in * sizeof *pair);
    if (row % steps == oldest) memset(pair + in, 0, (size_t)n * sizeof *pair);
    else memcpy(pair + in, p->h + (row + before) * n, (size_t)n * sizeof *pair);
  }
}

void ml_recurrent_pairs(float *pairs, const float *x, int64_t in, const float *h, const ml_recurrent *g) {
  pairing p = {.g = g, .pairs = pairs, .x = x, .h = h, .in = in};
  ml_pool_for(pair_samples, &p, g->n, ml_ceil_div(PACK_FLOATS, g->steps * (in + g->hidden)));
}
