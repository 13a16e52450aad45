"""A network of one matrix, which is all that the training protocol needs."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import registry
from fastconv.layers import Layer
from fastconv.layers.parameter import Parameter
from fastconv.layers.spec import Spec
from fastconv.training import Answer


class Linear:
    """y = x @ weight + bias with `heads` outputs that are all the same array."""

    layout = None  # rows are on axis 0
    seed = 0

    def __init__(self, inputs=4, units=3, *, heads=1, last="fastconv.Dense.v1"):
        rng = np.random.default_rng(5)
        self.parameters = {
            "dense_1/weight": Parameter(rng.normal(size=(inputs, units))),
            "dense_1/bias": Parameter(np.zeros(units)),
        }
        self.heads = heads
        kind = registry.layers.get(last) if last else type("Unregistered", (Layer,), {})
        self.last = kind(**kind.example_config, name="dense_1")
        self.compiled = self.history = None
        self.gradients = {}
        self.least = 1
        self.steps = []
        self.batches = []

    def trainable_parameters(self):
        return self.parameters

    def output_layers(self):
        return [self.last] * self.heads

    def output_answers(self):
        return [Answer(self.last.gives, type(self.last).__name__)] * self.heads

    def versions(self):
        return sum(p.version for p in self.parameters.values())

    def least_rows(self):
        return self.least, "dense_1"

    def normalized_inputs(self):
        return [False]

    def first_not_finite(self, xs, step, program=None):
        return None

    def output_specs(self):
        return [Spec(self.parameters["dense_1/bias"].shape, "float64")] * self.heads

    def cast_inputs(self, x):
        return (np.asarray(x, np.float64),)

    def predict_batch(self, xs, program=None):
        self.batches.append(len(xs[0]))
        weight, bias = (p.value for p in self.parameters.values())
        y = xs[0] @ weight + bias
        return y if self.heads == 1 else (y,) * self.heads

    def forward_backward(self, xs, dloss, step, program=None, *, accept=None):
        y = self.predict_batch(xs)
        outputs = y if isinstance(y, tuple) else (y,)
        losses, gradients = dloss(outputs)
        dy = sum(gradients)
        gradients = {"dense_1/weight": xs[0].T @ dy, "dense_1/bias": dy.sum(axis=0)}
        if accept is not None:
            accept(gradients, {})
        self.gradients = gradients
        self.steps.append(step)
        return outputs, losses


@pytest.fixture
def linear():
    return Linear


@pytest.fixture
def blobs():
    """150 points of three classes that a line can part: x (150, 4), y (150,)."""
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    return rng.normal(size=(150, 4)) + 3 * np.eye(3, 4)[y], y
