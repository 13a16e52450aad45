"""Starting values: their spread, dtype and repetition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastconv import initializers, registry

SHAPE, FAN_IN = (64, 32, 5, 5), 800


def start(name, dtype="float32", seed=0, **config):
    make = initializers.resolve((name, config), "test")
    return make(np.random.default_rng(seed), SHAPE, FAN_IN, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "config", "std"),
    [
        ("he", {}, math.sqrt(2 / FAN_IN)),
        ("xavier", {}, math.sqrt(1 / FAN_IN)),
        ("gaussian", {}, 0.01),
        ("gaussian", {"std": 0.5}, 0.5),
        ("gaussian", {"std": 0}, 0.0),
    ],
)
def test_gaussians_have_their_spread(name, config, std, dtype):
    values = start(name, dtype, **config)
    assert values.shape == SHAPE and values.dtype == dtype
    assert abs(values.std() - std) <= 0.02 * std
    assert abs(values.mean()) <= 0.02 * std
    np.testing.assert_array_equal(values, start(name, dtype, **config))
    assert std == 0 or (values != start(name, dtype, 1, **config)).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "config", "value"),
    [("zeros", {}, 0), ("ones", {}, 1), ("constant", {"value": 2.5}, 2.5)],
)
def test_constants(name, config, value):
    assert (start(name, "float64", **config) == value).all()


def test_a_fan_in_of_zero_divides_by_nothing():
    for name in ("he", "xavier"):
        make = registry.initializers.get(name)()
        assert make(np.random.default_rng(0), (3, 0), 0, "float32").shape == (3, 0)
