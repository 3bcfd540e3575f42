/* matmul: c[m, n] = a[m, k] b[k, n]; attrs.matmul says whether a or b is stored transposed. Gradients are products with
 * the operands read through swapped strides, so nothing is ever copied to transpose it. */
#include "kernels/kernels.h"
#include "ops/ops.h"

typedef struct ml_product {
  int64_t m, n, k;
  bool ta, tb;
} ml_product;

static ml_product product_of(const ml_call *c) {
  const int64_t *a = c->in[0]->shape.size, *b = c->in[1]->shape.size;
  bool ta = c->attrs.matmul.transpose_a, tb = c->attrs.matmul.transpose_b;
  return (ml_product){.m = a[ta], .k = a[!ta], .n = b[!tb], .ta = ta, .tb = tb};
}

/* A stored matrix with `cols` columns, seen as it is or transposed. */
static ml_matrix view(const float *data, int64_t cols, bool transposed) {
  return transposed ? (ml_matrix){data, 1, cols} : (ml_matrix){data, cols, 1};
}

static ml_status matmul_shape(ml_call *c, ml_error *err) {
  const ml_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
  if (ml_check_f32(&ml_op_matmul, c, err) != ML_OK) return ML_MISUSE;
  if (a->ndim != 2 || b->ndim != 2)
    return ml_fail(err, ML_MISUSE, "matmul: expected two matrices, received %s and %s", ML_SHAPE_WORDS(a),
                   ML_SHAPE_WORDS(b));
  ml_product p = product_of(c);
  int64_t rows = b->size[p.tb];
  if (p.k != rows)
    return ml_fail(err, ML_MISUSE, "matmul: %s%s has %lld columns, but %s%s has %lld rows", ML_SHAPE_WORDS(a),
                   p.ta ? " (transposed)" : "", (long long)p.k, ML_SHAPE_WORDS(b), p.tb ? " (transposed)" : "",
                   (long long)rows);
  ml_set_output(c, &(ml_shape){2, {p.m, p.n}});
  ml_want_scratch(c, ml_gemm_workspace(p.m, p.n, p.k));
  ml_want_scratch(c, p.ta ? ml_gemm_workspace(p.k, p.m, p.n) : ml_gemm_workspace(p.m, p.k, p.n));
  ml_want_scratch(c, p.tb ? ml_gemm_workspace(p.n, p.k, p.m) : ml_gemm_workspace(p.k, p.n, p.m));
  return ML_OK;
}

static void matmul_forward(ml_call *c) {
  ml_product p = product_of(c);
  ml_matrix a = view(c->in[0]->f32, p.ta ? p.m : p.k, p.ta);
  ml_matrix b = view(c->in[1]->f32, p.tb ? p.k : p.n, p.tb);
  ml_gemm(c->out->f32, p.n, a, b, ML_NO_EPILOGUE, p.m, p.n, p.k, c->scratch);
}

/* dA = dC B^T and dB = A^T dC; where an operand is stored transposed, the transpose of that product. */
static void matmul_backward(ml_call *c, const float *dout, float *const din[]) {
  ml_product p = product_of(c);
  ml_matrix dc = view(dout, p.n, false), dct = view(dout, p.n, true);
  if (din[0]) {
    int64_t cols = p.tb ? p.k : p.n;
    ml_matrix b = view(c->in[1]->f32, cols, p.tb), bt = view(c->in[1]->f32, cols, !p.tb);
    if (p.ta)
      ml_gemm(din[0], p.m, b, dct, ML_NO_EPILOGUE, p.k, p.m, p.n, c->scratch);
    else
      ml_gemm(din[0], p.k, dc, bt, ML_NO_EPILOGUE, p.m, p.k, p.n, c->scratch);
  }
  if (din[1]) {
    int64_t cols = p.ta ? p.m : p.k;
    ml_matrix a = view(c->in[0]->f32, cols, p.ta), at = view(c->in[0]->f32, cols, !p.ta);
    if (p.tb)
      ml_gemm(din[1], p.k, dct, a, ML_NO_EPILOGUE, p.n, p.k, p.m, c->scratch);
    else
      ml_gemm(din[1], p.n, at, dc, ML_NO_EPILOGUE, p.k, p.n, p.m, c->scratch);
  }
}

const ml_op ml_op_matmul = {
    "matmul", 2, 2, matmul_shape, matmul_forward, matmul_backward, {ML_READS(1), ML_READS(0)}};
