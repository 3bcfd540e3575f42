"""The same training step in NumPy or PyTorch: peers.py numpy|torch SECONDS. Prints "batch images_per_s" for the batch sizes of
bench.lua, and "9000 seconds" for one full-batch step. Threads are set by the environment."""
import sys
import time

import numpy as np

WIDTHS = [784, 512, 128, 64, 10]


def data(n):
    rng = np.random.default_rng(0)
    return rng.random((n, 784), dtype=np.float32), rng.integers(0, 10, n)


def numpy_step():
    rng = np.random.default_rng(1)
    W = [(rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32) for a, b in zip(WIDTHS, WIDTHS[1:])]
    b = [np.zeros(n, np.float32) for n in WIDTHS[1:]]

    def step(x, y):
        a = [x]
        for i in range(4):
            z = a[-1] @ W[i] + b[i]
            a.append(np.maximum(z, 0) if i < 3 else z)
        e = np.exp(a[-1] - a[-1].max(1, keepdims=True))
        dz = e / e.sum(1, keepdims=True)
        dz[np.arange(len(y)), y] -= 1
        dz /= len(y)
        for i in range(3, -1, -1):
            dW, db = a[i].T @ dz, dz.sum(0)
            if i:
                dz = (dz @ W[i].T) * (a[i] > 0)
            W[i] -= np.float32(0.05) * dW
            b[i] -= np.float32(0.05) * db

    return step, lambda x, y: (x, y)


def torch_step():
    import os
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    layers = []
    for a, b in zip(WIDTHS, WIDTHS[1:]):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        optimizer.step()

    return step, lambda x, y: (torch.from_numpy(x), torch.from_numpy(y))


def main():
    which, seconds = sys.argv[1], float(sys.argv[2])
    step, convert = {"numpy": numpy_step, "torch": torch_step}[which]()
    x, y = data(20000)
    for batch in (64, 128, 1024):
        rng = np.random.default_rng(2)
        order = rng.permutation(len(x))
        n, begin, started = 0, 0, None
        while started is None or time.perf_counter() - started < seconds:
            if begin + batch > len(x):
                begin = 0
            if n == max(3, 6400 // batch) and started is None:
                started, n = time.perf_counter(), 0
            rows = order[begin:begin + batch]
            step(*convert(x[rows], y[rows]))
            begin += batch
            n += 1
        print(batch, n * batch / (time.perf_counter() - started))
    full = convert(x[:9000], y[:9000])
    step(*full)
    started, n = time.perf_counter(), 0
    while n < 2 or time.perf_counter() - started < seconds:
        step(*full)
        n += 1
    print(9000, (time.perf_counter() - started) / n)


main()
