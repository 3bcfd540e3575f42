/* rnn, lstm, gru: one recurrent layer in one direction over x [n, steps, in], PyTorch's formulas and order of gates
 * (kernels/recurrent.h). Inputs x, w_ih [gates hidden, in], w_hh [gates hidden, hidden] and, both or neither, b_ih and
 * b_hh [gates hidden]; the state before the first step is 0. attrs.recurrent: `reverse` begins with the last step,
 * `relu` is rnn's in place of tanh, and with `last` the output is [n, hidden], the state after the step computed last;
 * else [n, steps, hidden], all of them.
 *
 * In bf16 and bf16x3 the products over all steps follow that precision: x w_ih^T forward, dx, dw_ih and dw_hh backward.
 * Those of a single step, with w_hh, are in f32.
 *
 * saved: the gates of every step; the cells of an LSTM; with `last`, h. Backward, gradients take the gates' place.
 * Hochreiter and Schmidhuber 1997, "Long short-term memory"; Cho et al. 2014, "Learning phrase representations using
 * RNN encoder-decoder". */
#include "kernels/recurrent.h"

#include <string.h>

#include "base/integer.h"
#include "kernels/kernels.h"
#include "ops/ops.h"

typedef struct layer {
  ml_recurrent g;
  int64_t in, rows;     /* rows: n steps */
  int64_t gates, width; /* of hidden floats each, all of them together; floats kept of a step */
  const float *x, *w_ih, *w_hh, *b_ih, *b_hh;
  float *saved_gates, *cells, *h;
} layer;

static ml_cell cell_of(const ml_op *op, const ml_call *c) {
  if (op == &ml_op_lstm) return ML_CELL_LSTM;
  if (op == &ml_op_gru) return ML_CELL_GRU;
  return c->attrs.recurrent.relu ? ML_CELL_RELU : ML_CELL_TANH;
}

static layer layer_of(const ml_op *op, const ml_call *c) {
  const ml_shape *x = &c->in[0]->shape;
  layer l = {.in = x->size[2], .rows = x->size[0] * x->size[1]};
  l.g = (ml_recurrent){cell_of(op, c), x->size[0], x->size[1], c->in[2]->shape.size[1], c->attrs.recurrent.reverse};
  l.gates = ml_recurrent_gates(l.g.cell) * l.g.hidden;
  l.width = ml_recurrent_blocks(l.g.cell) * l.g.hidden;
  return l;
}

static int64_t cell_floats(const layer *l) { return l->g.cell == ML_CELL_LSTM ? l->rows * l->g.hidden : 0; }

/* The layer with its values, while the operation runs. */
static layer bound_layer(const ml_op *op, const ml_call *c) {
  layer l = layer_of(op, c);
  l.x = c->in[0]->f32;
  l.w_ih = c->in[1]->f32;
  l.w_hh = c->in[2]->f32;
  if (c->inputs == 5) {
    l.b_ih = c->in[3]->f32;
    l.b_hh = c->in[4]->f32;
  }
  l.saved_gates = c->saved;
  l.cells = c->saved + l.rows * l.width;
  l.h = c->attrs.recurrent.last ? l.cells + cell_floats(&l) : c->out->f32;
  return l;
}

/* ---- shape ---- */

static ml_status check_input(const ml_op *op, const ml_call *c, ml_error *err) {
  const ml_shape *x = &c->in[0]->shape, *w = &c->in[2]->shape;
  int64_t gates = ml_recurrent_gates(cell_of(op, c));
  if (x->ndim != 3 || x->size[1] < 1 || x->size[2] < 1)
    return ml_fail(err, ML_MISUSE, "%s: expected an input of n x steps x features, received %s", op->name,
                   ML_SHAPE_WORDS(x));
  if (w->ndim != 2 || w->size[1] < 1 || w->size[0] != gates * w->size[1])
    return ml_fail(err, ML_MISUSE, "%s: expected a weight of the state of %lld hidden x hidden, received %s", op->name,
                   (long long)gates, ML_SHAPE_WORDS(w));
  return ML_OK;
}

