#!/usr/bin/env python3
"""Writes the golden file about attention with PyTorch: scaled dot products, MultiheadAttention, encoder layers.

Run by hand, once, as make_golden.py beside it:

    python3 tests/golden/make_golden_attention.py
"""
import math

import torch
from torch import nn

from make_golden import leaf, write

DOT = (
    dict(heads=1, n=2, t=3, s=3, d=4), dict(heads=2, n=2, t=3, s=5, d=6), dict(heads=3, n=1, t=5, s=5, d=3, causal=True),
    dict(heads=2, n=2, t=4, s=3, d=4, causal=True),
)
LAYERS = (dict(embed=4, heads=1), dict(embed=6, heads=3, bias=False), dict(embed=6, heads=2, causal=True),
          dict(embed=4, heads=2, keys=5))
ENCODERS = (
    dict(d_model=4, nhead=2, dim_feedforward=7, activation="gelu", norm_first=True),
    dict(d_model=6, nhead=3, dim_feedforward=5, activation="relu", norm_first=False, layer_norm_eps=1e-3),
    dict(d_model=4, nhead=1, dim_feedforward=3, activation="gelu", norm_first=True, causal=True),
)


def later(t, s):
    """True where a causal query must not look."""
    return torch.ones(t, s).triu(1).bool()


def split(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def dot(heads, n, t, s, d, causal=False):
    q, k, v, dy = leaf(n, t, d), leaf(n, s, d), leaf(n, s, d), torch.randn(n, t, d)
    scores = split(q, heads) @ split(k, heads).transpose(2, 3) / math.sqrt(d / heads)
    if causal:
        scores = scores.masked_fill(later(t, s), -math.inf)
    y = (torch.softmax(scores, -1) @ split(v, heads)).transpose(1, 2).reshape(n, t, d)
    y.backward(dy)
    return dict(heads=heads, causal=causal, q=q, k=k, v=v, y=y, dy=dy, dq=q.grad, dk=k.grad, dv=v.grad)


def params_of(layer):
    """The parameters, all of them drawn anew: many begin as ones and zeros."""
    for p in layer.parameters():
        nn.init.normal_(p, 0, 0.5)
    return {name: p.detach().clone() for name, p in layer.named_parameters()}


def gradients_of(layer):
    return {name: p.grad for name, p in layer.named_parameters()}


def attention(embed, heads, bias=True, causal=False, keys=0):
    layer = nn.MultiheadAttention(embed, heads, bias=bias, batch_first=True)
    params, x, dy = params_of(layer), leaf(2, 3, embed), torch.randn(2, 3, embed)
    k, v = (leaf(2, keys, embed), leaf(2, keys, embed)) if keys else (x, x)
    y, _ = layer(x, k, v, attn_mask=later(3, 3) if causal else None, need_weights=False)
    y.backward(dy)
    case = dict(embed=embed, heads=heads, bias=bias, causal=causal, params=params, x=x, y=y, dy=dy, dx=x.grad,
                gradients=gradients_of(layer))
    return dict(case, k=k, v=v, dk=k.grad, dv=v.grad) if keys else case


def encoder(causal=False, **options):
    layer = nn.TransformerEncoderLayer(dropout=0, batch_first=True, **options)
    params, x, dy = params_of(layer), leaf(2, 3, options["d_model"]), torch.randn(2, 3, options["d_model"])
    y = layer(x, later(3, 3) if causal else None)
    y.backward(dy)
    return dict(options=dict(options, causal=causal), params=params, x=x, y=y, dy=dy, dx=x.grad,
                gradients=gradients_of(layer))


if __name__ == "__main__":
    torch.manual_seed(20)
    torch.set_num_threads(1)
    write("attention", dict(dot=[dot(**c) for c in DOT], layers=[attention(**c) for c in LAYERS],
                            encoders=[encoder(**c) for c in ENCODERS]))
