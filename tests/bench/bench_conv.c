/* How fast convolutions and poolings are on this machine: `bench_conv [nets] [f32|bf16|bf16x3] [THREADS]...` (f32, 1
 * and 2 without arguments) prints GFLOP/s beside those of the matrix product that a copy of all patches would need,
 * measured in turn, on the instruction set that MNISTLUA_ISA names or the best; with `nets` those of the layers of two
 * networks only, in training. Each figure is the best of several runs. A program of its own, not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/conv.h"
#include "kernels/kernels.h"
#include "kernels/pooling.h"
#include "kernels/precision.h"
#include "bench_aid.h"

enum { RUNS = 9, BATCH = 128 };

/* ---- convolutions ---- */

typedef struct product {
  int64_t m, n, k;
  bool b_transposed;
} product;

typedef struct convolution {
  const char *name;
  ml_conv2d g;
} convolution;

static const convolution convolutions[] = {
    {"3x3 1->32, 28x28", {BATCH, 1, 28, 28, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
    {"3x3 32->64, 14x14", {BATCH, 32, 14, 14, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
    {"5x5 6->16, 14x14", {BATCH, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 0, 0, 1}},
    {"3x3 64->64, 7x7", {BATCH, 64, 7, 7, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
    {"3x3 32->64, stride 2", {BATCH, 32, 14, 14, 64, 3, 3, 2, 2, 1, 1, 1, 1, 1}},
    {"1x1 64->128, 14x14", {BATCH, 64, 14, 14, 128, 1, 1, 1, 1, 0, 0, 0, 0, 1}},
    {"3x3 depthwise 64, 14x14", {BATCH, 64, 14, 14, 64, 3, 3, 1, 1, 1, 1, 1, 1, 64}},
};

/* A network's convolutions. In training the first needs no dx. */
typedef struct network {
  const char *name;
  convolution layers[3];
} network;

static const network networks[] = {
    {"configs/fast99.lua, batch of 128",
     {{"5x5 1->16, 28x28", {128, 1, 28, 28, 16, 5, 5, 1, 1, 0, 0, 0, 0, 1}},
      {"3x3 16->32, 12x12", {128, 16, 12, 12, 32, 3, 3, 1, 1, 0, 0, 0, 0, 1}}}},
    {"32c5-64c3-128c3, padded, batch of 256",
     {{"5x5 1->32, 28x28", {256, 1, 28, 28, 32, 5, 5, 1, 1, 2, 2, 2, 2, 1}},
      {"3x3 32->64, 14x14", {256, 32, 14, 14, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
      {"3x3 64->128, 7x7", {256, 64, 7, 7, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1}}}},
};

typedef enum gradient { OUTPUT, DX, DW } gradient;

static void convolve(const ml_conv2d *g, gradient of, float *const v[4]) {
  if (of == OUTPUT) ml_conv2d_forward(v[1], v[0], v[2], v[2], true, g, v[3]);
  if (of == DX) ml_conv2d_dx(v[0], v[1], v[2], g, v[3]);
  if (of == DW) ml_conv2d_dw(v[2], v[1], v[0], g, v[3]);
}

/* The shape of the product: rows, columns and sums of the output, of dx for stride 1, and of dw. */
static product equivalent(const ml_conv2d *g, gradient of) {
  const int64_t taps = g->kh * g->kw, pixels = g->n * ml_conv2d_out_h(g) * ml_conv2d_out_w(g);
  const int64_t ins = g->in_c / g->groups, outs = g->out_c / g->groups;
  if (of == OUTPUT) return (product){.m = outs, .n = pixels, .k = ins * taps};
  if (of == DX) return (product){.m = ins, .n = pixels, .k = outs * taps};
  return (product){.m = outs, .n = ins * taps, .k = pixels, .b_transposed = true};
}

/* Runs of both in turn: *gemm gets the seconds of the product. */
static double time_convolution(const ml_conv2d *g, gradient of, double *gemm) {
  const int64_t xs = g->n * g->in_c * g->h * g->w, ys = g->n * g->out_c * ml_conv2d_out_h(g) * ml_conv2d_out_w(g);
  const int64_t ws = g->out_c * (g->in_c / g->groups) * g->kh * g->kw;
  float *v[4] = {random_floats(xs, 1), random_floats(ys, 2), random_floats(ws + g->out_c, 3),
                 must_alloc((int64_t)ml_conv2d_workspace(g))};
  const product p = equivalent(g, of);
  float *a = random_floats(p.m * p.k, 1), *b = random_floats(p.k * p.n, 2), *c = must_alloc(p.m * p.n);
  float *work = must_alloc((int64_t)ml_gemm_workspace(p.m, p.n, p.k));
  const ml_matrix bm = {b, p.b_transposed ? 1 : p.n, p.b_transposed ? p.k : 1};
  double best = *gemm = 1e9;
  for (int r = 0; r < RUNS; r++) {
    const double begin = now();
    convolve(g, of, v);
    const double middle = now();
    ml_gemm(c, p.n, (ml_matrix){a, p.k, 1}, bm, ML_NO_EPILOGUE, p.m, p.n, p.k, work);
    const double end = now();
    if (middle - begin < best) best = middle - begin;
    if (end - middle < *gemm) *gemm = end - middle;
  }
  for (int i = 0; i < 4; i++) ml_free(v[i]);
  ml_free(a);
  ml_free(b);
  ml_free(c);
  ml_free(work);
  return best;
}

/* Prints a line and adds the seconds of both to *seconds and *gemm_seconds. */
static void print_gradient(const convolution *c, gradient of, double *seconds, double *gemm_seconds) {
  static const char *const names[] = {"forward", "dx", "dw"};
  const ml_conv2d *g = &c->g;
  const product p = equivalent(g, of);
  const double flops = 2.0 * (double)p.m * (double)p.n * (double)p.k * (double)g->groups;
  double gemm;
  const double here = time_convolution(g, of, &gemm);
  gemm *= (double)g->groups;
  printf("  %-24s %-10s %9.1f us  %7.1f beside %6.1f GFLOP/s  %5.1f%%\n", c->name, names[of], 1e6 * here,
         flops / here * 1e-9, flops / gemm * 1e-9, 100 * gemm / here);
  *seconds += here;
  *gemm_seconds += gemm;
}

static void print_convolutions(void) {
  double seconds = 0, gemm = 0;
  printf("  convolutions, batch of %d; GFLOP/s beside those of the equivalent matrix product:\n", BATCH);
  for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++) {
    for (int of = OUTPUT; of <= DW; of++) print_gradient(&convolutions[i], (gradient)of, &seconds, &gemm);
  }
}

static void print_networks(void) {
  for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
    double seconds = 0, gemm = 0;
    printf("  %s, in training:\n", networks[i].name);
    for (const convolution *c = networks[i].layers; c < networks[i].layers + 3 && c->name; c++) {
      for (int of = OUTPUT; of <= DW; of++) {
        if (of != DX || c > networks[i].layers) print_gradient(c, (gradient)of, &seconds, &gemm);
      }
    }
    printf("  %-24s %-10s %9.1f us  %33.1f%%\n", "all", "", 1e6 * seconds, 100 * gemm / seconds);
  }
}

/* ---- poolings ---- */

static const ml_pooling2d halving = {BATCH * 32, 28, 28, 2, 2, 2, 2, 0, 0, 0, 0};

static void max_forward(float *x, float *y, int32_t *index) { ml_maxpool2d_forward(y, index, x, &halving); }
static void max_dx(float *x, float *y, int32_t *index) { ml_maxpool2d_dx(x, y, index, &halving); }
static void mean_forward(float *x, float *y, int32_t *index) {
  (void)index;
  ml_avgpool2d_forward(y, x, &halving, true);
}
static void mean_dx(float *x, float *y, int32_t *index) {
  (void)index;
  ml_avgpool2d_dx(x, y, &halving, true);
}
static void global_mean(float *x, float *y, int32_t *index) {
  (void)index;
  ml_adaptive_avgpool2d_forward(y, x, halving.planes, 28, 28, 1, 1);
}

static const struct {
  const char *name;
  void (*run)(float *x, float *y, int32_t *index);
} poolings[] = {
    {"max 2x2", max_forward}, {"max 2x2 dx", max_dx}, {"mean 2x2", mean_forward}, {"mean 2x2 dx", mean_dx},
    {"global mean", global_mean},
};

static void print_poolings(void) {
  const int64_t n = halving.planes * 28 * 28;
  float *x = random_floats(n, 1), *y = random_floats(n / 4, 2);
  int32_t *index = must_alloc(n / 4);
  printf("  poolings of 32 x 28x28, elements of x per ns:\n");
  for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++) {
    double best = 1e9;
    ml_maxpool2d_forward(y, index, x, &halving);
    for (int r = 0; r < RUNS; r++) {
      const double begin = now();
      poolings[i].run(x, y, index);
      const double seconds = now() - begin;
      if (seconds < best) best = seconds;
    }
    printf("  %-24s %9.1f us  %6.2f\n", poolings[i].name, 1e6 * best, (double)n / (1e9 * best));
  }
  ml_free(x);
  ml_free(y);
  ml_free(index);
}

static void bench(int threads, bool nets_only) {
  ml_error err;
  if (ml_pool_start(threads, &err) != ML_OK) {
    fprintf(stderr, "bench_conv: %s\n", err.message);
    exit(1);
  }
  printf("%s, %s, %d thread%s\n", ml_isa_name(ml_cpu_isa()), ml_precision_name(ml_precision_in_use()), threads,
         threads == 1 ? "" : "s");
  print_networks();
  if (!nets_only) {
    print_convolutions();
    print_poolings();
  }
  ml_pool_stop();
}

int main(int argc, char **argv) {
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK) {
    fprintf(stderr, "bench_conv: %s\n", err.message);
    return 1;
  }
  int first = 1;
  const bool nets_only = argc > 1 && strcmp(argv[1], "nets") == 0;
  if (nets_only) first = 2;
  for (int p = 0; p < ML_PRECISION_COUNT && argc > first; p++) {
    if (strcmp(argv[first], ml_precision_name((ml_precision)p)) != 0) continue;
    ml_precision_use((ml_precision)p);
    first++;
    break;
  }
  for (int i = first; i < argc; i++) bench(atoi(argv[i]), nets_only);
  for (int threads = 1; threads <= 2 && first == argc; threads++) bench(threads, nets_only);
  return 0;
}
