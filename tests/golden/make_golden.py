#!/usr/bin/env python3
"""Writes the golden files of this folder with PyTorch: what layers, losses and optimizers should compute.

Run by hand, once; the tests read only what it wrote (see README.md for the layout):

    python3 tests/golden/make_golden.py
"""
import os

import torch
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH = 120


def lua(value, indent="", before=0):
    """A number, string, list or dict as a Lua literal. It begins in column `before`; lists of numbers are wrapped."""
    if isinstance(value, torch.Tensor):
        return lua(value.tolist(), indent, before)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "%.9g" % value
    if isinstance(value, str):
        return '"%s"' % value
    inner = indent + "  "
    if isinstance(value, dict):
        fields = [(inner + key(k) + " = ", v) for k, v in value.items()]
        return "{\n" + "".join(k + lua(v, inner, len(k)) + ",\n" for k, v in fields) + indent + "}"
    items = [lua(v, inner, len(inner)) for v in value]
    flat = "{" + ", ".join(items) + "}"
    if "\n" not in flat and max(before, len(indent)) + len(flat) + 1 <= WIDTH:
        return flat
    if any(isinstance(v, (list, dict, torch.Tensor)) for v in value):
        return "{\n" + "".join("%s%s,\n" % (inner, item) for item in items) + indent + "}"
    return "{\n" + wrap(items, inner) + indent + "}"


def key(name):
    return name if name.isidentifier() else '["%s"]' % name


def wrap(items, indent):
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 1 > WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return "\n".join(lines + [line.rstrip()]) + "\n"


def write(name, table):
    with open(os.path.join(HERE, name + ".lua"), "w") as f:
        f.write("-- Made by make_golden.py with PyTorch %s; see README.md.\n" % torch.__version__)
        f.write("return " + lua(table) + "\n")


def leaf(*size):
    return torch.randn(*size, requires_grad=True)


def linear():
    cases = []
    for batch, n_in, n_out in ((1, 1, 1), (3, 7, 5), (5, 2, 9)):
        x, w, b, dy = leaf(batch, n_in), leaf(n_out, n_in), leaf(n_out), torch.randn(batch, n_out)
        y = F.linear(x, w, b)
        y.backward(dy)
        cases.append(dict(x=x, w=w, b=b, y=y, dy=dy, dx=x.grad, dw=w.grad, db=b.grad))
    return cases


def cross_entropy():
    labels = torch.tensor([2, 0, 3, 3, 1])
    soft = torch.softmax(torch.randn(5, 4), 1)
    weight = torch.tensor([0.3, 1.7, 0.9, 2.1])
    cases = []
    for name, target, smoothing, weighted, scale in (
        ("plain", labels, 0.0, False, 1),
        ("smoothing", labels, 0.1, False, 1),
        ("weight", labels, 0.0, True, 1),
        ("smoothing and weight", labels, 0.1, True, 1),
        ("soft targets", soft, 0.0, False, 1),
        ("soft targets, smoothing and weight", soft, 0.1, True, 1),
        ("large logits", labels, 0.0, False, 60),
    ):
        x = (torch.randn(5, 4) * scale).requires_grad_()
        loss = F.cross_entropy(x, target, weight=weight if weighted else None, label_smoothing=smoothing)
        loss.backward()
        case = dict(name=name, logits=x, target=target, smoothing=smoothing)
        if weighted:
            case["weight"] = weight
        cases.append(dict(case, loss=loss.item(), dlogits=x.grad))
    return cases


def new_mlp():
    return nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))


def state(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def mlp():
    model, x, labels = new_mlp(), torch.randn(6, 7), torch.tensor([0, 2, 1, 1, 0, 2])
    logits = model(x)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return dict(x=x, labels=labels, params=state(model), logits=logits, loss=loss.item(), gradients=gradients)


OPTIMIZERS = (
    ("momentum", "SGD", dict(lr=0.1, momentum=0.9)),
    ("nesterov, weight decay", "SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("dampening", "SGD", dict(lr=0.1, momentum=0.9, dampening=0.5)),
    ("Adam", "Adam", dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8)),
    ("Adam, weight decay", "Adam", dict(lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)),
    ("AdamW", "AdamW", dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)),
)


def optim():
    model, x, labels = new_mlp(), torch.randn(6, 7), torch.tensor([1, 1, 0, 2, 0, 2])
    start = state(model)
    cases = []
    for name, kind, hyper in OPTIMIZERS:
        model.load_state_dict(start)
        optimizer = getattr(torch.optim, kind)(model.parameters(), **hyper)
        losses, steps = [], []
        for _ in range(10):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            steps.append(state(model))
        cases.append(dict(name=name, optimizer=kind, hyper=hyper, losses=losses, steps=steps))
    return dict(x=x, labels=labels, params=start, cases=cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(20)
    for make in (linear, cross_entropy, mlp, optim):
        write(make.__name__, make())
