/* The optimizers' formulas for one element, in double, and the settings that test_optim.c tries. A new optimizer adds
 * its rows here; the test fails for one without any. */
#include "optim_cases.h"

#include <math.h>

static void naive_sgd(double *w, double g, double s[], const ml_hyper *h) {
  double d = g + h->weight_decay * *w;
  if (h->momentum != 0) {
    s[0] = h->step == 1 ? d : h->momentum * s[0] + (1 - h->dampening) * d;
    d = h->nesterov ? d + h->momentum * s[0] : s[0];
  }
  *w -= h->lr * d;
}

static void naive_moments(double *w, double g, double s[], const ml_hyper *h) {
  s[0] = h->beta1 * s[0] + (1 - h->beta1) * g;
  s[1] = h->beta2 * s[1] + (1 - h->beta2) * g * g;
  double m_hat = s[0] / (1 - pow(h->beta1, (double)h->step)), v_hat = s[1] / (1 - pow(h->beta2, (double)h->step));
  *w -= h->lr * m_hat / (sqrt(v_hat) + h->eps);
}

static void naive_adam(double *w, double g, double s[], const ml_hyper *h) {
  naive_moments(w, g + h->weight_decay * *w, s, h);
}

static void naive_adamw(double *w, double g, double s[], const ml_hyper *h) {
  *w *= 1 - h->lr * h->weight_decay;
  naive_moments(w, g, s, h);
}

static void naive_nadam(double *w, double g, double s[], const ml_hyper *h) {
  double d = g + h->weight_decay * *w;
  s[0] = h->beta1 * s[0] + (1 - h->beta1) * d;
  s[1] = h->beta2 * s[1] + (1 - h->beta2) * d * d;
  double root = sqrt(s[1] / (1 - pow(h->beta2, (double)h->step))) + h->eps;
  *w -= h->lr * ((1 - h->mu) / (1 - h->mu_product) * d + h->mu_next / (1 - h->mu_product * h->mu_next) * s[0]) / root;
}

/* The mean of gradients is s[2], whether s[1] is in use or not. */
static void naive_rmsprop(double *w, double g, double s[], const ml_hyper *h) {
  double d = g + h->weight_decay * *w;
  s[0] = h->alpha * s[0] + (1 - h->alpha) * d * d;
  if (h->centered) s[2] = h->alpha * s[2] + (1 - h->alpha) * d;
  double u = d / (sqrt(s[0] - s[2] * s[2]) + h->eps);
  if (h->momentum != 0) u = s[1] = h->momentum * s[1] + u;
  *w -= h->lr * u;
}

static void naive_adagrad(double *w, double g, double s[], const ml_hyper *h) {
  double d = g + h->weight_decay * *w, lr = h->lr / (1 + (double)(h->step - 1) * h->lr_decay);
  s[0] += d * d;
  *w -= lr * d / (sqrt(s[0] + h->initial_accumulator_value) + h->eps);
}

static void naive_lion(double *w, double g, double s[], const ml_hyper *h) {
  double u = h->beta1 * s[0] + (1 - h->beta1) * g;
  *w -= h->lr * (h->weight_decay * *w + (u > 0 ? 1 : u < 0 ? -1 : 0));
  s[0] = h->beta2 * s[0] + (1 - h->beta2) * g;
}

/* x and z from w = y and s[0] = z - x, and back. */
static void naive_schedule_free(double *w, double slope, double s[], const ml_hyper *h, double beta) {
  double x = *w - (1 - beta) * s[0], z = x + s[0];
  z -= h->lr * (slope + h->weight_decay * *w);
  x = (1 - h->average_share) * x + h->average_share * z;
  *w = beta * x + (1 - beta) * z;
  s[0] = z - x;
}

static void naive_sgd_schedule_free(double *w, double g, double s[], const ml_hyper *h) {
  naive_schedule_free(w, g, s, h, h->momentum);
}

