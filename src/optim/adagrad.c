/* Adagrad (Duchi, Hazan and Singer, JMLR 2011), as PyTorch defines it. Called by ml_optimizer_step on spans of a
 * parameter; it starts no threads and allocates nothing.
 *
 *   d = g + weight_decay w
 *   s = s + d^2
 *   w = w - lr / (1 + (step - 1) lr_decay) d / (sqrt(s + initial_accumulator_value) + eps)
 *
 * PyTorch starts s at initial_accumulator_value; here, as every slot, at 0. */
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"

static int adagrad_slot_count(const ml_hyper *h) {
  (void)h;
  return 1;
}

/* Reads lr, lr_decay, eps, weight_decay, initial_accumulator_value and step. */
static void adagrad_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_adagrad_factors f = {.lr = (float)(h->lr / (1.0 + (double)(h->step - 1) * h->lr_decay)),
                                .eps = (float)h->eps,
                                .decay = (float)h->weight_decay,
                                .initial = (float)h->initial_accumulator_value};
  ml_update_adagrad(w, g, slot[0], n, &f);
}

const ml_optimizer ml_optimizer_adagrad = {
    .name = "Adagrad", .slots = {"sum", NULL}, .slot_count = adagrad_slot_count, .step = adagrad_step};