static ml_status check_parameters(const ml_op *op, const ml_call *c, ml_error *err) {
  static const char *const names[] = {"", "weight of the input", "", "bias of the input", "bias of the state"};
  const layer l = layer_of(op, c);
  if (c->inputs == 4) return ml_fail(err, ML_MISUSE, "%s: the two biases go together", op->name);
  for (int i = 1; i < c->inputs; i++) {
    ml_shape shape = {i == 1 ? 2 : 1, {l.gates, l.in}};
    if (i == 2) continue;
    if (i > 2) shape.size[1] = 0;
    if (!ml_shape_equal(&c->in[i]->shape, &shape))
      return ml_fail(err, ML_MISUSE, "%s: expected a %s of %s, received %s", op->name, names[i], ML_SHAPE_WORDS(&shape),
                     ML_SHAPE_WORDS(&c->in[i]->shape));
  }
  return ML_OK;
}

/* Scratch before that of the products. Sums of biases, or of their gradients; then, backward, what each row of da is
 * multiplied by, [rows, in + hidden], and the weights' gradients on their side, [in + hidden, gates]. */
static int64_t bias_floats(const layer *l) { return ml_round_up(l->width, 16); }
static int64_t pair_floats(const layer *l) { return ml_round_up(l->rows * (l->in + l->g.hidden), 16); }
static int64_t own_floats(const layer *l) {
  return bias_floats(l) + pair_floats(l) + ml_round_up((l->in + l->g.hidden) * l->gates, 16);
}

static size_t scratch_floats(const layer *l) {
  size_t most = ml_recurrent_workspace(&l->g);
  const size_t products[] = {
      ml_gemm_workspace(l->rows, l->gates, l->in),
      ml_gemm_workspace(l->rows, l->in, l->gates),
      ml_gemm_workspace(l->in + l->g.hidden, l->gates, l->rows),
  };
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) most = products[i] > most ? products[i] : most;
  return (size_t)own_floats(l) + most;
}

static ml_status shape_of(const ml_op *op, ml_call *c, ml_error *err) {
  if (ml_check_f32(op, c, err) != ML_OK) return ML_MISUSE;
  if (check_input(op, c, err) != ML_OK) return ML_MISUSE;
  if (check_parameters(op, c, err) != ML_OK) return ML_MISUSE;
  const layer l = layer_of(op, c);
  const bool last = c->attrs.recurrent.last;
  ml_shape out = {last ? 2 : 3, {l.g.n, last ? l.g.hidden : l.g.steps, last ? 0 : l.g.hidden}};
  ml_set_output(c, &out);
  c->saved_floats = (size_t)(l.rows * l.width + cell_floats(&l) + (last ? l.rows * l.g.hidden : 0));
  ml_want_scratch(c, scratch_floats(&l));
  return ML_OK;
}

/* ---- forward ---- */

/* b_ih + b_hh, but for a GRU's b_hn, which is the state's alone. */
static const float *sum_biases(const layer *l, float *sum) {
  if (!l->b_ih) return NULL;
  const int64_t own = l->g.cell == ML_CELL_GRU ? l->g.hidden : 0;
  for (int64_t j = 0; j < l->gates; j++) sum[j] = j < l->gates - own ? l->b_ih[j] + l->b_hh[j] : l->b_ih[j];
  return sum;
}

static void forward(const ml_op *op, ml_call *c) {
  const layer l = bound_layer(op, c);
  const int64_t n = l.g.hidden, newest = l.g.reverse ? 0 : l.g.steps - 1;
  float *work = c->scratch + own_floats(&l);
  const ml_matrix x = {l.x, l.in, 1}, wt = {l.w_ih, 1, l.in};
  const ml_epilogue biases = {.bias = sum_biases(&l, c->scratch)};
  ml_gemm(l.saved_gates, l.width, x, wt, biases, l.rows, l.gates, l.in, work);
  ml_recurrent_forward(l.h, l.saved_gates, l.cells, l.w_hh, l.b_hh ? l.b_hh + 2 * n : NULL, &l.g, work);
  if (!c->attrs.recurrent.last) return;
  for (int64_t i = 0; i < l.g.n; i++)
    memcpy(c->out->f32 + i * n, l.h + (i * l.g.steps + newest) * n, (size_t)n * sizeof(float));
}

/* ---- backward: the gates are now the gradients da of what came into them, and a GRU's last block that of u_n ---- */

