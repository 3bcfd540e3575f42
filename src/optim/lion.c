/* Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023). Called by ml_optimizer_step on
 * spans of a parameter; it starts no threads and allocates nothing.
 *
 *   w = w - lr weight_decay w - lr sign(beta1 m + (1 - beta1) g)
 *   m = beta2 m + (1 - beta2) g */
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"

static int lion_slot_count(const ml_hyper *h) {
  (void)h;
  return 1;
}

/* Reads lr, beta1, beta2 and weight_decay. */
static void lion_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_lion_factors f = {.lr = (float)h->lr,
                             .beta1 = (float)h->beta1,
                             .one_minus_beta1 = (float)(1.0 - h->beta1),
                             .beta2 = (float)h->beta2,
                             .one_minus_beta2 = (float)(1.0 - h->beta2),
                             .shrink = (float)(1.0 - h->lr * h->weight_decay)};
  ml_update_lion(w, g, slot[0], n, &f);
}

const ml_optimizer ml_optimizer_lion = {
    .name = "Lion", .slots = {"exp_avg", NULL}, .slot_count = lion_slot_count, .step = lion_step};
