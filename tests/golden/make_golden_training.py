#!/usr/bin/env python3
"""Writes the golden files about training with PyTorch: further optimizers, losses, schedules.

Run by hand, once, as make_golden.py beside it:

    python3 tests/golden/make_golden_training.py
"""
import torch
from torch import nn
from torch.nn import functional as F

from make_golden import leaf, new_mlp, state, write

OPTIM_MORE = (
    ("NAdam", "NAdam", dict(lr=0.02)),
    ("NAdam, weight decay", "NAdam", dict(lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1, momentum_decay=0.1)),
    ("RMSprop", "RMSprop", dict(lr=0.01)),
    ("RMSprop, momentum", "RMSprop", dict(lr=0.01, alpha=0.9, momentum=0.9, weight_decay=0.05)),
    ("RMSprop, centered", "RMSprop", dict(lr=0.01, alpha=0.9, eps=1e-4, centered=True)),
    ("RMSprop, centered, momentum", "RMSprop", dict(lr=0.003, alpha=0.95, eps=1e-3, momentum=0.8, centered=True)),
    ("Adagrad", "Adagrad", dict(lr=0.05)),
    ("Adagrad, lr decay", "Adagrad", dict(lr=0.1, lr_decay=0.1, weight_decay=0.05, initial_accumulator_value=0.1)),
    ("LBFGS", "LBFGS", dict(lr=0.2, max_iter=3)),
    ("LBFGS, short history", "LBFGS", dict(lr=0.3, max_iter=3, history_size=2)),
    ("LBFGS, strong Wolfe", "LBFGS", dict(lr=1, max_iter=2, line_search_fn="strong_wolfe")),
)


def trace(model, optimizer, loss_of, steps=10):
    """The loss before each step, and the parameters after the first and the last."""

    def closure():
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    losses, states = [], []
    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
        states.append(state(model))
    return dict(losses=losses, first=states[0], last=states[-1])


def optim_more():
    torch.manual_seed(21)
    model, x, labels = new_mlp(), torch.randn(6, 7), torch.tensor([1, 1, 0, 2, 0, 2])
    start, cases = state(model), []

    def loss():
        return F.cross_entropy(model(x), labels)

    for name, kind, hyper in OPTIM_MORE:
        model.load_state_dict(start)
        # NAdam's other implementation in 1.13 multiplies by mu once too often.
        form = dict(foreach=True) if kind == "NAdam" else {}
        optimizer = getattr(torch.optim, kind)(model.parameters(), **hyper, **form)
        cases.append(dict(name=name, optimizer=kind, hyper=hyper, **trace(model, optimizer, loss)))
    return dict(x=x, labels=labels, params=start, cases=cases, clipping=clipping(model, start, loss))


def clipping(model, start, loss_of):
    """Gradients before and after clipping, by norm and by value."""
    model.load_state_dict(start)
    cases = []
    for kind, limit in (("norm", 0.05), ("norm", 50.0), ("value", 0.02)):
        model.zero_grad()
        loss_of().backward()
        clip = getattr(nn.utils, "clip_grad_%s_" % kind)
        norm = clip(model.parameters(), limit)
        gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        cases.append(dict(kind=kind, limit=limit, gradients=gradients, **(dict(norm=norm.item()) if norm else {})))
    return cases


LOSSES = (
    ("L1Loss", dict()),
    ("SmoothL1Loss", dict()),
    ("SmoothL1Loss", dict(beta=0.3)),
    ("HuberLoss", dict()),
    ("HuberLoss", dict(delta=0.4)),
    ("BCEWithLogitsLoss", dict()),
    ("BCEWithLogitsLoss", dict(pos_weight=[0.3, 1.7, 0.9, 2.1])),
    ("KLDivLoss", dict(reduction="mean")),
    ("KLDivLoss", dict(reduction="batchmean")),
    ("KLDivLoss", dict(reduction="batchmean", log_target=True)),
    ("MultiMarginLoss", dict()),
    ("MultiMarginLoss", dict(p=2, margin=0.6)),
    ("MultiMarginLoss", dict(p=1, margin=1.5, weight=[0.3, 1.7, 0.9, 2.1])),
)