/* db_ih and db_hh, each NULL if not wanted. They differ in a GRU's last gate. */
static void bias_gradients(const layer *l, float *db_ih, float *db_hh, float *sums) {
  if (!db_ih && !db_hh) return;
  const size_t gates = (size_t)l->gates, n = (size_t)l->g.hidden;
  ml_reduce_sum(sums, l->saved_gates, 1, l->rows, l->width, 1.0);
  if (db_ih) memcpy(db_ih, sums, gates * sizeof *sums);
  if (db_hh) memcpy(db_hh, sums, gates * sizeof *sums);
  if (db_hh && l->g.cell == ML_CELL_GRU) memcpy(db_hh + 2 * n, sums + 3 * n, n * sizeof *sums);
}

/* dx = da w_ih */
static void input_gradient(const layer *l, float *dx, float *work) {
  const ml_matrix da = {l->saved_gates, l->width, 1}, w = {l->w_ih, l->in, 1};
  if (dx) ml_gemm(dx, l->in, da, w, ML_NO_EPILOGUE, l->rows, l->in, l->gates, work);
}

/* side[begin .. end - 1, to .. to + columns - 1] = the sum over rows of pairs^T da, da's columns from `from` on. */
static void pair_product(const layer *l, const float *pairs, float *side, int64_t begin, int64_t end, int64_t to,
                         int64_t from, int64_t columns, float *work) {
  const ml_matrix a = {pairs + begin, 1, l->in + l->g.hidden}, da = {l->saved_gates + from, l->width, 1};
  ml_gemm(side + begin * l->gates + to, l->gates, a, da, ML_NO_EPILOGUE, end - begin, columns, l->rows, work);
}

/* dw_ih = the sum of da_t^T x_t and dw_hh that of du_t^T h_(t-1), where u has the gradients of a but for a GRU's last
 * gate. Both at once, because da is the largest operand, and turned over at the end: so it is read in whole lines. */
static void weight_gradients(const layer *l, float *dw_ih, float *dw_hh, float *scratch) {
  if (!dw_ih && !dw_hh) return;
  float *pairs = scratch + bias_floats(l), *side = pairs + pair_floats(l), *work = scratch + own_floats(l);
  const int64_t n = l->g.hidden, both = l->in + n;
  ml_recurrent_pairs(pairs, l->x, l->in, l->h, &l->g);
  if (l->g.cell == ML_CELL_GRU) {
    pair_product(l, pairs, side, 0, both, 0, 0, 2 * n, work);
    pair_product(l, pairs, side, 0, l->in, 2 * n, 2 * n, n, work);
    pair_product(l, pairs, side, l->in, both, 2 * n, 3 * n, n, work);
  } else {
    pair_product(l, pairs, side, 0, both, 0, 0, l->gates, work);
  }
  if (dw_ih) ml_transpose(dw_ih, side, l->in, l->gates);
  if (dw_hh) ml_transpose(dw_hh, side + l->in * l->gates, n, l->gates);
}

static void backward(const ml_op *op, const ml_call *c, const float *dout, float *const din[]) {
  const layer l = bound_layer(op, c);
  float *work = c->scratch + own_floats(&l);
  ml_recurrent_backward(l.saved_gates, l.h, l.cells, dout, c->attrs.recurrent.last, l.w_hh, &l.g, work);
  if (c->inputs == 5) bias_gradients(&l, din[3], din[4], c->scratch);
  input_gradient(&l, din[0], work);
  weight_gradients(&l, din[1], din[2], c->scratch);
}

#define STATE (ML_READS(2) | ML_READS_OUT)
#define RECURRENT(op)                                                                                                  \
  static ml_status op##_shape(ml_call *c, ml_error *err) { return shape_of(&ml_op_##op, c, err); }                     \
  static void op##_forward(ml_call *c) { forward(&ml_op_##op, c); }                                                    \
  static void op##_backward(ml_call *c, const float *dout, float *const din[]) {                                       \
    backward(&ml_op_##op, c, dout, din);                                                                               \
  }                                                                                                                    \
  const ml_op ml_op_##op = {                                                                                           \
      #op, 3, 5, op##_shape, op##_forward, op##_backward,                                                              \
      {STATE | ML_READS(1), STATE | ML_READS(0), STATE, STATE, STATE}}

RECURRENT(rnn);
RECURRENT(lstm);
RECURRENT(gru);
