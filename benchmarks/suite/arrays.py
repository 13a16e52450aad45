"""Time of what works element by element or channel by channel, and of dense layers."""

from __future__ import annotations

import numpy as np

from suite import Timing, needs
from suite.shapes import DENSE, MAPS, normal


class Elementwise(Timing):
    """Activations and their gradients; dropout, whose gradient is itself."""

    params = [list(MAPS)]
    param_names = ["maps"]

    def setup(self, maps: str) -> None:
        names = (
            "dropout",
            "relu",
            "relu_backward",
            "sigmoid",
            "sigmoid_backward",
            "tanh",
            "tanh_backward",
        )
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        self.x, self.dy = normal(MAPS[maps]), normal(MAPS[maps], 1)
        self.y = self.f.sigmoid(self.x)
        self.kept = self.x > 0

    def time_relu(self, maps: str) -> None:
        self.f.relu(self.x)

    def time_relu_backward(self, maps: str) -> None:
        self.f.relu_backward(self.dy, self.y)

    def time_sigmoid(self, maps: str) -> None:
        self.f.sigmoid(self.x)

    def time_sigmoid_backward(self, maps: str) -> None:
        self.f.sigmoid_backward(self.dy, self.y)

    def time_tanh(self, maps: str) -> None:
        self.f.tanh(self.x)

    def time_tanh_backward(self, maps: str) -> None:
        self.f.tanh_backward(self.dy, self.y)

    def time_dropout(self, maps: str) -> None:
        self.f.dropout(self.x, self.kept, 2.0)


class Softmax(Timing):
    """Softmax over the classes of each sample (samples, classes), or of each pixel."""

    params = [[(100, 10), (100, 1000), (1000, 1000), (16, 8, 28, 28)]]
    param_names = ["shape"]

    def setup(self, shape: tuple[int, ...]) -> None:
        self.f = needs("functional.softmax", "functional.softmax_backward").functional
        self.x, self.dy = normal(shape), normal(shape, 1)
        self.y = self.f.softmax(self.x)

    def time_softmax(self, shape: tuple[int, ...]) -> None:
        self.f.softmax(self.x)

    def time_log_softmax(self, shape: tuple[int, ...]) -> None:
        self.f.log_softmax(self.x)

    def time_softmax_backward(self, shape: tuple[int, ...]) -> None:
        self.f.softmax_backward(self.dy, self.y)


NORMS = {
    "layer": ("layer_norm", "layer_norm_backward"),
    "group": ("group_norm", "group_norm_backward"),
}


class SampleNorms(Timing):
    """Layer and group normalisation; axes or groups stand behind the shape."""

    params = [
        [
            ("layer", (32, 196, 384), 2),
            ("layer", (1000, 64), 1),
            ("layer", (8, 96, 56, 56), (1,)),
            ("group", (16, 64, 56, 56), 32),
            ("group", (8, 256, 14, 14), 32),
        ]
    ]
    param_names = ["case"]

    def setup(self, case: tuple[str, tuple[int, ...], int | tuple[int, ...]]) -> None:
        kind, shape, how = case
        forward, backward = NORMS[kind]
        f = needs(f"functional.{forward}", f"functional.{backward}").functional
        self.forward, self.backward = getattr(f, forward), getattr(f, backward)
        size = shape[how:] if kind == "layer" and isinstance(how, int) else shape[1:2]
        self.x, self.dy, self.weight, self.how = normal(shape), normal(shape, 1), normal(size), how
        _, *statistics = self.forward(self.x, self.weight, self.weight, how)
        self.given = *statistics, *((how,) if kind == "layer" else ())

    def time_forward(self, case: tuple[str, tuple[int, ...], int | tuple[int, ...]]) -> None:
        self.forward(self.x, self.weight, self.weight, self.how)

    def time_backward(self, case: tuple[str, tuple[int, ...], int | tuple[int, ...]]) -> None:
        self.backward(self.dy, self.x, self.weight, *self.given)


class Embedding(Timing):
    """Rows of a table by their numbers, and the gradient of the table."""

    #: Samples, numbers of each, rows of the table, and their length.
    params = [[(32, 128, 10_000, 256), (1000, 50, 1000, 32)]]
    param_names = ["case"]

    def setup(self, case: tuple[int, int, int, int]) -> None:
        names = ("embedding", "embedding_backward")
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        samples, count, self.entries, units = case
        self.indices = np.arange(samples * count).reshape(samples, count) * 7919 % self.entries
        self.weight, self.dy = normal((self.entries, units)), normal((samples, count, units), 1)

    def time_embedding(self, case: tuple[int, int, int, int]) -> None:
        self.f.embedding(self.indices, self.weight)

    def time_embedding_backward(self, case: tuple[int, int, int, int]) -> None:
        self.f.embedding_backward(self.dy, self.indices, self.entries)


