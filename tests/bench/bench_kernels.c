/* How fast the kernels are on this machine: `bench_kernels [THREADS]...` (1 and 2 without arguments) prints, for every
 * instruction set it has, the multiply-add peak measured beside them, the matrix products of a training step of the
 * 784-512-128-64-10 network in GFLOP/s and as a share of that peak, one image's way through it, and the element-wise
 * kernels in elements per nanosecond. Each figure is the best of several short runs. A program of its own, no test. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/gemv.h"
#include "kernels/kernels.h"
#include "kernels/norm.h"
#include "kernels/peak.h"
#include "kernels/precision.h"
#include "bench_aid.h"

enum { RUNS = 9, BATCH = 128 };

static volatile float sink;

/* GFLOP/s of all threads together in about a millisecond: of AMX where the products run on it. */
static double measure_peak(void) {
  const bool on_amx = ml_precision_in_use() != ML_PRECISION_F32 && ml_peak_possible(ML_PEAK_AMX);
  const ml_peak_memory none = {NULL, 0};
  return 1e-9 * ml_peak_measure(on_amx ? ML_PEAK_AMX : ML_PEAK_F32, ml_pool_threads(), 0.001, none).best;
}

static double max_of(double a, double b) { return a > b ? a : b; }

/* ---- matrix products ---- */

typedef struct product {
  const char *name;
  int64_t m, n, k;
  bool a_transposed, b_transposed;
  bool in_step; /* counts towards the sum of a training step */
} product;

/* forward: X W^T; input gradient: dY W; weight gradient: dY^T X. */
static const product products[] = {
    {"forward 1", BATCH, 512, 784, false, true, true},
    {"forward 2", BATCH, 128, 512, false, true, true},
    {"forward 3", BATCH, 64, 128, false, true, true},
    {"forward 4", BATCH, 10, 64, false, true, true},
    {"dW 4", 10, 64, BATCH, true, false, true},
    {"dX 4", BATCH, 64, 10, false, false, true},
    {"dW 3", 64, 128, BATCH, true, false, true},
    {"dX 3", BATCH, 128, 64, false, false, true},
    {"dW 2", 128, 512, BATCH, true, false, true},
    {"dX 2", BATCH, 512, 128, false, false, true},
    {"dW 1", 512, 784, BATCH, true, false, true},
    {"forward 1, 1 image", 1, 512, 784, false, true, false},
    {"forward 1, 9000 images", 9000, 512, 784, false, true, false},
    {"forward 4, 9000 images", 9000, 10, 64, false, true, false},
    {"dW 1, 9000 images", 512, 784, 9000, true, false, false},
    {"square", 1024, 1024, 1024, false, false, false},
};

/* Seconds of one product: the best of RUNS runs of about a millisecond. *peak is the best peak measured in between. */
static double time_product(const product *p, double *peak) {
  float *a_data = random_floats(p->m * p->k, 1), *b_data = random_floats(p->k * p->n, 2);
  float *c = must_alloc(p->m * p->n), *bias = random_floats(p->n, 3);
  float *work = must_alloc((int64_t)ml_gemm_workspace(p->m, p->n, p->k));
  const ml_matrix a = {a_data, p->a_transposed ? 1 : p->k, p->a_transposed ? p->m : 1};
  const ml_matrix b = {b_data, p->b_transposed ? 1 : p->n, p->b_transposed ? p->k : 1};
  const double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k;
  const int repeats = flops > 1e8 ? 1 : (int)(1e8 / flops < 1000 ? 1e8 / flops : 1000);
  double best = 1e9;
  *peak = 0;
  for (int r = 0; r < RUNS; r++) {
    *peak = max_of(*peak, measure_peak());
    const double begin = now();
    for (int i = 0; i < repeats; i++) ml_gemm(c, p->n, a, b, (ml_epilogue){.bias = bias}, p->m, p->n, p->k, work);
    const double seconds = (now() - begin) / repeats;
    if (seconds < best) best = seconds;
  }
  ml_free(a_data);
  ml_free(b_data);
  ml_free(c);
  ml_free(bias);
  ml_free(work);
  return best;
}

