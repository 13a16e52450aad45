"""What running a network takes beside the functions of its layers, counted in calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import calls

import fastconv
from fastconv import functional

WEIGHT = functional.prepare_conv2d(np.ones((4, 4, 3, 3), "float32"))
MATRIX = functional.prepare_dense(np.ones((4, 4), "float32"))
BIAS = np.ones(4, "float32")
#: Layers that keep the shape of their input, and the functions that they call.
LAYERS: dict[str, tuple[Any, tuple[int, ...], Any]] = {
    "Conv2D": (
        ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": 1}),
        (4, 6, 6),
        lambda x: functional.conv2d(x, WEIGHT, BIAS, padding=1),
    ),
    "MaxPool2D": (
        ("MaxPool2D", {"pool_size": 3, "stride": 1, "padding": 1}),
        (4, 6, 6),
        lambda x: functional.max_pool2d(x, 3, stride=1, padding=1),
    ),
    "Dense": (("Dense", {"units": 4}), (4,), lambda x: functional.dense(x, MATRIX, BIAS)),
    "Sigmoid": ("Sigmoid", (4,), functional.sigmoid),
}


def counted(function: Any, x: np.ndarray) -> int:
    """Return the calls of ``function(x)`` when it is not called for the first time."""
    function(x)
    return calls(function, x)


@pytest.mark.parametrize("name", LAYERS)
def test_networks_and_layers_add_few_calls_to_those_of_the_functions(name):
    layer, shape, function = LAYERS[name]
    x = np.ones((1, *shape), "float32")
    one, eleven = (fastconv.Sequential([layer] * count, shape) for count in (1, 11))
    own, once = counted(function, x), counted(one, x)
    assert once <= own + 23
    assert counted(eleven, x) <= once + 10 * (own + 5)
    assert counted(one.for_inference(), x) <= once
    assert counted(one.predict, x) <= once + 31
