/* NAdam: Adam with Nesterov's look-ahead (Dozat, ICLR 2016 workshop), as PyTorch defines it. Called by
 * ml_optimizer_step on spans of a parameter; it starts no threads and allocates nothing.
 *
 *   d = g + weight_decay w,  m and v as in Adam
 *   mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),  P = mu_1 mu_2 .. mu_t
 *   w = w - lr ((1 - mu_t) / (1 - P) d + mu_t+1 / (1 - P mu_t+1) m) / (sqrt(v) / sqrt(1 - beta2^step) + eps)
 *
 * mu_t, mu_t+1 and P come from the caller, who must keep P between steps anyway. */
#include <math.h>
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"
#include "optim/power.h"

static int nadam_slot_count(const ml_hyper *h) {
  (void)h;
  return 2;
}

/* Reads lr, beta1, beta2, eps, weight_decay, mu, mu_next, mu_product and step. */
static void nadam_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_nadam_factors f = {
      .beta1 = (float)h->beta1,
      .one_minus_beta1 = (float)(1.0 - h->beta1),
      .beta2 = (float)h->beta2,
      .one_minus_beta2 = (float)(1.0 - h->beta2),
      .root = (float)(1.0 / sqrt(1.0 - ml_optim_power(h->beta2, h->step))),
      .eps = (float)h->eps,
      .decay = (float)h->weight_decay,
      .step_size = (float)(h->lr * (1.0 - h->mu) / (1.0 - h->mu_product)),
      .momentum_size = (float)(h->lr * h->mu_next / (1.0 - h->mu_product * h->mu_next)),
  };
  ml_update_nadam(w, g, slot[0], slot[1], n, &f);
}

const ml_optimizer ml_optimizer_nadam = {
    .name = "NAdam", .slots = {"exp_avg", "exp_avg_sq", NULL}, .slot_count = nadam_slot_count, .step = nadam_step};