static void print_products(void) {
  double step_flops = 0, step_seconds = 0, peak, best_peak = 0;
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    const product *p = &products[i];
    const double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k, seconds = time_product(p, &peak);
    best_peak = max_of(best_peak, peak);
    if (p->in_step) {
      step_flops += flops;
      step_seconds += seconds;
    }
    printf("  %-24s %5lld x %4lld x %4lld  %9.1f us  %7.1f of %6.1f GFLOP/s  %5.1f%%\n", p->name, (long long)p->m,
           (long long)p->n, (long long)p->k, 1e6 * seconds, flops / seconds * 1e-9, peak,
           flops / seconds * 1e-7 / peak);
  }
  printf("  %-24s %18s  %9.1f us  %7.1f of %6.1f GFLOP/s  %5.1f%%\n", "a step's 11 products", "",
         1e6 * step_seconds, step_flops / step_seconds * 1e-9, best_peak, step_flops / step_seconds * 1e-7 / best_peak);
}

/* ---- one image through the network: the layers of a few rows beside the general product ---- */

enum { LAYERS = 4, IMAGES = 64, WIDEST = 784 };
static const int64_t widths[LAYERS + 1] = {784, 512, 128, 64, 10};

typedef struct network {
  float *x; /* [IMAGES][784] */
  float *w[LAYERS], *strips[LAYERS], *work;
  float h[2][WIDEST];
} network;

static network make_network(void) {
  network net = {.x = random_floats(IMAGES * widths[0], 1)};
  net.work = must_alloc((int64_t)ml_gemm_workspace(1, 512, 784));
  for (int l = 0; l < LAYERS; l++) {
    net.w[l] = random_floats(widths[l] * widths[l + 1], 2 + (uint32_t)l);
    net.strips[l] = must_alloc((int64_t)ml_gemv_floats(widths[l + 1], widths[l]));
    ml_gemv_pack(net.strips[l], net.w[l], widths[l + 1], widths[l]);
  }
  return net;
}

static void free_network(network *net) {
  for (int l = 0; l < LAYERS; l++) {
    ml_free(net->w[l]);
    ml_free(net->strips[l]);
  }
  ml_free(net->x);
  ml_free(net->work);
}

static void run_image(network *net, int image, bool few) {
  const float *x = net->x + image * widths[0];
  for (int l = 0; l < LAYERS; l++) {
    const int64_t in = widths[l], out = widths[l + 1];
    const ml_epilogue e = {.relu = l + 1 < LAYERS};
    float *y = net->h[l % 2];
    if (few) {
      ml_gemv(y, x, net->strips[l], e, 1, out, in);
    } else {
      ml_gemm(y, out, (ml_matrix){x, in, 1}, (ml_matrix){net->w[l], 1, in}, e, 1, out, in, net->work);
    }
    x = y;
  }
}

/* Microseconds per image, the best of RUNS runs of all images. */
static double time_images(network *net, bool few) {
  double best = 1e9;
  for (int r = 0; r < RUNS; r++) {
    const double begin = now();
    for (int i = 0; i < IMAGES; i++) run_image(net, i, few);
    const double seconds = (now() - begin) / IMAGES;
    if (seconds < best) best = seconds;
  }
  return 1e6 * best;
}

/* Pixels in runs, as strokes are. */
static void print_one_image(void) {
  network net = make_network();
  const double dense = time_images(&net, true), general = time_images(&net, false);
  for (int i = 0; i < IMAGES * WIDEST; i++)
    if (i / 6 % 5 != i / WIDEST % 5) net.x[i] = 0.0f;
  const double thin = time_images(&net, true);
  double packing = 1e9;
  for (int r = 0; r < RUNS; r++) {
    const double begin = now();
    ml_gemv_pack(net.strips[0], net.w[0], widths[1], widths[0]);
    if (now() - begin < packing) packing = now() - begin;
  }
  printf("  one image, four layers: %.1f us with 80%% zeros, %.1f without, %.1f by the general product;\n"
         "  packing the first weight %.1f us\n",
         thin, dense, general, 1e6 * packing);
  free_network(&net);
}

