"""Softmax, its logarithm and its gradient: errors, tails, what is not finite, and whose bits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}
INF, NAN = math.inf, math.nan
# around the lanes, in rows and in planes, and around what a block of planes keeps on the stack
SHAPES = [
    (1, 1),
    (5, 2),
    (100, 10),
    (3, 7),
    (3, 8),
    (2, 9),
    (17, 15),
    (33, 16),
    (2, 17),
    (9, 33),
    (2, 1000),
    (1, 4095),
    (3, 4097),
    (2, 3, 1, 1),
    (3, 7, 5),
    (2, 8, 3, 11),
    (2, 16, 33),
    (1, 33, 40),
    (2, 1, 9),
    (2, 64, 17),
    (1, 65, 64),
    (1, 1000, 7),
]


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


@pytest.mark.parametrize("scale", [0.1, 3, 60])
@pytest.mark.parametrize("shape", SHAPES)
def test_errors_in_float32(shape, scale, normal):
    x = np.float32(scale) * normal(shape)
    u, least = 2.0**-24, 2.0**-149
    y, right = functional.softmax(x), reference.softmax(np.float64(x))
    assert (np.abs(y - right) <= 3 * u * right + 2 * least).all()
    logs, right = functional.log_softmax(x), reference.log_softmax(np.float64(x))
    assert (np.abs(logs - right) <= 4 * u * np.abs(right) + least).all()
    dy = normal(shape)
    dx, wide = functional.softmax_backward(dy, y), np.float64(y)
    right = reference.softmax_backward(np.float64(dy), wide)
    largest = np.abs(dy).max(axis=1, keepdims=True)
    assert (np.abs(dx - right) <= 4 * u * wide * largest + 2 * least).all()


@pytest.mark.parametrize("shape", [(2, 1), (4, 3), (2, 10), (1, 33), (1, 4, 3), (1, 300)])
def test_errors_in_float64(shape, normal):
    x = 8 * normal(shape, "float64")
    y, logs = functional.softmax(x), functional.log_softmax(x)
    u = Decimal(2) ** -53
    with localcontext() as context:
        context.prec = 60
        for place in np.ndindex(shape[:1] + shape[2:]):
            row = (place[0], slice(None), *place[1:])
            powers = [Decimal(value).exp() for value in x[row].tolist()]
            whole = sum(powers)
            for found, log, power in zip(y[row].tolist(), logs[row].tolist(), powers, strict=True):
                share = power / whole
                assert abs(Decimal(found) - share) <= 3 * u * share
                assert abs(Decimal(log) - share.ln()) <= 4 * u * abs(share.ln())


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_tails_keep_their_digits(dtype):
    tiny = math.exp(-40)
    x = np.array([[0, -40], [100, 0]], dtype)
    tolerance = 4 * ROUNDOFF[dtype]
    y = functional.softmax(x)
    np.testing.assert_allclose(y[0], [1, tiny], rtol=tolerance)
    logs = functional.log_softmax(x)
    np.testing.assert_allclose(logs[0], [-tiny, -40], rtol=tolerance)
    np.testing.assert_allclose(logs[1], [-math.exp(-100), -100], rtol=0.03)  # subnormal
    np.testing.assert_allclose(
        functional.log_softmax(np.array([[1e30, -1e30]], dtype)), [[0, -2e30]], rtol=1e-6
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 3, 8, 10, 40])
def test_what_is_not_finite_is_what_the_formula_makes_of_it(count, dtype, normal):
    """In rows and in planes: -inf is a class of probability 0, and NaN and inf spoil their row."""
    x = normal((7, count + 2), dtype)
    x[0, 0], x[1, :2], x[2, -1], x[3, 0], x[5] = -INF, -INF, NAN, INF, -INF
    y, logs = functional.softmax(x), functional.log_softmax(x)
    assert np.isnan(y[[2, 3, 5]]).all() and np.isnan(logs[[2, 3, 5]]).all()
    assert y[0, 0] == 0 and logs[0, 0] == -INF and (y[1, :2] == 0).all()
    kept = [0, 1, 4, 6]
    np.testing.assert_allclose(y[kept].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(y[kept], reference.softmax(x[kept]), rtol=1e-6)
    np.testing.assert_allclose(logs[kept], reference.log_softmax(x[kept]), rtol=1e-6)
    for function, of_rows in ((functional.softmax, y), (functional.log_softmax, logs)):
        of_planes = function(np.ascontiguousarray(x.T)[None])[0].T
        np.testing.assert_array_equal(of_planes, of_rows)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 3, 1), (5, 10, 7), (3, 33, 20), (2, 100, 65), (3, 4100, 2)])
def test_layout_batch_and_threads_change_no_bit(shape, dtype, normal, threads):
    x, dy = 4 * normal(shape, dtype), normal(shape, dtype)
    y = functional.softmax(x)
    calls = {
        "softmax": (functional.softmax, [x]),
        "log_softmax": (functional.log_softmax, [x]),
        "softmax_backward": (functional.softmax_backward, [dy, y]),
    }
    for function, arrays in calls.values():
        threads(1)
        right = function(*arrays)
        for axis, order in ((2, (0, 2, 1)), (0, (1, 0, 2)), (-1, (2, 0, 1))):
            turned = [np.ascontiguousarray(a.transpose(order)) for a in arrays]
            assert_bits_equal(function(*turned, axis=axis), right.transpose(order))
            views = [a.transpose(order) for a in arrays]  # not contiguous
            assert_bits_equal(function(*views, axis=axis), right.transpose(order))
        parts = [function(*(a[n : n + 1] for a in arrays)) for n in range(len(x))]
        assert_bits_equal(np.concatenate(parts), right)
        reversed_ = [np.ascontiguousarray(a[::-1])[::-1] for a in arrays]
        for array in reversed_:
            array.flags.writeable = False
        assert_bits_equal(function(*reversed_), right)
        large = [np.concatenate([a] * (200_000 // a.size + 1)) for a in arrays]
        found = []
        for number in (1, 2, 3):
            threads(number)
            found.append(function(*large))
        assert_bits_equal(found[1], found[0])
        assert_bits_equal(found[2], found[0])
        assert_bits_equal(found[0][: len(x)], right)


@pytest.mark.parametrize("axis", [0, 1])
def test_long_sums(axis):
    """Ten million equal classes, whose sum of float32 numbers would stop at 2**24 lanes or less."""
    count = 10_000_019
    x = np.full((1, count) if axis else (count, 1), 0.1, np.float32)
    u = 2.0**-24
    y = functional.softmax(x, axis=axis)
    assert y.min() == y.max() == np.float32(1 / count)
    logs = functional.log_softmax(x, axis=axis)
    assert logs.min() == logs.max() and abs(logs.min() + math.log(count)) <= 2 * u * 17
    x.flat[0] = 3
    power = math.exp(float(np.float32(0.1)) - 3)
    right = power / (1 + (count - 1) * power)
    assert abs(functional.softmax(x, axis=axis).min() / right - 1) <= 1e-7
    dx = functional.softmax_backward(np.ones_like(x), y, axis=axis)
    assert np.abs(dx).max() <= 4 * u / count


def test_the_gradient_is_the_numerical_one(normal):
    x, dy, step = normal((3, 5, 2), "float64"), normal((3, 5, 2), "float64"), 1e-6
    for axis in (0, 1, 2):
        dx = functional.softmax_backward(dy, functional.softmax(x, axis=axis), axis=axis)
        slopes = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[place] += step
            down[place] -= step
            change = functional.softmax(up, axis=axis) - functional.softmax(down, axis=axis)
            slopes[place] = (dy * change).sum() / (2 * step)
        np.testing.assert_allclose(dx, slopes, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_state_of_the_caller_is_without_effect(dtype):
    x = np.array([[0, -95, 3e38], [1e-45, INF, 1], [NAN, 0, -INF], [-3e38, -88, 0]], dtype)
    y = functional.softmax(x)
    with np.errstate(all="raise"):
        assert_bits_equal(functional.softmax(x), y)
        functional.log_softmax(x)
        functional.softmax_backward(x, y)


@pytest.mark.parametrize("function", [functional.softmax, functional.log_softmax])
def test_empty_arrays(function):
    for shape, axis in [((0, 3), 1), ((3, 0), 1), ((2, 3, 0), 1), ((0,), 0)]:
        assert function(np.zeros(shape), axis=axis).shape == shape


@pytest.mark.parametrize("function", [functional.softmax, functional.log_softmax])
def test_what_does_not_fit_is_refused(function):
    name = function.__name__
    with pytest.raises(ShapeError, match=rf"{name}: x must have an axis 1, got .*axis=0"):
        function(np.ones(3))
    with pytest.raises(ShapeError, match=rf"{name}: x must have an axis -3, got .*-2 to 1"):
        function(np.ones((2, 3)), axis=-3)
    with pytest.raises(ArgumentTypeError, match=f"{name}: axis must be an integer"):
        function(np.ones((2, 3)), axis=1.0)
    with pytest.raises(ArgumentTypeError, match=f"{name}: x must be an array of float32"):
        function(np.ones((2, 3), int))


def test_gradients_refuse_what_does_not_fit():
    gradient = functional.softmax_backward
    with pytest.raises(ShapeError, match="softmax_backward: dy must have the shape of the output"):
        gradient(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ArgumentTypeError, match="softmax_backward: y must have the dtype of dy"):
        gradient(np.ones((2, 3), np.float32), np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="softmax_backward: y must have an axis 2"):
        gradient(np.ones((2, 3)), np.ones((2, 3)), axis=2)
