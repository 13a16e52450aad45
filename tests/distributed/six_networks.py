"""Six networks with Dropout and BatchNorm, each trained for a while, on any number of ranks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import Input, Model, Sequential, create_layer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((93, 2, 8, 8)).astype("float32")
Y = RNG.integers(0, 4, 93)
SHAPE = (2, 8, 8)
CONV = ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same"})
DENSE = ("Dense", {"units": 4})


def mlp() -> Model:
    layers = ["Flatten", ("Dense", {"units": 12}), "BatchNorm", "ReLU", ("Dropout", {"rate": 0.4})]
    return Sequential([*layers, DENSE], input_shape=SHAPE, seed=1)


def convolutional() -> Model:
    layers = [
        CONV,
        "BatchNorm",
        "ReLU",
        ("MaxPool2D", {"pool_size": 2}),
        ("Dropout", {"rate": 0.2}),
    ]
    return Sequential([*layers, CONV, "BatchNorm", "ReLU", "Flatten", DENSE], SHAPE, seed=2)


def simple() -> Model:
    """As the book's SimpleConvNet, with both layers."""
    layers = [("Conv2D", {"filters": 8, "kernel_size": 5}), "BatchNorm", "ReLU"]
    rest = [("Dense", {"units": 10}), "BatchNorm", "ReLU", ("Dropout", {"rate": 0.5})]
    return Sequential(
        [*layers, ("MaxPool2D", {"pool_size": 2}), "Flatten", *rest, DENSE], SHAPE, seed=3
    )


def deep() -> Model:
    """As the book's DeepConvNet, smaller."""
    block = [CONV, "ReLU", CONV, "BatchNorm", "ReLU", ("MaxPool2D", {"pool_size": 2})]
    end = ["Flatten", ("Dense", {"units": 10}), "ReLU", ("Dropout", {"rate": 0.5})]
    return Sequential([*block, *block, *end, DENSE, ("Dropout", {"rate": 0.1})], SHAPE, seed=4)


def residual() -> Model:
    x = h = Input(SHAPE)
    h = start = create_layer("Conv2D", filters=6, kernel_size=3, padding="same")(h)
    for _ in range(2):
        h = create_layer("BatchNorm")(h)
        h = create_layer("ReLU")(h)
        h = create_layer("Conv2D", filters=6, kernel_size=3, padding="same", bias=False)(h)
    h = create_layer("Add")(h, start)
    h = create_layer("Dropout", rate=0.3)(create_layer("GlobalAvgPool2D")(h))
    return Model(x, create_layer("Dense", units=4)(h), seed=5)


def depthwise() -> Model:
    layers = [("DepthwiseConv2D", {"kernel_size": 3, "multiplier": 3}), "BatchNorm", "ReLU6"]
    point = [("Conv2D", {"filters": 8, "kernel_size": 1}), "BatchNorm", "ReLU6"]
    end = ["GlobalAvgPool2D", ("Dropout", {"rate": 0.3}), DENSE]
    return Sequential([*layers, *point, *end], SHAPE, seed=6)


SIX: dict[str, Callable[[], Model]] = {
    make.__name__: make for make in (mlp, convolutional, simple, deep, residual, depthwise)
}


def trained(name: str, comm: Any = None, *, epochs: int = 4, **settings: Any) -> Model:
    """Return the network after 20 steps, the last of every epoch on 13 rows instead of 20."""
    net = SIX[name]()
    net.compile(("adam", {"clip_norm": 5.0}), "softmax_cross_entropy", ["accuracy", "f1", "auc"])
    given = {"batch_size": 20, "verbose": 0, "shards": 8, "validation_data": (X[:31], Y[:31])}
    net.fit(X, Y, epochs=epochs, comm=comm, **{**given, **settings})
    return net


def bits(net: Model, gradients: bool = True) -> dict[str, str]:
    """Return a digest of all that training changes.

    A run that goes on from its end takes no step, and has no `gradients`.
    """
    digest = hashlib.sha256()
    optimizer = net.compiled.optimizer.state_dict()
    for arrays in (net.weights(), optimizer, net.gradients if gradients else {}):
        for key, array in arrays.items():
            digest.update(key.encode() + np.ascontiguousarray(array).tobytes())
    history = {name: [float(v).hex() for v in group] for name, group in net.history.history.items()}
    return {"arrays": digest.hexdigest(), "history": repr(history), "steps": str(net.compiled.step)}
