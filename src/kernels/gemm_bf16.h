/* Matrix products of operands rounded to bf16, summed in the order of Intel's AMX: what the blocking (gemm_bf16.c and
 * the convolutions) asks of the register kernels, one per instruction set. Internal to src/kernels.
 *
 * All kernels give the same bits; bf16.h defines them. K is walked in steps of ML_BF16_STEP products. A step adds to
 * every element of c one float, the sum of its 32 products, so a product may be cut between any two steps and go on
 * later from the c that was stored: the chain of operations is the same.
 *
 * bf16x3 uses the same kernels on three steps for one: each operand is split into x = high + low, and A's panel holds
 * high, high, low where B's holds high, low, high. */
#ifndef ML_GEMM_BF16_H
#define ML_GEMM_BF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/gemm_micro.h"
#include "kernels/kernels.h"
#include "kernels/packed.h"
#include "kernels/precision.h"

#define ML_BF16_STEP 32
#define ML_BF16_MAX_ROWS 32
#define ML_BF16_MAX_COLS 32

typedef struct ml_bf16_micro {
  int mr, nr;  /* rows and columns of a tile: mr divides 96 and nr divides 32 */
  int element; /* bytes of a packed element: 2 or 4 */
  int block;   /* steps after which `run` had better be called anew, for the caches' sake */

  /* Packs rows 0..rows-1 <= mr and products 0..k-1 of x[i * stride_i + p * stride_p] into ml_bf16_steps(k, precision)
   * steps, padded with zeros in both directions. The panel is 64-byte aligned; step s begins
   * s * ML_BF16_STEP * mr * element bytes into it (a multiple of 64). precision is not f32. */
  void (*pack_a)(void *panel, const float *x, int64_t stride_i, int64_t stride_p, int64_t rows, int64_t k,
                 ml_precision precision);

  /* The same for columns: x[j * stride_j + p * stride_p], cols <= nr; a step has ML_BF16_STEP * nr * element bytes. */
  void (*pack_b)(void *panel, const float *x, int64_t stride_j, int64_t stride_p, int64_t cols, int64_t k,
                 ml_precision precision);

  /* Multiplies `count` panels of A, a_stride bytes apart, by one of B: tile q of c, at c + q * mr * ldc, gets
   * s = f.add ? c : 0; then s += each of the steps in turn; then c = s + bias, relu, as ml_finish says. Mind f.add: the
   * chain goes on from c, c is not added at the end. steps >= 1. All of mr x nr elements are written. */
  void (*run)(float *c, int64_t ldc, const void *a, int64_t a_stride, int64_t count, const void *b, int64_t steps,
              ml_finish f);
} ml_bf16_micro;

extern const ml_bf16_micro ml_bf16_portable;
#ifdef __x86_64__
extern const ml_bf16_micro ml_bf16_avx2, ml_bf16_avx512, ml_bf16_amx;

/* The packing of ml_bf16_amx (bf16_pack_amx.c). */
void ml_amx_pack_a(void *panel, const float *x, int64_t stride_i, int64_t stride_p, int64_t rows, int64_t k,
                   ml_precision precision);
void ml_amx_pack_b(void *panel, const float *x, int64_t stride_j, int64_t stride_p, int64_t cols, int64_t k,
                   ml_precision precision);
#endif

const ml_bf16_micro *ml_bf16_micro_in_use(void);

/* Steps that k products take: ceil(k / 32), three times that in bf16x3. */
int64_t ml_bf16_steps(int64_t k, ml_precision precision);

/* One tile at the edge of c: like run with count 1, but only rows x cols elements of c (and of the bias) exist. */
void ml_bf16_run_edge(const ml_bf16_micro *micro, float *c, int64_t ldc, const void *a, const void *b, int64_t steps,
                      ml_finish f, int64_t rows, int64_t cols);

/* ml_gemm_kept in bf16 or bf16x3, for m, n, k >= 1, and its workspace (the same for both, on every instruction set). */
size_t ml_gemm_bf16_workspace(int64_t m, int64_t n, int64_t k);
void ml_gemm_bf16(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_kept kept, ml_epilogue e, int64_t m, int64_t n,
                  int64_t k, float *work, ml_precision precision);

/* Products along K in one of its stages. */
int64_t ml_bf16_stage_depth(const ml_bf16_micro *micro, ml_precision precision);

#endif