def losses():
    torch.manual_seed(22)
    cases = []
    for name, options in LOSSES:
        x, target = torch.randn(5, 4), torch.randn(5, 4)
        if name == "BCEWithLogitsLoss":
            target = torch.sigmoid(target)
        elif name == "KLDivLoss":
            x = torch.log_softmax(x, 1)
            target = torch.log_softmax(target, 1) if options.get("log_target") else torch.softmax(target, 1)
        elif name == "MultiMarginLoss":
            target = torch.tensor([2, 0, 3, 3, 1])
        x.requires_grad_()
        given = {k: torch.tensor(v) if isinstance(v, list) else v for k, v in options.items()}
        loss = getattr(nn, name)(**given)(x, target)
        loss.backward()
        cases.append(dict(loss=name, options=options, x=x, target=target, value=loss.item(), dx=x.grad))
    cases.append(distillation())
    return cases


def distillation():
    """(1 - a) CE + a T^2 KL of the softened distributions."""
    a, t = 0.7, 3.0
    x, teacher = leaf(5, 4), torch.randn(5, 4) * 2
    labels = torch.tensor([2, 0, 3, 3, 1])
    soft = F.kl_div(torch.log_softmax(x / t, 1), torch.softmax(teacher / t, 1), reduction="batchmean")
    loss = (1 - a) * F.cross_entropy(x, labels) + a * t * t * soft
    loss.backward()
    return dict(loss="DistillationLoss", options=dict(alpha=a, temperature=t), x=x, target=labels, teacher=teacher,
                value=loss.item(), dx=x.grad)


SCHEDULES = (
    ("ConstantLR", dict(factor=0.3, total_iters=4)),
    ("StepLR", dict(step_size=3, gamma=0.5)),
    ("MultiStepLR", dict(milestones=[2, 7], gamma=0.3)),
    ("ExponentialLR", dict(gamma=0.9)),
    ("LinearLR", dict(start_factor=0.2, end_factor=0.8, total_iters=6)),
    ("PolynomialLR", dict(total_iters=8, power=1.7)),
    ("PolynomialLR", dict()),
    ("CosineAnnealingWarmRestarts", dict(T_0=3)),
    ("CosineAnnealingWarmRestarts", dict(T_0=2, T_mult=2, eta_min=0.01)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=4)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=2, step_size_down=3, mode="triangular2")),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=3, mode="exp_range", gamma=0.95)),
    ("OneCycleLR", dict(max_lr=0.1, total_steps=20)),
    ("OneCycleLR", dict(max_lr=0.1, total_steps=20, pct_start=0.4, anneal_strategy="linear", base_momentum=0.8)),
)


def sgd():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)


def follow(optimizer, schedule, steps=20):
    """The rate and the momentum of each step."""
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return rates, momenta


def sched():
    cases = []
    for name, options in SCHEDULES:
        optimizer = sgd()
        rates, momenta = follow(optimizer, getattr(torch.optim.lr_scheduler, name)(optimizer, **options))
        case = dict(schedule=name, options=options, rates=rates)
        cases.append(dict(case, momenta=momenta) if len(set(momenta)) > 1 else case)
    return dict(cases=cases, made=made(), plateau=plateau())


def made():
    """Schedules made from schedules, and restarts within epochs."""
    kinds, result = torch.optim.lr_scheduler, {}
    o = sgd()
    parts = [kinds.ConstantLR(o, factor=0.1, total_iters=9), kinds.ExponentialLR(o, gamma=0.9),
             kinds.StepLR(o, step_size=2, gamma=0.5)]
    result["sequential"] = follow(o, kinds.SequentialLR(o, parts, milestones=[3, 9]))[0]
    o = sgd()
    parts = [kinds.ConstantLR(o, factor=0.1, total_iters=4), kinds.ExponentialLR(o, gamma=0.9)]
    result["chained"] = follow(o, kinds.ChainedScheduler(parts))[0]
    o = sgd()
    restarts, rates = kinds.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=2), []
    for i in range(20):
        restarts.step(i / 4)
        rates.append(o.param_groups[0]["lr"])
    result["fractions"] = rates
    return result


def plateau():
    values = [1.0, 0.9, 0.95, 0.9, 0.89995, 0.91, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.6, 0.61, 0.62, 0.63, 0.64]
    cases = []
    for options in (dict(patience=2), dict(patience=1, cooldown=2, factor=0.5), dict(patience=0, min_lr=0.02, factor=0.3),
                    dict(patience=2, threshold=0.05, threshold_mode="abs", factor=0.5),
                    dict(mode="max", patience=1, factor=0.5), dict(mode="max", patience=3, threshold_mode="abs")):
        o = sgd()
        schedule, rates = torch.optim.lr_scheduler.ReduceLROnPlateau(o, **options), []
        for value in values:
            schedule.step(value)
            rates.append(o.param_groups[0]["lr"])
        cases.append(dict(options=options, rates=rates))
    return dict(values=values, cases=cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for make in (optim_more, losses, sched):
        write(make.__name__, make())
