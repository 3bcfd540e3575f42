"""One library that mnistlua is compared with, as a process that is told what to run: peers.py LIBRARY THREADS, where the
library is numpy, torch or sklearn. "peers.py installed" prints those that there are.

Started by lua/mnistlua/bench/peers.lua, which also sets the environment that the library reads (threads, BLAS). It says
"ready VERSION", with ", reference BLAS" after it where matrix products come from that, or "failed REASON"; then it reads
requests from standard input, one a line: a workload, its arguments and seconds, tabs between them. Each is answered by
one line: how many images, or runs, it did a second; "none" for what the library does not do; "failed REASON". The work
is that of mnistlua: the network 784-512-128-64-10, SGD without momentum, data in memory as f32, batches in a random
order. It ends with its input, writes no file and prints nothing else."""
import gzip
import importlib.util
import signal
import sys
import time

WIDTHS = [784, 512, 128, 64, 10]
IMAGES, NOTEBOOK, EVALUATED = 10000, 9000, 10000
LR = 0.05
AT_ONCE = 2048      # images of one call of scikit-learn's partial_fit, which cuts them into batches itself
SETTLE = 0.05       # seconds after a measurement, until the library's idle threads sleep and disturb nobody


class Data:
    """The images: random pixels, for a matrix product takes as long on any."""

    def __init__(self, np):
        rng = np.random.default_rng(0)
        self.x = rng.random((IMAGES, 784), dtype=np.float32)
        self.y = rng.integers(0, 10, IMAGES)
        self.order = rng.permutation(IMAGES)
        self.at = 0

    def rows(self, batch):
        """The next `batch` rows of the random order; a last part that is smaller is dropped."""
        if self.at + batch > IMAGES:
            self.at = 0
        self.at += batch
        return self.order[self.at - batch:self.at]


def measure(step, images, seconds):
    """Calls step() for about `seconds` after a warm-up; returns images a second."""
    started = time.perf_counter()
    step()
    while time.perf_counter() - started < seconds / 5:
        step()
    count, started = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - started < seconds:
        step()
        count += 1
    return count * images / (time.perf_counter() - started)


def read_idx(np, path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        header = file.read(4)
        shape = np.frombuffer(file.read(4 * header[3]), ">i4")
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


class Numpy:
    """As the notebook writes it: forward pass, gradients and update by hand."""

    def __init__(self, threads):
        import numpy as np
        self.np, self.version, self.data = np, np.__version__, Data(np)

    def parameters(self, dtype):
        np, rng = self.np, self.np.random.default_rng(1)
        W = [(rng.standard_normal((a, b)) / np.sqrt(a)).astype(dtype) for a, b in zip(WIDTHS, WIDTHS[1:])]
        return W, [np.zeros(n, dtype) for n in WIDTHS[1:]]

    def forward(self, W, b, x):
        """The values of every layer, the logits last."""
        a = [x]
        for i in range(4):
            z = a[-1] @ W[i] + b[i]
            a.append(self.np.maximum(z, 0) if i < 3 else z)
        return a

    def softmax(self, logits):
        e = self.np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def step(self, W, b, x, y):
        np, a = self.np, self.forward(W, b, x)
        lr = W[0].dtype.type(LR)
        dz = self.softmax(a[-1])
        dz[np.arange(len(y)), y] -= 1
        dz /= len(y)
        for i in range(3, -1, -1):
            dW, db = a[i].T @ dz, dz.sum(0)
            if i:
                dz = (dz @ W[i].T) * (a[i] > 0)
            W[i] -= lr * dW
            b[i] -= lr * db

    def train(self, batch):
        W, b = self.parameters(self.np.float32)

        def step():
            rows = self.data.rows(batch)
            self.step(W, b, self.data.x[rows], self.data.y[rows])
        return step, batch

    def notebook(self, dtype):
        dtype = {"f32": self.np.float32, "f64": self.np.float64}[dtype]
        W, b = self.parameters(dtype)
        x, y = self.data.x[:NOTEBOOK].astype(dtype), self.data.y[:NOTEBOOK]
        return lambda: self.step(W, b, x, y), 1

    def infer(self, batch):
        W, b = self.parameters(self.np.float32)
        x = self.data.x[:batch]
        return lambda: self.forward(W, b, x), batch

    def evaluate(self):
        np = self.np
        W, b = self.parameters(np.float32)
        x, y = self.data.x[:EVALUATED], self.data.y[:EVALUATED]

        def run():
            p = self.softmax(self.forward(W, b, x)[-1])
            return -np.log(p[np.arange(len(y)), y]).mean(), (p.argmax(1) == y).mean()
        return run, 1

    def load(self, *paths):
        return lambda: [read_idx(self.np, path) for path in paths], 1


class Torch:
    """The idiomatic loop, on tensors that are in memory already (a DataLoader would cost more than the step)."""

    def __init__(self, threads):
        import numpy as np
        import torch
        torch.set_num_threads(threads)
        self.torch, self.version = torch, torch.__version__
        self.data = Data(np)
        self.x, self.y = torch.from_numpy(self.data.x), torch.from_numpy(self.data.y)
        self.loss = torch.nn.CrossEntropyLoss()

    def model(self):
        layers = []
        for a, b in zip(WIDTHS, WIDTHS[1:]):
            layers += [self.torch.nn.Linear(a, b), self.torch.nn.ReLU()]
        return self.torch.nn.Sequential(*layers[:-1])

    def cnn(self, name):
        nn = self.torch.nn
        if name == "lenet5":
            return nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
                nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
        layers, channels = [], 1
        for outputs, kernel in (32, 5), (64, 3), (128, 3):
            layers += [nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, bias=False), nn.MaxPool2d(2),
                       nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 9, 10))

    def stepper(self, model, optimizer="sgd"):
        optim, parameters = self.torch.optim, model.parameters()
        if optimizer == "adam":
            optimizer = optim.Adam(parameters, lr=1e-4)
        else:
            optimizer = optim.SGD(parameters, lr=LR, momentum=0.9 if optimizer == "momentum" else 0)

        def step(x, y):
            optimizer.zero_grad(set_to_none=True)
            self.loss(model(x), y).backward()
            optimizer.step()
        return step

    def steps_on(self, x, step, batch):
        def one():
            rows = self.torch.from_numpy(self.data.rows(batch))
            step(x[rows], self.y[rows])
        return one, batch

    def train(self, batch, optimizer="sgd"):
        return self.steps_on(self.x, self.stepper(self.model(), optimizer), batch)

    def train_cnn(self, name, batch):
        return self.steps_on(self.x.view(-1, 1, 28, 28), self.stepper(self.cnn(name)), batch)

    def notebook(self, dtype):
        if dtype != "f32":
            return None
        step = self.stepper(self.model())
        return lambda: step(self.x[:NOTEBOOK], self.y[:NOTEBOOK]), 1

    def without_gradients(self, model, x):
        def run():
            with self.torch.no_grad():
                return model(x)
        return run

    def infer(self, batch):
        return self.without_gradients(self.model().eval(), self.x[:batch]), batch

    def conv(self, batch, channels, outputs, size):
        layer = self.torch.nn.Conv2d(channels, outputs, 3, padding=1)
        return self.without_gradients(layer, self.torch.rand(batch, channels, size, size)), batch

    def evaluate(self):
        model = self.model().eval()

        def run():
            loss = correct = 0
            with self.torch.no_grad():
                for at in range(0, EVALUATED, 1000):
                    y, logits = self.y[at:at + 1000], model(self.x[at:at + 1000])
                    loss += self.loss(logits, y).item() * len(y)
                    correct += (logits.argmax(1) == y).sum().item()
            return loss, correct
        return run, 1