/* ---- the others ---- */

enum { ROWS = BATCH, COLS = 512, COUNT = ROWS * COLS };

typedef struct arrays {
  float *x, *y, *z;
  uint8_t *bytes;
} arrays;

static void run_relu(arrays *v) { ml_map_unary(v->y, v->x, COUNT, ML_RELU, 0); }
static void run_relu_backward(arrays *v) { ml_map_unary_backward(v->y, v->z, v->x, v->x, COUNT, ML_RELU, 0); }
static void run_tanh(arrays *v) { ml_map_unary(v->y, v->x, COUNT, ML_TANH, 0); }
static void run_gelu(arrays *v) { ml_map_unary(v->y, v->x, COUNT, ML_GELU, 0); }
static void run_add(arrays *v) { ml_map_binary(v->z, v->x, v->y, COUNT, ML_ADD); }
static void run_add_rows(arrays *v) {
  ml_map_binary_broadcast(v->z, v->x, v->y, (int64_t[]){ROWS, COLS}, (int64_t[]){COLS, 1}, (int64_t[]){0, 1}, 2,
                          ML_ADD);
}
static void run_axpy(arrays *v) { ml_axpy(v->y, v->x, COUNT, 1e-6f); }
static void run_dropout(arrays *v) { ml_dropout(v->y, v->x, COUNT, 0.5f, ml_rng_make(1, ML_STREAM_DROPOUT)); }
static void run_noise(arrays *v) { ml_gaussian_noise(v->y, v->x, COUNT, 0.3f, ml_rng_make(1, ML_STREAM_NOISE)); }

/* Rows of features for batch and layer norm; images of 14 x 14 for the rest. */
static const ml_norm features = {.n = ROWS, .c = COLS, .inner = 1, .groups = 1};
static const ml_norm images = {.n = COUNT / 3136, .c = 16, .inner = 196, .groups = 4};
static float moments[3][COLS + ROWS], gradients[2][COLS];

static void norm_forward(arrays *v, const ml_norm *g) {
  ml_batch_norm_forward(v->y, moments[0], moments[1], moments[2], v->x, g, 1e-5);
}

static void norm_backward(arrays *v, const ml_norm *g) {
  ml_batch_norm_backward(v->y, gradients[0], gradients[1], v->z, v->x, moments[0], moments[1], g, false);
}

static void run_batch_norm(arrays *v) { norm_forward(v, &features); }
static void run_batch_norm_backward(arrays *v) { norm_backward(v, &features); }
static void run_batch_norm_2d(arrays *v) { norm_forward(v, &images); }
static void run_batch_norm_2d_backward(arrays *v) { norm_backward(v, &images); }
static void run_layer_norm(arrays *v) {
  ml_group_norm_forward(v->y, moments[0], moments[1], v->x, &features, 1e-5);
}
static void run_group_norm(arrays *v) { ml_group_norm_forward(v->y, moments[0], moments[1], v->x, &images, 1e-5); }
static void run_transpose(arrays *v) { ml_transpose(v->y, v->x, ROWS, COLS); }
static void run_sum_rows(arrays *v) { ml_reduce_sum(v->y, v->x, ROWS, COLS, 1, 1.0); }
static void run_sum_columns(arrays *v) { ml_reduce_sum(v->y, v->x, 1, ROWS, COLS, 1.0); }
static void run_max_rows(arrays *v) { ml_reduce_max(v->y, NULL, v->x, ROWS, COLS, 1, false); }
static void run_sum_squares(arrays *v) { sink = (float)ml_sum_squares(v->x, COUNT); }
static void run_nonfinite(arrays *v) { sink = (float)ml_count_nonfinite(v->x, COUNT); }
static void run_softmax(arrays *v) { ml_softmax(v->y, v->x, COUNT / 10, 10); }
static void run_log_softmax(arrays *v) { ml_log_softmax(v->y, v->x, COUNT / 10, 10); }
static void run_gather(arrays *v) {
  static int32_t index[ROWS];
  for (int i = 0; i < ROWS; i++) index[i] = i * 37 % ROWS;
  static ml_byte_values values;
  ml_byte_values_normalise(&values, 0.1307, 0.3081);
  ml_gather_u8(v->y, v->bytes, index, ROWS, COLS, &values);
}

