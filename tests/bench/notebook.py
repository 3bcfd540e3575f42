"""The experiment of configs/notebook.lua in NumPy, f32, with random numbers of its own: what it reaches does not hang on
mnistlua. Some minutes on two cores.

  python3 tests/bench/notebook.py [FOLDER [SEED]]     (data/mnist 1)

FOLDER has MNIST's t10k files. Of their 10,000 pictures, shuffled, 1,000 are held out; 784-512-128-64-10 with ReLU,
weights N(0, 1/fan_in) and zero biases, learns from the other 9,000, all at once, at learning rate 0.1, 2,000 times."""
import gzip
import sys

import numpy as np

WIDTHS = [784, 512, 128, 64, 10]
LR, STEPS, HELD_OUT = np.float32(0.1), 2000, 1000


def idx(path, header):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def load(folder, rng):
    x = idx(folder + "/t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32) / 255
    y = idx(folder + "/t10k-labels-idx1-ubyte.gz", 8)
    order = rng.permutation(len(y))
    return x[order], y[order]


def forward(layers, x):
    """The input and what each layer makes of it."""
    values = [x]
    for i, (w, b) in enumerate(layers):
        z = values[-1] @ w + b
        values.append(np.maximum(z, 0) if i + 1 < len(layers) else z)
    return values


def descend(layers, x, targets):
    """One step of gradient descent on softmax and cross-entropy, the mean over all of x."""
    values = forward(layers, x)
    e = np.exp(values[-1] - values[-1].max(1, keepdims=True))
    gradient = (e / e.sum(1, keepdims=True) - targets) / np.float32(len(x))
    for i in range(len(layers) - 1, -1, -1):
        w, b = layers[i]
        dw, db = values[i].T @ gradient, gradient.sum(0)
        if i > 0:
            gradient = gradient @ w.T * (values[i] > 0)
        w -= LR * dw
        b -= LR * db


def main(folder="data/mnist", seed="1"):
    rng = np.random.default_rng(int(seed))
    x, y = load(folder, rng)
    layers = [((rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32), np.zeros(b, np.float32))
              for a, b in zip(WIDTHS, WIDTHS[1:])]
    train, dev = slice(HELD_OUT, None), slice(HELD_OUT)
    targets = np.eye(10, dtype=np.float32)[y[train]]
    for _ in range(STEPS):
        descend(layers, x[train], targets)
    for name, part in ("train", train), ("dev", dev):
        print(f"{name:5} accuracy {100 * (forward(layers, x[part])[-1].argmax(1) == y[part]).mean():.2f}%")


if __name__ == "__main__":
    main(*sys.argv[1:])
