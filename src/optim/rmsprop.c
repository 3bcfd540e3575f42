/* RMSprop (Hinton's lecture 6e, 2012), as PyTorch defines it. Called by ml_optimizer_step on spans of a parameter; it
 * starts no threads and allocates nothing.
 *
 *   d = g + weight_decay w
 *   v = alpha v + (1 - alpha) d^2
 *   centered (Graves 2013): a = alpha a + (1 - alpha) d,  v' = v - a^2, at least 0;  otherwise v' = v
 *   u = d / (sqrt(v') + eps)
 *   with momentum: b = momentum b + u,  u = b
 *   w = w - lr u */
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"

/* The buffer has its place also where only the mean of gradients, which comes after it, is used. */
static int rmsprop_slot_count(const ml_hyper *h) { return h->centered ? 3 : h->momentum != 0 ? 2 : 1; }

/* Reads lr, alpha, eps, weight_decay, momentum and centered. */
static void rmsprop_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_rmsprop_factors f = {.lr = (float)h->lr,
                                .alpha = (float)h->alpha,
                                .one_minus_alpha = (float)(1.0 - h->alpha),
                                .eps = (float)h->eps,
                                .decay = (float)h->weight_decay,
                                .momentum = (float)h->momentum};
  ml_update_rmsprop(w, g, slot[0], h->momentum != 0 ? slot[1] : NULL, h->centered ? slot[2] : NULL, n, &f);
}

const ml_optimizer ml_optimizer_rmsprop = {.name = "RMSprop",
                                           .slots = {"square_avg", "momentum_buffer", "grad_avg", NULL},
                                           .slot_count = rmsprop_slot_count,
                                           .step = rmsprop_step};
