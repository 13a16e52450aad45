"""Networks that several tests share."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import fastconv

BOOK = [
    ("Conv2D", {"filters": 30, "kernel_size": 5}),
    "ReLU",
    ("MaxPool2D", {"pool_size": 2}),
    "Flatten",
    ("Dense", {"units": 100}),
    "ReLU",
    ("Dense", {"units": 10}),
]


def book(seed: int = 0) -> fastconv.Sequential:
    """The book's SimpleConvNet, its softmax in the loss."""
    return fastconv.Sequential(BOOK, input_shape=(1, 28, 28), seed=seed)


def small(dtype: str = "float32", seed: int = 0) -> fastconv.Sequential:
    """A little of everything in a row, on (2, 8, 8)."""
    layers = [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 1}),
        "BatchNorm",
        "ReLU",
        ("MaxPool2D", {"pool_size": 2}),
        ("Conv2D", {"filters": 4, "kernel_size": 3}),
        "ReLU",
        "Flatten",
        ("Dropout", {"rate": 0.25}),
        ("Dense", {"units": 3}),
    ]
    return fastconv.Sequential(layers, input_shape=(2, 8, 8), dtype=dtype, seed=seed)


def branches(dtype: str = "float64", seed: int = 0) -> fastconv.Model:
    """Two inputs, two outputs, a shared layer, a value with three readers."""
    create = fastconv.create_layer
    a = fastconv.Input((2, 6, 6), dtype, name="a")
    b = fastconv.Input((2, 6, 6), dtype, name="b")
    shared = create("Conv2D", name="twice", filters=3, kernel_size=3, padding="same")
    left, right = shared(a), shared(b)
    total = create("Add")(left, right, create("Sigmoid")(left))
    both = create("Concatenate")(total, create("Tanh")(left))
    first = create("Dense", units=4, name="head")(create("GlobalAvgPool2D")(both))
    return fastconv.Model((a, b), (first, create("Multiply")(left, right)), seed=seed)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One array, or several, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def random_like(model: Any, rng: Any, batch: int = 3) -> Any:
    """Gaussian inputs for a model: an array, or a tuple of them."""
    specs = model._graph.input_specs
    xs = tuple(rng.standard_normal((batch, *s.shape)).astype(s.dtype) for s in specs)
    return xs[0] if len(xs) == 1 else xs


def traced(run: Callable[[], Any]) -> int:
    """The most bytes that `run` held at one time."""
    fastconv.memory.release()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def calls(function: Callable[[Any], Any], argument: Any) -> int:
    """Return how many calls ``function(argument)`` leads to, of Python's functions and of C's."""
    count = 0

    def note(frame: Any, event: str, given: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function(argument)
    finally:
        sys.setprofile(None)
    return count
