/* The contract of a differentiable operation, and the list of all of them.
 *
 * An operation is a const struct in a file of its own (or with its closest kin): `shape` is its only fallible part; it
 * checks the inputs and says what the output looks like and how much workspace the call needs. `forward` and `backward`
 * then only compute. A new operation is one file, one row in ml_ops (list.c) and one row in the table of gradient-check
 * cases (tests/c/gradcheck_cases.c); a missing case fails the tests.
 *
 * Scripts reach an operation by its name through src/bind/l_ops.c. */
#ifndef ML_OPS_OP_H
#define ML_OPS_OP_H

#include "base/rng.h"
#include "tensor/tensor.h"

#define ML_OP_MAX_INPUTS 8

/* A window that slides over images: its size, its steps, and the padding of the images. */
typedef struct ml_window2d {
  int64_t kh, kw, stride_h, stride_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
} ml_window2d;

/* What an operation is told besides its inputs. Each operation documents the member that it reads. Dimensions here
 * count from 0. */
typedef union ml_attrs {
  struct { double value; } scalar;                                   /* leaky relu, elu, smooth_l1 */
  struct { bool all; int dim; bool keep; } reduce;                   /* sum, mean, max, min */
  struct { bool transpose_a, transpose_b; } matmul;
  struct { int dim; int64_t begin, count; } slice;                   /* slice */
  struct { int dim; } along;                                         /* concat, softmax, log_softmax */
  struct { ml_shape shape; } reshape;
  struct { double smoothing; bool has_weight; } cross_entropy;       /* weight is the third input */
  struct { bool has_weight; } nll;
  struct { bool log_target, batch_mean; } kl_div;
  struct { int power; double margin; } multi_margin;
  struct { double p; ml_rng rng; } dropout;                          /* dropout, dropout2d */
  struct { double std; ml_rng rng; } noise;                          /* gaussian_noise */
  struct { int ndim; int order[ML_MAX_DIMS]; } permute;              /* y's dimension d is x's order[d] */
  /* batch_norm: all but `size`; the running tensors (both, or NULL) are only read and, in training, changed while the
   * operation runs. group_norm: eps, and `size` groups. layer_norm: eps, and `size` trailing dimensions. */
  struct { double eps, momentum; bool training; int64_t size; ml_tensor *running_mean, *running_var; } norm;
  struct { ml_window2d window; int64_t groups; } conv2d;             /* the kernel's size is the weight's */
  struct { ml_window2d window; bool count_padding; } pool2d;
  struct { int64_t heads; bool causal; double p; ml_rng rng; } attention;
  struct { bool reverse, last, relu; } recurrent;                    /* rnn, lstm, gru; relu: rnn only */
  struct { int64_t h, w; } size2d;                                   /* of the output: adaptive pooling */
} ml_attrs;

/* One call. in[] and out are set when forward and backward run. */
typedef struct ml_call {
  ml_attrs attrs;
  int inputs;
  ml_tensor *in[ML_OP_MAX_INPUTS];
  ml_tensor *out;
  /* Set by `shape`: */
  ml_dtype out_dtype;
  ml_shape out_shape;
  bool out_is_view;        /* out shares in[0]'s storage from element view_offset on; forward has nothing to do */
  int64_t view_offset;
  size_t saved_floats;     /* kept from forward to backward, e.g. probabilities */
  size_t scratch_floats;   /* valid during one forward or one backward */
  /* Given to forward and backward (64-byte aligned, NULL if none was asked for): */
  float *saved, *scratch;
} ml_call;

typedef struct ml_op {
  const char *name;        /* the name in scripts, e.g. "matmul" */
  int min_inputs, max_inputs;

  /* Checks c->in, c->inputs and c->attrs; sets out_dtype, out_shape and the sizes. The message begins with the
   * operation's name and gives the shapes. */
  ml_status (*shape)(ml_call *c, ml_error *err);

  /* c->out from c->in. May write c->saved. */
  void (*forward)(ml_call *c);

  /* From dout (the shape of c->out) writes, not adds, the gradient of every input i with din[i] not NULL. Reads
   * c->in, c->out and c->saved, which it may overwrite: it runs once. NULL for an operation without gradient (argmax,
   * equal). */
  void (*backward)(ml_call *c, const float *dout, float *const din[]);

  /* reads[i]: the values that backward reads for the gradient of input i, as the sum of ML_READS(k) for c->in[k] and
   * ML_READS_OUT for c->out. Shapes, attributes and c->saved do not count. If one of these was changed in place since
   * the forward, the tape refuses the backward pass; so a value that is missing here may give a wrong gradient. */
  uint16_t reads[ML_OP_MAX_INPUTS];
} ml_op;

#define ML_READS(input) (1u << (input))
#define ML_READS_OUT    ML_READS(ML_OP_MAX_INPUTS)

/* All operations, in alphabetical order of their names, ending in NULL. */
extern const ml_op *const ml_ops[];
const ml_op *ml_op_find(const char *name);   /* NULL if there is none */

/* ---- checks shared by the operations' shape functions (check.c) ---- */

/* ML_OK if every input is f32; the message names the operation and the input. */
ml_status ml_check_f32(const ml_op *op, const ml_call *c, ml_error *err);
/* ML_OK if a tensor of this shape has dimension `dim`; the message counts dimensions from 1, as scripts do. */
ml_status ml_check_dim(const ml_op *op, const ml_shape *shape, int dim, ml_error *err);
/* ML_OK if every label t[n], i32 or u8, is in 0..classes-1; the message names the sample, from 1, and its label. */
ml_status ml_check_labels(const ml_op *op, const ml_tensor *t, int64_t n, int64_t classes, ml_error *err);
/* For losses. ML_OK if input 0 is f32 [samples, classes]; if input 1 is a label for each sample besides (`what` is the
 * loss's word for input 0); if input 2 is an f32 weight for each class. */
ml_status ml_check_scores(const ml_op *op, const ml_call *c, const char *what, ml_error *err);
ml_status ml_check_scores_and_labels(const ml_op *op, const ml_call *c, const char *what, ml_error *err);
ml_status ml_check_class_weight(const ml_op *op, const ml_call *c, ml_error *err);
/* ML_OK if a loss's target and weight, inputs 1 and 2, want no gradient. */
ml_status ml_check_constants(const ml_op *op, const ml_call *c, ml_error *err);
/* Sets an f32 output of this shape and no workspace. */
void ml_set_output(ml_call *c, const ml_shape *shape);
/* Asks for at least this much scratch. */
void ml_want_scratch(ml_call *c, size_t floats);
/* x seen as [outer, n, inner] around dimension dim. */
void ml_split_dims(const ml_shape *shape, int dim, int64_t *outer, int64_t *n, int64_t *inner);

#endif