class LocalResponse(Timing):
    """Over five neighbouring channels, as in AlexNet."""

    params = [[(1, 96, 55, 55), (16, 256, 27, 27), (100, 64, 32, 32)]]
    param_names = ["shape"]

    def setup(self, shape: tuple[int, ...]) -> None:
        names = ("local_response_norm", "local_response_norm_backward")
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        self.x, self.dy = normal(shape), normal(shape, 1)

    def time_local_response_norm(self, shape: tuple[int, ...]) -> None:
        self.f.local_response_norm(self.x, 5)

    def time_local_response_norm_backward(self, shape: tuple[int, ...]) -> None:
        self.f.local_response_norm_backward(self.dy, self.x, 5)


FUNCTION_SHAPES: list[tuple[int, ...]] = [(100, 10), (1000, 1000), (16, 8, 28, 28)]


class Functions(Timing):
    """Functions of one number, element by element."""

    params = [["exp", "expm1", "log", "log1p", "sigmoid", "tanh", "erf"], FUNCTION_SHAPES]
    param_names = ["function", "shape"]

    def setup(self, function: str, shape: tuple[int, ...]) -> None:
        self.function = getattr(needs(f"functional.{function}").functional, function)
        self.x = np.abs(normal(shape))

    def time_function(self, function: str, shape: tuple[int, ...]) -> None:
        self.function(self.x)


class FunctionsOfNumPy(Timing):
    """NumPy's own functions, with which ours are compared; one thread."""

    params = [["exp", "expm1", "log", "log1p", "tanh"], FUNCTION_SHAPES]
    param_names = ["function", "shape"]

    def setup(self, function: str, shape: tuple[int, ...]) -> None:
        self.function, self.x = getattr(np, function), np.abs(normal(shape))

    def time_function(self, function: str, shape: tuple[int, ...]) -> None:
        self.function(self.x)


class BatchNorm(Timing):
    """With statistics of the batch, with those kept, and the gradient through the first."""

    params = [list(MAPS)]
    param_names = ["maps"]

    def setup(self, maps: str) -> None:
        f = needs("functional.batch_norm", "functional.batch_norm_backward").functional
        self.forward, self.backward = f.batch_norm, f.batch_norm_backward
        self.x, self.dy = normal(MAPS[maps]), normal(MAPS[maps], 1)
        channels = self.x.shape[1]
        self.weight, self.bias = np.ones((2, channels), np.float32)
        self.running = np.zeros(channels), np.ones(channels)
        _, self.mean, _, self.inverse = self.forward(self.x, self.weight, self.bias, 1e-5)

    def time_training(self, maps: str) -> None:
        self.forward(self.x, self.weight, self.bias, 1e-5)

    def time_inference(self, maps: str) -> None:
        self.forward(self.x, self.weight, self.bias, 1e-5, self.running)

    def time_backward(self, maps: str) -> None:
        self.backward(self.dy, self.x, self.weight, self.mean, self.inverse, True)


class Dense(Timing):
    """A dense layer on plain arrays, which packs them itself, and with weights packed ahead."""

    params = [list(DENSE)]
    param_names = ["layer"]

    def setup(self, layer: str) -> None:
        names = "dense", "dense_backward", "prepare_dense"
        self.f = needs(*(f"functional.{name}" for name in names)).functional
        samples, features, units = DENSE[layer]
        self.x, self.weight = normal((samples, features)), normal((units, features), 1)
        self.dy = normal((samples, units), 2)
        self.packed = self.f.prepare_dense(self.weight)

    def time_forward(self, layer: str) -> None:
        self.f.dense(self.x, self.weight)

    def time_forward_prepared(self, layer: str) -> None:
        self.f.dense(self.x, self.packed)

    def time_backward(self, layer: str) -> None:
        self.f.dense_backward(self.dy, self.x, self.weight)

    def time_prepare(self, layer: str) -> None:
        self.f.prepare_dense(self.weight)


class Optimizer(Timing):
    """One step over a million parameters; the rate is tiny, so that nothing overflows."""

    params = [["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]]
    param_names = ["optimizer"]

    def setup(self, optimizer: str) -> None:
        f = needs("functional.updates").functional.updates
        value, state, squares = np.ones((3, 1 << 20), np.float32)
        gradient = normal(value.shape)
        rate = 1e-30
        self.step = {
            "sgd": lambda: f.sgd(value, gradient, rate),
            "momentum": lambda: f.momentum(value, gradient, state, rate, 0.9),
            "nesterov": lambda: f.momentum(value, gradient, state, rate, 0.9, True),
            "adagrad": lambda: f.by_squares(value, gradient, squares, rate, 1.0, 1.0, 1e-7),
            "rmsprop": lambda: f.by_squares(value, gradient, squares, rate, 0.9, 0.1, 1e-7),
            "adam": lambda: f.adam(value, gradient, state, squares, rate, (0.9, 0.99), 1e-7),
        }[optimizer]

    def time_step(self, optimizer: str) -> None:
        self.step()
