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


def buffers(module):
    return {name: t.clone() for name, t in module.named_buffers()}


def pass_through(module, x, dy):
    """One forward and backward: the output, and the gradients of x and of the parameters."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    y = module(x)
    y.backward(dy)
    return dict(y=y, dx=x.grad.clone(), gradients={name: p.grad.clone() for name, p in module.named_parameters()})


NORMS = (
    ("BatchNorm1d", (5,), dict(), (6, 5)),
    ("BatchNorm1d", (3,), dict(), (2, 3, 4)),
    ("BatchNorm1d", (3,), dict(affine=False, eps=1e-3), (4, 3)),
    ("BatchNorm2d", (3,), dict(), (2, 3, 3, 5)),
    ("BatchNorm2d", (2,), dict(momentum=0.3, eps=1e-2), (3, 2, 1, 2)),
    ("BatchNorm2d", (2,), dict(momentum=None), (3, 2, 2, 2)),
    ("BatchNorm2d", (2,), dict(track_running_stats=False), (3, 2, 2, 2)),
    ("LayerNorm", (7,), dict(), (4, 7)),
    ("LayerNorm", ((3, 5),), dict(eps=1e-3), (2, 3, 5)),
    ("LayerNorm", (5,), dict(elementwise_affine=False), (2, 3, 5)),
    ("GroupNorm", (2, 4), dict(), (3, 4, 2, 3)),
    ("GroupNorm", (3, 6), dict(), (4, 6)),
    ("GroupNorm", (1, 3), dict(affine=False, eps=1e-3), (2, 3, 4)),
    ("PReLU", (), dict(), (4, 5)),
    ("PReLU", (3,), dict(), (2, 3, 2, 2)),
    ("PReLU", (5,), dict(init=-0.1), (4, 5)),
)


def norms():
    cases = []
    for kind, args, options, size in NORMS:
        module = getattr(nn, kind)(*args, **options)
        for p in module.parameters():
            with torch.no_grad():
                p.copy_(torch.randn(p.shape) + 0.5)
        case = dict(kind=kind, size=list(size), args=[list(a) if isinstance(a, tuple) else a for a in args])
        case["options"] = {k: "cumulative" if v is None else v for k, v in options.items()}
        case.update(params=state(module), steps=[])
        for training in (True, True, False) if kind.startswith("Batch") else (True,):
            module.train(training)
            x, dy = torch.randn(size) * 1.5 + 0.3, torch.randn(size)
            step = dict(training=training, x=x, dy=dy, **pass_through(module, x, dy))
            case["steps"].append(dict(step, buffers=buffers(module)))
        cases.append(case)
    return cases


CONVOLUTIONS = (
    # name, x, w, stride, padding, groups
    ("plain", (2, 3, 5, 4), (4, 3, 3, 2), 1, 0, 1),
    ("strides and padding", (1, 2, 7, 5), (3, 2, 3, 3), (2, 1), (1, 2), 1),
    ("same, an even kernel", (2, 1, 4, 5), (2, 1, 2, 4), 1, "same", 1),
    ("valid", (1, 2, 4, 4), (2, 2, 3, 3), 1, "valid", 1),
    ("groups", (1, 4, 4, 5), (6, 2, 3, 3), 1, 1, 2),
    ("depthwise", (2, 3, 5, 5), (3, 1, 3, 3), 2, 1, 3),
)


def conv2d():
    torch.manual_seed(21)
    cases = []
    for name, x_size, w_size, stride, padding, groups in CONVOLUTIONS:
        x, w, b = leaf(*x_size), leaf(*w_size), leaf(w_size[0])
        y = F.conv2d(x, w, b, stride, padding, 1, groups)
        dy = torch.randn_like(y)
        y.backward(dy)
        options = dict(stride=stride, padding=padding, groups=groups)
        cases.append(dict(options, name=name, x=x, w=w, b=b, y=y, dy=dy, dx=x.grad, dw=w.grad, db=b.grad))
    return cases


POOLINGS = (
    # layer, x, PyTorch's arguments
    ("MaxPool2d", (2, 2, 4, 6), dict(kernel_size=2)),
    ("MaxPool2d", (1, 2, 5, 7), dict(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0))),
    ("AvgPool2d", (2, 2, 4, 6), dict(kernel_size=2)),
    ("AvgPool2d", (1, 2, 5, 7), dict(kernel_size=3, stride=2, padding=1)),
    ("AvgPool2d", (1, 2, 5, 7), dict(kernel_size=(3, 2), stride=2, padding=1, count_include_pad=False)),
    ("AdaptiveAvgPool2d", (2, 2, 4, 5), dict(output_size=1)),
    ("AdaptiveAvgPool2d", (1, 2, 5, 7), dict(output_size=(3, 4))),
)


def pooling():
    torch.manual_seed(22)
    cases = []
    for layer, size, options in POOLINGS:
        x = leaf(*size)
        y = getattr(nn, layer)(**options)(x)
        dy = torch.randn_like(y)
        y.backward(dy)
        cases.append(dict(layer=layer, options=options, x=x, y=y, dy=dy, dx=x.grad))
    return cases


RECURRENT = (
    ("RNN", "all", (2, 3, 4), dict(hidden_size=5)),
    ("RNN", "last", (3, 4, 2), dict(hidden_size=3, num_layers=2, nonlinearity="relu", bidirectional=True)),
    ("LSTM", "all", (2, 4, 3), dict(hidden_size=5)),
    ("LSTM", "last", (3, 3, 5), dict(hidden_size=4, num_layers=2)),
    ("LSTM", "all", (1, 3, 2), dict(hidden_size=3, num_layers=2, bidirectional=True)),
    ("LSTM", "last", (2, 5, 3), dict(hidden_size=2, bidirectional=True, bias=False)),
    ("GRU", "all", (2, 4, 3), dict(hidden_size=5)),
    ("GRU", "last", (3, 3, 5), dict(hidden_size=4, num_layers=2)),
    ("GRU", "all", (1, 3, 2), dict(hidden_size=3, num_layers=2, bidirectional=True)),
    ("GRU", "last", (2, 5, 3), dict(hidden_size=2, bias=False)),
)


def recurrent():
    torch.manual_seed(23)
    cases = []
    for layer, output, size, options in RECURRENT:
        module = getattr(nn, layer)(size[2], batch_first=True, **options)
        x = leaf(*size)
        y, state = module(x)
        if output == "last":
            state = state[0] if layer == "LSTM" else state
            y = torch.cat(list(state[-2:] if options.get("bidirectional") else state[-1:]), 1)
        dy = torch.randn_like(y)
        y.backward(dy)
        params = dict(module.named_parameters())
        gradients = {k: v.grad for k, v in params.items()}
        cases.append(dict(layer=layer, output=output, options=options, params=params, x=x, y=y, dy=dy, dx=x.grad,
                          gradients=gradients))
    return cases


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(20)
    for make in (linear, cross_entropy, mlp, optim, norms, conv2d, pooling, recurrent):
        write(make.__name__, make())