static void naive_adamw_schedule_free(double *w, double g, double s[], const ml_hyper *h) {
  s[1] = h->beta2 * s[1] + (1 - h->beta2) * g * g;
  naive_schedule_free(w, g / (sqrt(s[1] / (1 - pow(h->beta2, (double)h->step))) + h->eps), s, h, h->beta1);
}

#define NADAM .beta1 = 0.9, .beta2 = 0.999, .mu = 0.45, .mu_next = 0.46, .mu_product = 0.3

const optim_case optim_cases[] = {
    {"plain", "SGD", naive_sgd, 0, {.lr = 0.1}},
    {"plain, decay", "SGD", naive_sgd, 0, {.lr = 0.1, .weight_decay = 0.03}},
    {"momentum", "SGD", naive_sgd, 1, {.lr = 0.1, .momentum = 0.9}},
    {"momentum, decay", "SGD", naive_sgd, 1, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.03}},
    {"momentum, dampening", "SGD", naive_sgd, 1, {.lr = 0.1, .momentum = 0.9, .dampening = 0.4}},
    {"nesterov", "SGD", naive_sgd, 1, {.lr = 0.1, .momentum = 0.9, .nesterov = true}},
    {"nesterov, decay", "SGD", naive_sgd, 1, {.lr = 0.1, .momentum = 0.8, .nesterov = true, .weight_decay = 0.03}},
    {"defaults", "Adam", naive_adam, 2, {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
    {"decay", "Adam", naive_adam, 2, {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1}},
    {"large eps", "Adam", naive_adam, 2, {.lr = 0.01, .beta1 = 0.7, .beta2 = 0.9, .eps = 0.3}},
    {"defaults",
     "AdamW",
     naive_adamw,
     2,
     {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01}},
    {"large decay", "AdamW", naive_adamw, 2, {.lr = 0.05, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 2}},
    {"defaults", "NAdam", naive_nadam, 2, {.lr = 0.002, .eps = 1e-8, NADAM}},
    {"decay", "NAdam", naive_nadam, 2, {.lr = 0.02, .eps = 1e-3, .weight_decay = 0.1, NADAM}},
    {"defaults", "RMSprop", naive_rmsprop, 1, {.lr = 0.01, .alpha = 0.99, .eps = 1e-8}},
    {"momentum, decay",
     "RMSprop",
     naive_rmsprop,
     2,
     {.lr = 0.01, .alpha = 0.9, .eps = 1e-8, .momentum = 0.8, .weight_decay = 0.1}},
    {"centered", "RMSprop", naive_rmsprop, 3, {.lr = 0.01, .alpha = 0.9, .eps = 1e-2, .centered = true}},
    {"centered, momentum",
     "RMSprop",
     naive_rmsprop,
     3,
     {.lr = 0.01, .alpha = 0.95, .eps = 1e-2, .momentum = 0.9, .centered = true, .weight_decay = 0.01}},
    {"defaults", "Adagrad", naive_adagrad, 1, {.lr = 0.01, .eps = 1e-10}},
    {"lr decay, initial value",
     "Adagrad",
     naive_adagrad,
     1,
     {.lr = 0.1, .eps = 1e-10, .lr_decay = 0.2, .initial_accumulator_value = 0.1, .weight_decay = 0.05}},
    {"defaults", "Lion", naive_lion, 1, {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.99}},
    {"decay", "Lion", naive_lion, 1, {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.3}},
    {"first step", "SGDScheduleFree", naive_sgd_schedule_free, 1, {.lr = 0.1, .momentum = 0.9, .average_share = 1}},
    {"decay",
     "SGDScheduleFree",
     naive_sgd_schedule_free,
     1,
     {.lr = 0.1, .momentum = 0.9, .average_share = 0.2, .weight_decay = 0.03}},
    {"share 0", "SGDScheduleFree", naive_sgd_schedule_free, 1, {.lr = 0.1, .momentum = 0.7}},
    {"decay",
     "AdamWScheduleFree",
     naive_adamw_schedule_free,
     2,
     {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .average_share = 0.3, .weight_decay = 0.1}},
};

const size_t optim_case_count = sizeof optim_cases / sizeof *optim_cases;
