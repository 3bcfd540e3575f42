/* In what precision matrix products are computed: linear layers, convolutions and matmul, forward and backward. Sums,
 * weights, activations in memory and everything else stay in f32. One setting for the whole program, chosen by the
 * command line, an experiment or a script; the products (gemm.c and its kin) read it.
 *
 *   f32     single precision throughout
 *   bf16    operands rounded to bf16 (8 bits of mantissa), products summed in f32, in the order of Intel's AMX: on a
 *           processor without AMX it is emulated to the bit, but not as fast
 *   bf16x3  each operand as a sum of two bf16, three products: close to f32, on AMX faster than it */
#ifndef ML_PRECISION_H
#define ML_PRECISION_H

typedef enum ml_precision {
  ML_PRECISION_F32, ML_PRECISION_BF16, ML_PRECISION_BF16X3, ML_PRECISION_COUNT
} ml_precision;

const char *ml_precision_name(ml_precision p); /* "f32", "bf16", "bf16x3" */
ml_precision ml_precision_in_use(void);        /* ML_PRECISION_F32 until another is chosen */
void ml_precision_use(ml_precision p);         /* for all products from now on; not while one runs */

#endif
