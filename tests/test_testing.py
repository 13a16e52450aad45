"""`check_layer` finds what is wrong: each broken layer here is caught, for the right reason."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import registry
from fastconv.layers import Layer
from fastconv.testing import assert_bits_equal, assert_close, check_layer, tolerance


class Good(Layer):
    """y = x * weight, with a weight per channel."""

    def __init__(self, start=1.0):
        self.start = start

    def infer(self, *specs):
        return specs[0]

    def build(self, rng, *specs):
        self.add_param("weight", specs[0].shape[:1], "ones")

    def forward(self, ctx, *xs):
        (x,) = xs
        ctx.save(x)
        return x * self.param("weight").value.reshape(1, -1)

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.add_grad("weight", (dy * x).sum(axis=0))
        return dy * self.param("weight").value.reshape(1, -1)


class WrongGradient(Good):
    def backward(self, ctx, dy):
        return 1.01 * super().backward(ctx, dy)


class WrongParameterGradient(Good):
    def backward(self, ctx, dy):
        ctx.add_grad("weight", dy.sum(axis=0))
        return dy * self.param("weight").value.reshape(1, -1)


class NoParameterGradient(Good):
    def backward(self, ctx, dy):
        return dy * self.param("weight").value.reshape(1, -1)


class WritesToX(Good):
    def forward(self, ctx, *xs):
        xs[0][...] = 0
        return super().forward(ctx, *xs)


class WritesToDy(Good):
    def backward(self, ctx, dy):
        dy *= 2
        return super().backward(ctx, dy)


class WrongShape(Good):
    def infer(self, *specs):
        return fastconv.layers.Spec((specs[0].size + 1,), specs[0].dtype)


class WrongDtype(Good):
    def forward(self, ctx, *xs):
        return super().forward(ctx, *xs).astype("float64")


class Remembers(Good):
    calls = 0

    def forward(self, ctx, *xs):
        self.calls += 1
        return super().forward(ctx, *xs) + self.calls


class Unwritable(Good):
    def __init__(self, start=None):
        super().__init__(start)
        self._config["start"] = object()


@pytest.fixture(autouse=True)
def registered():
    with registry.isolated():
        for cls in [Good, *Good.__subclasses__()]:
            fastconv.register_layer(f"acme.{cls.__name__}.v1")(cls)
        yield


def test_a_good_layer_passes_by_name_and_as_an_instance():
    check_layer("acme.Good", (3, 4), start=2.0)
    check_layer(Good(), (3, 4))
    check_layer(Good(), (3, 4), dtype="float32")


@pytest.mark.parametrize(
    ("cls", "error", "text"),
    [
        (WrongGradient, AssertionError, "dx of input 0 at .* by differences"),
        (WrongParameterGradient, AssertionError, "gradient of weight at .* by differences"),
        (NoParameterGradient, AssertionError, "no gradient of weight"),
        (WritesToX, ValueError, "read-only"),
        (WritesToDy, ValueError, "read-only"),
        (WrongShape, AssertionError, r"y is \(3, 4\), infer says \(3, 5\)"),
        (WrongDtype, AssertionError, "in float32: y is float64"),
        (Remembers, AssertionError, "elements differ"),
        (Unwritable, fastconv.errors.ConfigError, "start must be a name"),
    ],
)
def test_a_broken_layer_is_caught(cls, error, text):
    with pytest.raises(error, match=text):
        check_layer(cls(), (3, 4))


def test_bits():
    nan = np.array([np.nan, 0.0])
    assert_bits_equal(nan, nan.copy())
    with pytest.raises(AssertionError, match=r"1 of 2 elements differ, the first at \(1,\)"):
        assert_bits_equal(nan, np.array([np.nan, -0.0]))
    with pytest.raises(AssertionError, match="dtype float64, not float32"):
        assert_bits_equal(nan, nan.astype("float32"))
    with pytest.raises(AssertionError, match="shape"):
        assert_bits_equal(nan, nan[None])


def test_tolerance_is_relative_to_the_largest():
    assert tolerance(np.float64) < tolerance("float32")
    assert_close(np.float32([1000, 0.001]), np.float32([1000, 0.002]))
    with pytest.raises(AssertionError):
        assert_close(np.float32([1, 0.001]), np.float32([1, 0.002]))