static const struct {
  const char *name;
  void (*run)(arrays *v);
} others[] = {
    {"relu", run_relu}, {"relu backward", run_relu_backward}, {"tanh", run_tanh}, {"gelu", run_gelu}, {"add", run_add},
    {"add rows", run_add_rows}, {"axpy", run_axpy}, {"dropout", run_dropout}, {"transpose", run_transpose},
    {"gaussian noise", run_noise}, {"batch norm", run_batch_norm}, {"batch norm backward", run_batch_norm_backward},
    {"batch norm 2d", run_batch_norm_2d}, {"batch norm 2d backward", run_batch_norm_2d_backward},
    {"layer norm", run_layer_norm}, {"group norm", run_group_norm},
    {"sum rows", run_sum_rows}, {"sum columns", run_sum_columns}, {"max rows", run_max_rows},
    {"sum of squares", run_sum_squares}, {"count non-finite", run_nonfinite}, {"softmax, 10 classes", run_softmax},
    {"log softmax, 10 classes", run_log_softmax}, {"gather (one thread)", run_gather},
};

static void print_others(void) {
  arrays v = {random_floats(COUNT, 4), random_floats(COUNT, 5), random_floats(COUNT, 6), must_alloc(COUNT)};
  for (int i = 0; i < COUNT; i++) v.bytes[i] = (uint8_t)(i * 7);
  printf("  %d x %d elements, element operations per ns:\n", ROWS, COLS);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    double best = 1e9;
    for (int r = 0; r < RUNS; r++) {
      const double begin = now();
      for (int repeat = 0; repeat < 8; repeat++) others[i].run(&v);
      const double seconds = (now() - begin) / 8;
      if (seconds < best) best = seconds;
    }
    printf("  %-24s %9.1f us  %6.2f\n", others[i].name, 1e6 * best, COUNT / (1e9 * best));
  }
  ml_free(v.x);
  ml_free(v.y);
  ml_free(v.z);
  ml_free(v.bytes);
}

static int bench(ml_isa isa, int threads) {
  ml_error err;
  if (ml_cpu_use(isa, &err) != ML_OK || ml_pool_start(threads, &err) != ML_OK) {
    fprintf(stderr, "bench_kernels: %s\n", err.message);
    return 1;
  }
  printf("%s, %d thread%s\n", ml_isa_name(isa), threads, threads == 1 ? "" : "s");
  for (int p = 0; p < ML_PRECISION_COUNT; p++) {
    if (isa == ML_ISA_PORTABLE && p != ML_PRECISION_F32) continue; /* emulated in plain C: minutes */
    ml_precision_use((ml_precision)p);
    printf(" products in %s\n", ml_precision_name((ml_precision)p));
    print_products();
  }
  ml_precision_use(ML_PRECISION_F32);
  print_one_image();
  print_others();
  ml_pool_stop();
  return 0;
}

int main(int argc, char **argv) {
  static char *defaults[] = {NULL, "1", "2"};
  if (argc < 2) {
    argc = 3;
    argv = defaults;
  }
  for (int isa = 0; isa <= (int)ml_cpu_best_isa(); isa++) {
    for (int i = 1; i < argc; i++) {
      if (bench((ml_isa)isa, atoi(argv[i]))) return 1;
    }
  }
  return 0;
}
