"""`check_layer` finds what is wrong: each broken layer here is caught, for the right reason."""

from __future__ import annotations

import subprocess
import sys

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


class WritesToXAnyhow(Good):
    def forward(self, ctx, *xs):
        y = super().forward(ctx, *xs)
        xs[0].flags.writeable = True
        xs[0][...] = 1
        return y


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
        (WritesToX, AssertionError, "WritesToX: forward writes to the arrays that it is given"),
        (WritesToXAnyhow, AssertionError, "WritesToXAnyhow in float32: writes to an input"),
        (WritesToDy, AssertionError, "WritesToDy: backward writes to the arrays that it is given"),
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


class NoContext(Good):
    def forward(self, x):
        return x


class ReturnsNothing(Good):
    def forward(self, ctx, *xs):
        super().forward(ctx, *xs)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: check_layer(Good, (3, 4)), TypeError, r"the class Good; call it: Good\(...\)"),
        (lambda: check_layer(3, (3, 4)), TypeError, "a registered name or a layer, got 3"),
        (lambda: check_layer(Good(), (3, 4), start=2), TypeError, "settings must come with"),
        (lambda: check_layer(Good()), ValueError, r"batch first, such as \(2, 3, 5, 5\), got none"),
        (lambda: check_layer(Good(), 3), ValueError, "got 3"),
        (
            lambda: check_layer(NoContext(), (3, 4)),
            AssertionError,
            r"NoContext: forward must take the context first, \(self, ctx, \*xs\), got \(self, x\)",
        ),
        (lambda: check_layer(ReturnsNothing(), (3, 4)), AssertionError, "return y, got NoneType"),
        (
            lambda: check_layer(type("Unknown", (Good,), {})(), (3, 4)),
            AssertionError,
            "Unknown is not registered; decorate the class",
        ),
    ],
)
def test_a_wrong_call_is_told(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_layer_that_cannot_be_pickled_is_told_how():
    class Local(Good):
        pass

    fastconv.register_layer("acme.Local.v1")(Local)
    with pytest.raises(AssertionError, match="cannot be pickled.*top of a module"):
        check_layer("acme.Local", (3, 4))


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        ("scores", "gives must be one of values, input, elements, .* got 'scores'"),
        ("probabilities", "gives is 'probabilities'"),
        ("chances", "gives is 'chances', numbers from 0 to 1, and some are not"),
        ("bounded", "gives is 'bounded', numbers from -1 to 1, and some are not"),
    ],
)
def test_what_a_layer_says_that_it_gives_is_tried(gives, words, monkeypatch):
    monkeypatch.setattr(Good, "gives", gives)
    with pytest.raises(AssertionError, match=words):
        check_layer(Good(), (3, 4))
    for fine in ("values", "input", None):
        monkeypatch.setattr(Good, "gives", fine)
        check_layer(Good(), (3, 4))


def test_figures_in_messages_are_plain_numbers():
    with pytest.raises(AssertionError) as caught:
        check_layer(WrongGradient(), (3, 4))
    assert "np." not in str(caught.value)


def test_testing_and_plot_are_found_without_an_import_of_their_own():
    code = (
        "import sys, fastconv; assert 'fastconv.testing' not in sys.modules;"
        "fastconv.testing.check_layer, fastconv.plot.filters_text;"
        "assert {'testing', 'plot'} <= set(dir(fastconv))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="fastconv: nothing is no name of the package"):
        _ = fastconv.nothing


WRONG = """
import numpy as np
import fastconv
from fastconv.testing import assert_bits_equal, assert_close, check_layer

@fastconv.register_layer("acme.Wrong.v1")
class Wrong(fastconv.Layer):
    def infer(self, *specs): return specs[0]
    def forward(self, ctx, x): return 2 * x
    def backward(self, ctx, dy): return 3 * dy

two = np.zeros(2)
for call in (
    lambda: check_layer("acme.Wrong", (2, 3)),
    lambda: assert_bits_equal(two, two[:1]),
    lambda: assert_bits_equal(two, two.astype(np.float32)),
    lambda: assert_close(two, two[:1]),
):
    try:
        call()
    except AssertionError as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_what_is_wrong_is_found_where_python_leaves_assertions_out(option):
    command = [sys.executable, option, "-c", WRONG]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.stdout.split() == ["AssertionError"] * 4, ended.stderr
