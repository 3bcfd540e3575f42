/* attention: scaled dot-product attention with attrs.attention.heads heads, each of which reads its own share of the d
 * features of every token:
 *
 *   p = softmax(q k^T / sqrt(d / heads)), y = p v
 *
 * Inputs: q [n, t, d] with k and v [n, s, d], or one tensor [n, t, 3 d] whose tokens hold their q, k and v side by
 * side. y is [n, t, d]. attrs.attention: `causal` lets token i see keys 1..i only; `p` is the probability with which
 * elements of p are dropped, as dropout does, by the stream `rng`. The products are computed in the precision in use,
 * the softmax in f32. Vaswani et al. 2017, "Attention is all you need". */
#include "kernels/attention.h"

#include "ops/ops.h"

static bool is_packed(const ml_call *c) { return c->inputs == 1; }

static ml_attention attention_of(const ml_call *c) {
  const ml_shape *q = &c->in[0]->shape;
  const int64_t d = is_packed(c) ? q->size[2] / 3 : q->size[2], heads = c->attrs.attention.heads;
  return (ml_attention){
      .n = q->size[0], .heads = heads, .width = d / heads, .t = q->size[1],
      .s = is_packed(c) ? q->size[1] : c->in[1]->shape.size[1], .row = q->size[2],
      .causal = c->attrs.attention.causal, .dropout = (float)c->attrs.attention.p, .rng = c->attrs.attention.rng};
}

/* p, the one thing kept, has n heads t s elements; everything that is computed from this count must not overflow. */
static ml_status check_count(const ml_attention *g, ml_error *err) {
  int64_t count = g->n;
  if (__builtin_mul_overflow(count, g->heads, &count) || __builtin_mul_overflow(count, g->t, &count) ||
      __builtin_mul_overflow(count, g->s, &count) || count > INT64_MAX / 1024)
    return ml_fail(err, ML_MISUSE, "attention: %lld samples, %lld heads and %lld x %lld tokens are too much",
                   (long long)g->n, (long long)g->heads, (long long)g->t, (long long)g->s);
  return ML_OK;
}

static ml_status check_shapes(const ml_call *c, ml_error *err) {
  const ml_shape *in = &c->in[0]->shape;
  if (is_packed(c)) {
    if (in->ndim == 3 && in->size[2] % 3 == 0) return ML_OK;
    return ml_fail(err, ML_MISUSE, "attention: expected n x t x 3d, q, k and v side by side, received %s",
                   ML_SHAPE_WORDS(in));
  }
  const ml_shape *keys = &c->in[1]->shape, *values = &c->in[2]->shape;
  if (in->ndim != 3 || keys->ndim != 3 || in->size[0] != keys->size[0] || in->size[2] != keys->size[2])
    return ml_fail(err, ML_MISUSE, "attention: expected q of n x t x d and k of n x s x d, received %s and %s",
                   ML_SHAPE_WORDS(in), ML_SHAPE_WORDS(keys));
  if (!ml_shape_equal(keys, values))
    return ml_fail(err, ML_MISUSE, "attention: expected v of %s, as k, received %s", ML_SHAPE_WORDS(keys),
                   ML_SHAPE_WORDS(values));
  return ML_OK;
}

static ml_status check_attributes(const ml_call *c, ml_error *err) {
  const int64_t heads = c->attrs.attention.heads, size = c->in[0]->shape.size[2], d = is_packed(c) ? size / 3 : size;
  const double p = c->attrs.attention.p;
  if (heads < 1 || d % heads != 0)
    return ml_fail(err, ML_MISUSE, "attention: %lld heads do not divide %lld features", (long long)heads,
                   (long long)d);
  if (!(p >= 0.0 && p < 1.0))
    return ml_fail(err, ML_MISUSE, "attention: expected a dropout >= 0 and < 1, received %g", p);
  return ML_OK;
}

static ml_status attention_shape(ml_call *c, ml_error *err) {
  if (c->inputs == 2) return ml_fail(err, ML_MISUSE, "attention: k and v go together");
  if (ml_check_f32(&ml_op_attention, c, err) != ML_OK) return ML_MISUSE;
  if (check_shapes(c, err) != ML_OK || check_attributes(c, err) != ML_OK) return ML_MISUSE;
  const ml_attention g = attention_of(c);
  if (g.s == 0 && g.t > 0) return ml_fail(err, ML_MISUSE, "attention: there are queries but no keys");
  if (check_count(&g, err) != ML_OK) return ML_MISUSE;
  ml_set_output(c, &(ml_shape){3, {g.n, g.t, g.heads * g.width}});
  c->saved_floats = (size_t)(g.n * g.heads * g.t * g.s);
  ml_want_scratch(c, ml_attention_workspace(&g));
  return ML_OK;
}

/* Where k and v (1, 2) or their gradients begin. */
static const float *part(const ml_call *c, int which) {
  return is_packed(c) ? c->in[0]->f32 + which * (c->in[0]->shape.size[2] / 3) : c->in[which]->f32;
}

static void attention_forward(ml_call *c) {
  const ml_attention g = attention_of(c);
  ml_attention_forward(c->out->f32, c->saved, part(c, 0), part(c, 1), part(c, 2), &g, c->scratch);
}

static void attention_backward(ml_call *c, const float *dout, float *const din[]) {
  const ml_attention g = attention_of(c);
  const int64_t d = g.heads * g.width;
  float *dq = din[0], *dk = is_packed(c) ? din[0] + d : din[1], *dv = is_packed(c) ? din[0] + 2 * d : din[2];
  ml_attention_backward(dq, dk, dv, dout, part(c, 0), part(c, 1), part(c, 2), c->saved, &g, c->scratch);
}

const ml_op ml_op_attention = {
    "attention", 1, 3, attention_shape, attention_forward, attention_backward,
    {ML_READS(0) | ML_READS(1) | ML_READS(2), ML_READS(0) | ML_READS(2), 0}};
