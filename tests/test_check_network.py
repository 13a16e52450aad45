"""The numerical check of a whole network's loss finds wrong gradients, and only those."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.testing import assert_bits_equal, check_network

RNG = np.random.default_rng(5)
CONV = ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 1})
DEEP = [
    CONV, "BatchNorm", "ReLU", ("MaxPool2D", {"pool_size": 2}), CONV, "ReLU",
    ("Dropout", {"rate": 0.3}), "Flatten", ("Dense", {"units": 3}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_deep_network_passes_and_stays_as_it_is(dtype):
    net = fastconv.Sequential(DEEP, (1, 8, 8), dtype, seed=1)
    net.compile("adam", "softmax_cross_entropy", "accuracy")
    x, y = RNG.normal(size=(6, 1, 8, 8)), RNG.integers(0, 3, 6)
    net.train_on_batch(x, y)
    before, step = net.weights(), net.compiled.step
    check_network(net, x, y)
    for key, value in net.weights().items():
        assert_bits_equal(value, before[key])
    assert net.compiled.step == step


def test_zeros_where_a_relu_has_its_kink_are_no_false_alarm():
    """Black pixels and biases of zero: every ReLU stands at its kink."""
    net = fastconv.Sequential(DEEP, (1, 8, 8), seed=1)
    net.compile("sgd", "softmax_cross_entropy")
    x = np.zeros((4, 1, 8, 8))
    x[:, :, :2] = RNG.uniform(size=(4, 1, 2, 8))
    check_network(net, x, np.array([0, 1, 2, 0]))


INTEGERS = {
    "embedding": (
        "int64",
        9,
        [("Embedding", {"entries": 9, "units": 5}), ("LayerNorm", {"axes": -1})],
    ),
    "pixels": ("uint8", 256, [("Rescaling", {"scale": 1 / 255}), ("Dense", {"units": 4})]),
}


@pytest.mark.parametrize("dtype, numbers, first", INTEGERS.values(), ids=list(INTEGERS))
def test_networks_that_read_integers_pass(dtype, numbers, first):
    """What stands behind the first layer runs in float64 too, so that differences are exact."""
    layers = [*first, "Flatten", ("Dense", {"units": 7}), "Tanh", ("Dense", {"units": 3})]
    net = fastconv.Sequential(layers, (6,), dtype, seed=1)
    net.compile("adam", "softmax_cross_entropy")
    check_network(
        net, RNG.integers(0, numbers, (5, 6)).astype(dtype), RNG.integers(0, 3, 5), entries=30
    )


def outputs_for(name):
    classes = name in ("softmax_cross_entropy", "cross_entropy")
    last = {"cross_entropy": ["Softmax"], "binary_cross_entropy": ["Sigmoid"]}.get(name, [])
    targets = RNG.integers(0, 3, 5) if classes else RNG.uniform(0, 1, (5, 3))
    return last, targets


@pytest.mark.parametrize("name", registry.losses.names())
def test_networks_of_every_loss_pass(name):
    last, targets = outputs_for(name)
    net = fastconv.Sequential(
        [("Dense", {"units": 6}), "Tanh", ("Dense", {"units": 3}), *last], (4,)
    )
    settings = {"label_smoothing": 0.1} if name == "softmax_cross_entropy" else {}
    net.compile("sgd", (name, settings))
    check_network(net, RNG.normal(size=(5, 4)), targets, entries=100)


def test_graphs_with_shared_layers_several_outputs_and_frozen_parts_pass():
    x, z = fastconv.Input((2, 6, 6)), fastconv.Input((3,))
    conv = fastconv.create_layer("Conv2D", filters=2, kernel_size=3, padding="same", name="both")
    norm = fastconv.create_layer("BatchNorm", name="norm")
    h = fastconv.create_layer("Add")(conv(norm(conv(x))), x)
    h = fastconv.create_layer("GlobalAvgPool2D")(h)
    first = fastconv.create_layer("Dense", units=3, name="first")(h)
    second = fastconv.create_layer("Dense", units=1, name="second")(
        fastconv.create_layer("Concatenate")(h, z)
    )
    net = fastconv.Model([x, z], [first, second], seed=0)
    net.compile("sgd", ["softmax_cross_entropy", "huber"])
    data = RNG.normal(size=(4, 2, 6, 6)), RNG.normal(size=(4, 3))
    targets = np.array([0, 1, 2, 0]), RNG.normal(size=(4, 1))
    check_network(net, data, targets)
    net.freeze("norm")
    check_network(net, data, targets)


class Wrong(fastconv.Layer):
    """Multiplies by a weight for each feature; the gradient of one of them is off."""

    def __init__(self, error: float = 0.0, at: int = 2):
        self.error, self.at = error, at

    def infer(self, *specs):
        return self.one_input(specs)

    def build(self, rng, *specs):
        self.add_param("weight", specs[0].shape, "ones")

    def forward(self, ctx, *xs):
        ctx.save(xs[0])
        return xs[0] * self.param("weight").value

    def backward(self, ctx, dy):
        gradient = (dy * ctx.saved[0]).sum(axis=0)
        gradient[self.at] *= 1 + self.error
        ctx.add_grad("weight", gradient)
        return dy * self.param("weight").value if ctx.needs(0) else None


def test_a_wrong_gradient_is_named_with_its_entry():
    layers = [("Dense", {"units": 5}), "Tanh", Wrong(0.01), ("Dense", {"units": 2})]
    net = fastconv.Sequential(layers, (3,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    x, y = np.abs(RNG.normal(size=(20, 3))), RNG.integers(0, 2, 20)
    with pytest.raises(
        AssertionError, match=r"the gradient of wrong_1/weight at 2 is -?[\d.e-]+, and by diff"
    ):
        check_network(net, x, y)
    net = fastconv.Sequential([*layers[:2], Wrong(0.0), layers[3]], (3,), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    check_network(net, x, y)


class Noise(fastconv.Layer):
    """Adds random numbers that are keyed by nothing."""

    def infer(self, *specs):
        return self.one_input(specs)

    def forward(self, ctx, *xs):
        return xs[0] + np.random.default_rng().normal(size=xs[0].shape)

    def backward(self, ctx, dy):
        return dy


class Kinked(fastconv.Layer):
    """Adds the ReLU of what its weights have moved by: a kink wherever they are."""

    def infer(self, *specs):
        return self.one_input(specs)

    def build(self, rng, *specs):
        self.add_param("weight", specs[0].shape, "ones")
        self.start = None

    def forward(self, ctx, *xs):
        value = self.param("weight").value
        if ctx.differentiated:
            self.start = value.copy()
        return xs[0] + (0 if self.start is None else np.maximum(value - self.start, 0))

    def backward(self, ctx, dy):
        ctx.add_grad("weight", np.zeros_like(self.param("weight").value))
        return dy


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Noise(), "the loss is another when it is computed again"),
        (Kinked(), "none of 3 entries of kinked_1/weight can be looked at, since the loss has a k"),
    ],
)
def test_what_cannot_be_checked_is_said(layer, words):
    net = fastconv.Sequential([("Dense", {"units": 3}), layer], (3,), seed=0)
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(AssertionError, match=words):
        check_network(net, RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)))


def test_wrong_arguments_are_refused():
    net = fastconv.Sequential([("Dense", {"units": 3})], (3,), seed=0)
    with pytest.raises(ArgumentError, match="check_network: net must be compiled first"):
        check_network(net, np.ones((2, 3)), [0, 1])
    with pytest.raises(ArgumentTypeError, match="net must be a network, got str"):
        check_network("ReLU", np.ones((2, 3)), [0, 1])
    net.compile("sgd", "softmax_cross_entropy")
    with pytest.raises(ArgumentError, match="entries must be at least 1"):
        check_network(net, np.ones((2, 3)), [0, 1], entries=0)
