/* The part of a recurrent layer that runs step by step: h_t from h_(t-1) and the step's input, and the way back through
 * time. What does not depend on the step before, the products with x, is left to the caller (src/ops/recurrent.c) as
 * matrix products over all steps. Allocates nothing, never fails; threaded inside, by samples, which know nothing of
 * each other: a sample's values have the same bits alone, among others, and on any number of threads.
 *
 * With u = w_hh h_(t-1), one block of `hidden` values for each of the cell's gates, and a = what comes in, PyTorch's
 * cells and order of gates (h and c before the first step are 0, s is the sigmoid, products element by element):
 *
 *   tanh, relu  h = f(a + u)
 *   LSTM        i, f, g, o = s(a_i + u_i), s(a_f + u_f), tanh(a_g + u_g), s(a_o + u_o);  c = f c + i g;  h = o tanh(c)
 *   GRU         r, z = s(a_r + u_r), s(a_z + u_z);  n = tanh(a_n + r (u_n + b_hn));  h = (1 - z) n + z h
 *
 * Products are in f32 whatever the precision in use: the steps are small and each waits for the one before. */
#ifndef ML_RECURRENT_H
#define ML_RECURRENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ml_cell { ML_CELL_TANH, ML_CELL_RELU, ML_CELL_LSTM, ML_CELL_GRU } ml_cell;

typedef struct ml_recurrent {
  ml_cell cell;
  int64_t n, steps, hidden;
  bool reverse; /* from the last step to the first: what is said of the step before holds of the one after */
} ml_recurrent;

/* Blocks of `hidden` rows in the weights: 1, 4 (i f g o) or 3 (r z n). */
int64_t ml_recurrent_gates(ml_cell cell);
/* Blocks of `hidden` floats that are kept for each step: the gates, and for a GRU u_n + b_hn, or its gradient. */
int64_t ml_recurrent_blocks(ml_cell cell);

/* Floats of workspace for either direction. */
size_t ml_recurrent_workspace(const ml_recurrent *g);

/* gates[n, steps, blocks, hidden] comes in with a in its first blocks and goes out with the gates' values. Writes
 * h[n, steps, hidden], and for an LSTM cells[n, steps, hidden]. w_hh is [gates, hidden, hidden]; b_hn[hidden] is a
 * GRU's, NULL for zeros. work is 64-byte aligned. */
void ml_recurrent_forward(float *h, float *gates, float *cells, const float *w_hh, const float *b_hn,
                          const ml_recurrent *g, float *work);

/* gates comes in as the forward pass left it and goes out with the gradients of a, in the same places; a GRU's last
 * block with that of u_n. dh is the gradient of h or, with `last`, of the step computed last alone: [n, hidden]. */
void ml_recurrent_backward(float *gates, const float *h, const float *cells, const float *dh, bool last,
                           const float *w_hh, const ml_recurrent *g, float *work);

/* pairs[n, steps, in + hidden]: x[n, steps, in] of each step beside h of the step before. */
void ml_recurrent_pairs(float *pairs, const float *x, int64_t in, const float *h, const ml_recurrent *g);

#endif
