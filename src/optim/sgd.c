/* Stochastic gradient descent with momentum, as PyTorch defines it. Called by ml_optimizer_step on spans of a
 * parameter; it starts no threads and allocates nothing.
 *
 *   d = g + weight_decay w
 *   b = momentum b + (1 - dampening) d       b = d at the first step, whatever the dampening
 *   u = b, or d + momentum b with nesterov;  u = d without momentum
 *   w = w - lr u
 *
 * Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013, in the form that
 * leaves the learning rate out of the buffer, so that a schedule acts at once. */
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"

static int sgd_slot_count(const ml_hyper *h) { return h->momentum != 0; }

/* Reads lr, momentum, dampening, weight_decay, nesterov and step. The buffer is zero before step 1, so keep = 1 there
 * makes it d itself. */
static void sgd_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_momentum_factors f = {.lr = (float)h->lr,
                                 .decay = (float)h->weight_decay,
                                 .momentum = (float)h->momentum,
                                 .keep = h->step == 1 ? 1.0f : (float)(1.0 - h->dampening)};
  if (sgd_slot_count(h) == 0)
    ml_update_sgd(w, g, n, f.lr, f.decay);
  else if (h->nesterov)
    ml_update_nesterov(w, g, slot[0], n, &f);
  else
    ml_update_momentum(w, g, slot[0], n, &f);
}

const ml_optimizer ml_optimizer_sgd = {
    .name = "SGD", .slots = {"momentum_buffer", NULL}, .slot_count = sgd_slot_count, .step = sgd_step};