class Sklearn:
    """MLPClassifier; partial_fit is one pass over what it is given, in batches of batch_size."""

    def __init__(self, threads):
        import warnings
        import numpy as np
        import sklearn
        warnings.simplefilter("ignore")
        self.np, self.version, self.data = np, sklearn.__version__, Data(np)
        from sklearn.neural_network import MLPClassifier
        self.classifier = MLPClassifier

    def fitted(self, batch):
        model = self.classifier(tuple(WIDTHS[1:-1]), solver="sgd", momentum=0, nesterovs_momentum=False, alpha=0,
                                learning_rate_init=LR, batch_size=batch, random_state=0)
        n = max(batch, 100)
        return model.partial_fit(self.data.x[:n], self.data.y[:n], classes=self.np.arange(10))

    def train(self, batch):
        model, n = self.fitted(batch), max(batch, AT_ONCE)

        def step():
            rows = self.data.rows(n)
            model.partial_fit(self.data.x[rows], self.data.y[rows])
        return step, n

    def notebook(self, dtype):
        if dtype != "f32":
            return None
        model, x, y = self.fitted(NOTEBOOK), self.data.x[:NOTEBOOK], self.data.y[:NOTEBOOK]
        return lambda: model.partial_fit(x, y), 1

    def infer(self, batch):
        model, x = self.fitted(128), self.data.x[:batch]
        return lambda: model.predict_proba(x), batch

    def evaluate(self):
        from sklearn.metrics import log_loss
        model, x, y = self.fitted(128), self.data.x[:EVALUATED], self.data.y[:EVALUATED]

        def run():
            p = model.predict_proba(x)
            return log_loss(y, p, labels=self.np.arange(10)), (p.argmax(1) == y).mean()
        return run, 1


LIBRARIES = {"numpy": Numpy, "torch": Torch, "sklearn": Sklearn}


def installed():
    """The names of the libraries that this Python has, without importing any."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name)]


def argument(text):
    return int(text) if text.isdigit() else text


def answer(library, steps, request):
    words = request.split("\t")
    name, arguments, seconds = words[0], words[1:-1], float(words[-1])
    key = tuple(words[:-1])
    if key not in steps:        # a workload keeps its weights from one request to the next
        make = getattr(library, name, None)
        steps[key] = make(*map(argument, arguments)) if make else None
    if steps[key] is None:
        return "none"
    rate = measure(*steps[key], seconds)
    time.sleep(SETTLE)
    return repr(rate)


def failure(problem):
    return "failed " + " ".join(str(problem).split())[:200]


def slow_blas():
    """Whether the BLAS that is loaded is Netlib's, which no one tunes: Debian's libblas3 where it is alone."""
    try:
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if "blas" in line or "libmkl" in line}
    except OSError:
        return False
    return any("/libblas.so" in path for path in loaded) and not any(
        fast in path for path in loaded for fast in ("openblas", "libmkl", "blis", "atlas"))


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for mnistlua, which then closes the pipe
    if sys.argv[1] == "installed":
        print(*installed())
        return
    try:
        library = LIBRARIES[sys.argv[1]](int(sys.argv[2]))
    except Exception as problem:
        print(failure(problem), flush=True)
        return
    print("ready", library.version + (", reference BLAS" if slow_blas() else ""), flush=True)
    steps = {}
    for line in sys.stdin:
        try:
            print(answer(library, steps, line.rstrip("\n")), flush=True)
        except Exception as problem:
            print(failure(problem), flush=True)


main()
