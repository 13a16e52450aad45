"""Layer and group normalisation: values, gradients, large means, and whose bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastconv
from fastconv import functional, kernels, memory, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.functional.group_norm import group_norm_workspace
from fastconv.functional.layer_norm import layer_norm_workspace
from fastconv.functional.statistics import POSITIONS, SAMPLES
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}
# around the lanes, runs, partial sums of 32, and rows too long for the cache
LAYERS = [
    ((2, 3), 1),
    ((5, 8), 1),
    ((40, 17), -1),
    ((33, 1100), 1),
    ((2, 33000), 1),
    ((3, 4, 5), 1),
    ((33, 3, 5), 2),
    ((2, 3, 5, 7), (1,)),
    ((1, 5, 64), (-2,)),
    ((2, 70, 33), (1,)),
    ((2, 3, 5, 7), (2, 1)),
    ((2, 3, 2, 8, 9), [2, 3]),
    ((3, 8, 1, 1), (1,)),
    ((2, 3, 4, 5), [3]),
]
GROUPS = [
    ((2, 4), 2),
    ((40, 6), 2),
    ((70, 64), 4),
    ((33, 2000), 2),
    ((2, 6, 5), 3),
    ((2, 6, 3, 3), 6),
    ((3, 8, 7, 5), 1),
    ((2, 16, 20, 40), 8),
]
CASES = [("layer", *case) for case in LAYERS] + [("group", *case) for case in GROUPS]


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


def shape_of_weight(kind, shape, how):
    """Return the shape of the weight, and the reference's functions."""
    if kind == "group":
        return shape[1:2]
    if isinstance(how, int):
        return shape[how:]
    return tuple(shape[axis] for axis in sorted(axis % len(shape) for axis in how))


def forward(where, kind, x, weight, bias, how, epsilon=1e-5):
    return getattr(where, f"{kind}_norm")(x, weight, bias, how, epsilon)


def backward(where, kind, dy, x, weight, mean, inverse, how, **more):
    given = (how,) if kind == "layer" else ()
    return getattr(where, f"{kind}_norm_backward")(dy, x, weight, mean, inverse, *given, **more)


@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_those_of_the_formula(dtype, kind, shape, how, normal):
    size, unit = shape_of_weight(kind, shape, how), ROUNDOFF[dtype]
    x, dy = normal(shape, dtype), normal(shape, dtype)
    weight, bias = normal(size, dtype), normal(size, dtype)
    y, mean, inverse = forward(functional, kind, x, weight, bias, how, 1e-2)
    wide = [a.astype(np.longdouble) for a in (x, dy, weight, bias)]
    right = forward(reference, kind, wide[0], *wide[2:], how, 1e-2)
    assert y.dtype == dtype and mean.dtype == inverse.dtype == np.float64
    assert mean.shape == inverse.shape == right[1].shape
    assert np.abs(mean - right[1]).max() <= 8 * unit
    assert np.abs(inverse / right[2] - 1).max() <= 16 * unit
    assert np.abs(y - right[0]).max() <= 32 * unit * np.abs(right[0]).max()
    found = backward(functional, kind, dy, x, weight, mean, inverse, how)
    right = backward(reference, kind, *wide[1::-1], wide[2], *right[1:], how)
    steep = np.abs(wide[2]).max() * np.abs(inverse).max()
    largest = [4 * steep, *[4 * math.sqrt(x.size)] * 2]
    for gradient, exact, bound in zip(found, right, largest, strict=True):
        assert gradient.dtype == dtype and gradient.shape == exact.shape
        assert np.abs(gradient - exact).max() <= 32 * unit * max(bound, np.abs(exact).max())


@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
def test_a_large_mean_takes_no_digits(kind, shape, how, normal):
    x = (normal(shape, "float64") + 1000).astype("float32")
    size = shape_of_weight(kind, shape, how)
    plain = np.ones(size, "float32"), np.zeros(size, "float32")
    y, _, inverse = forward(functional, kind, x, *plain, how)
    right = forward(reference, kind, x.astype("float64"), *plain, how)
    assert np.abs(y - right[0]).max() <= 3e-6 * np.abs(right[0]).max()
    assert np.abs(inverse / right[2] - 1).max() <= 2e-6


@pytest.mark.parametrize("value", [0.1, 1e4, -3.7])
@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
def test_equal_numbers_become_the_bias(kind, shape, how, value):
    x = np.full(shape, value, np.float32)
    size = shape_of_weight(kind, shape, how)
    bias = np.arange(np.prod(size), dtype=np.float32).reshape(size)
    y, mean, _ = forward(functional, kind, x, np.ones(size, np.float32), bias, how)
    zero, _, _ = forward(functional, kind, 0 * x, np.ones(size, np.float32), bias, how)
    np.testing.assert_allclose(y, zero, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(mean, np.float32(value), rtol=1e-12)


def test_long_sums_keep_their_digits():
    x = np.full((2, 3_000_000), 0.1, np.float32)
    x[:, ::2] = 0.3
    weight = np.ones(x.shape[1:], np.float32)
    y, mean, inverse = functional.layer_norm(x, weight, 0 * weight)
    a, b = float(np.float32(0.1)), float(np.float32(0.3))
    spread = ((b - a) / 2) ** 2
    np.testing.assert_allclose(mean, (a + b) / 2, rtol=1e-6)
    np.testing.assert_allclose(inverse, (spread + 1e-5) ** -0.5, rtol=1e-6)
    dy = np.full((20_000, 3), 0.1, np.float32)
    few = np.tile(np.float32([[-1, 0, 1]]), (20_000, 1))
    _, mean, inverse = functional.layer_norm(few, dy[0], dy[0])
    _, dweight, dbias = functional.layer_norm_backward(dy, few, dy[0], mean, inverse)
    np.testing.assert_allclose(dbias, 20_000 * a, rtol=1e-6)
    np.testing.assert_allclose(dweight[2], 20_000 * a * inverse[0], rtol=1e-6)


@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_batch_and_threads_change_no_bit(dtype, kind, shape, how, normal, threads):
    size = shape_of_weight(kind, shape, how)
    x, dy = normal(shape, dtype), normal(shape, dtype)
    weight, bias = normal(size, dtype), normal(size, dtype)
    threads(1)
    right = forward(functional, kind, x, weight, bias, how)
    slopes = backward(functional, kind, dy, x, weight, *right[1:], how)
    for n in range(min(3, len(x))):
        y, mean, inverse = forward(functional, kind, x[n : n + 1], weight, bias, how)
        assert_bits_equal(y[0], right[0][n])
        alone = backward(functional, kind, dy[n : n + 1], x[n : n + 1], weight, mean, inverse, how)
        assert_bits_equal(alone[0][0], slopes[0][n])
    odd = [np.asfortranarray(a) for a in (x, dy, weight, bias)]
    for array in odd:
        array.flags.writeable = False
    found = forward(functional, kind, odd[0], *odd[2:], how)
    for a, b in zip(found, right, strict=True):
        assert_bits_equal(a, b)
    found = backward(functional, kind, odd[1], odd[0], odd[2], *found[1:], how)
    for a, b in zip(found, slopes, strict=True):
        assert_bits_equal(a, b)
    for words in (("x",), ("weight",), ("bias", "x"), ()):
        found = backward(functional, kind, dy, x, weight, *right[1:], how, needs=words)
        for name, a, b in zip(("x", "weight", "bias"), found, slopes, strict=True):
            assert (a is None) == (name not in words)
            if a is not None:
                assert_bits_equal(a, b)
    count = 50_000 // x.size + 1
    x, dy = np.concatenate([x] * count), np.concatenate([dy] * count)
    first = None
    for number in (1, 2, 3):
        threads(number)
        y, mean, inverse = forward(functional, kind, x, weight, bias, how)
        found = y, mean, inverse, *backward(functional, kind, dy, x, weight, mean, inverse, how)
        first = first or found
        for a, b in zip(found, first, strict=True):
            assert_bits_equal(a, b)
    assert_bits_equal(first[0][: shape[0]], right[0])


@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
def test_workspace_is_what_is_stated(kind, shape, how, normal):
    size = shape_of_weight(kind, shape, how)
    x, weight = normal(shape), normal(size)
    with memory.track() as used:
        _, mean, inverse = forward(functional, kind, x, weight, weight, how)
    assert (used.workspace_peak, used.copies, used.output) == (0, 0, x.nbytes)
    alone = getattr(functional, f"{kind}_norm")(x, weight, weight, how, statistics=False)
    assert alone[1:] == (None, None)
    assert_bits_equal(alone[0], forward(functional, kind, x, weight, weight, how)[0])
    with memory.track() as used:
        backward(functional, kind, x, x, weight, mean, inverse, how)
    if kind == "group":
        stated = group_norm_workspace(shape, 4)
    else:
        stated = layer_norm_workspace(shape, how, 4)
    assert (used.workspace_peak, used.copies) == (stated, 0)
    assert stated <= 2 * x.nbytes + 8 * weight.size
    with memory.track() as used:
        backward(functional, kind, x, x, weight, mean, inverse, how, needs="x")
    assert used.workspace_peak == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_partial_sums_are_those_of_the_kernels(dtype):
    module = kernels.module(np.dtype(dtype))
    assert (module.norm_samples, module.norm_positions) == (SAMPLES, POSITIONS)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("kind", "shape", "how"), CASES)
def test_what_is_not_finite_spoils_its_own_row_alone(kind, shape, how, value, normal):
    size = shape_of_weight(kind, shape, how)
    x, weight = normal(shape), normal(size)
    right = forward(functional, kind, x, weight, weight, how)[0]
    x[1 % len(x)].flat[-1] = value
    y, mean, inverse = forward(functional, kind, x, weight, weight, how)
    spoilt = np.isnan(y)
    assert spoilt.any()
    assert_bits_equal(np.where(spoilt, 0, y), np.where(spoilt, 0, right))
    dx = backward(functional, kind, right, x, weight, mean, inverse, how)[0]
    np.testing.assert_array_equal(np.isnan(dx), spoilt)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_state_of_the_caller_is_without_effect(dtype):
    x = np.array([[0, -95, 3e38], [1e-45, math.inf, 1], [math.nan, 0, -1], [-3e38, -88, 0]], dtype)
    weight = np.array([1e-30, 1e30, 0], dtype)
    with np.errstate(all="raise"):
        for kind, how in (("layer", 1), ("group", 3)):
            _, mean, inverse = forward(functional, kind, x, weight, weight, how)
            backward(functional, kind, x, x, weight, mean, inverse, how)


@pytest.mark.parametrize(("kind", "how"), [("layer", 1), ("layer", (1,)), ("group", 3)])
def test_an_empty_batch(kind, how):
    x = np.empty((0, 3, 4), np.float32)
    size = shape_of_weight(kind, x.shape, how)
    weight = np.ones(size, np.float32)
    y, mean, inverse = forward(functional, kind, x, weight, weight, how)
    assert y.shape == x.shape and not mean.size
    dx, dweight, dbias = backward(functional, kind, x, x, weight, mean, inverse, how)
    assert dx.shape == x.shape and dweight.shape == dbias.shape == size
    assert not dweight.any() and not dbias.any()


def test_axes_that_do_not_fit_are_refused():
    x, one = np.ones((2, 3, 4, 5)), np.ones(1)

    def refused(axes, error, match):
        with pytest.raises(error, match=f"^layer_norm: axes {match}"):
            functional.layer_norm(x, one, one, axes)

    for axes in (0, [0], [1, 0]):
        refused(axes, ArgumentError, "must not hold 0, the axis of the batch")
    for axes in ([], [1, 1]):
        refused(axes, ArgumentError, "must be an axis, or several different ones")
    for axes in (4, -4, -5, [1, 4], (-4, 1)):
        refused(axes, ShapeError, "must be from 1 to 3, or from -3 to -1")
    for axes in ([1, 3], [-1, 3], [1, 2, -2]):
        refused(axes, ShapeError, "must follow each other")
    for axes in (1.0, "1", None, [1, None], True):
        refused(axes, ArgumentTypeError, "must be an axis, or several different ones")


def test_what_does_not_fit_is_refused():
    f, x, one = functional, np.ones((2, 6, 4)), np.ones(6)
    with pytest.raises(ShapeError, match=r"group_norm: groups must divide the .* \(= 6\), got 4"):
        f.group_norm(x, one, one, 4)
    with pytest.raises(ArgumentError, match="group_norm: groups must be at least 1, got 0"):
        f.group_norm(x, one, one, 0)
    with pytest.raises(ShapeError, match=r"group_norm: weight must have shape \(6,\)"):
        f.group_norm(x, one[1:], one, 2)
    with pytest.raises(ShapeError, match=r"layer_norm: bias must have shape \(6, 4\)"):
        f.layer_norm(x, np.ones((6, 4)), one)
    with pytest.raises(ArgumentTypeError, match="weight must have the dtype of x, float64"):
        f.layer_norm(x, np.ones((6, 4), np.float32), np.ones((6, 4)))
    for epsilon in (0, -1, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="group_norm: epsilon must be positive"):
            f.group_norm(x, one, one, 2, epsilon)
    with pytest.raises(ArgumentError, match="layer_norm: epsilon must not round to 0"):
        f.layer_norm(x.astype(np.float32), *[np.ones((6, 4), np.float32)] * 2, 1, 1e-60)
    for name, function in (("group_norm", f.group_norm), ("layer_norm", f.layer_norm)):
        with pytest.raises(ShapeError, match=f"{name}: x must have "):
            function(np.ones(3), one, one, 1)
        with pytest.raises(ShapeError, match=f"{name}: x must have .* not empty"):
            function(np.ones((2, 0)), one, one, 1)
    _, mean, inverse = f.group_norm(x, one, one, 2)
    with pytest.raises(ShapeError, match="group_norm_backward: dy must have the shape of x"):
        f.group_norm_backward(x[1:], x, one, mean, inverse)
    with pytest.raises(ShapeError, match=r"group_norm_backward: inverse must have shape \(2, 2\)"):
        f.group_norm_backward(x, x, one, mean, inverse[1:])
    with pytest.raises(
        ShapeError, match=r"group_norm_backward: mean must have shape \(N, groups\)"
    ):
        f.group_norm_backward(x, x, one, mean[0], inverse)
    with pytest.raises(ArgumentError, match="group_norm_backward: needs must hold only"):
        f.group_norm_backward(x, x, one, mean, inverse, needs=("y",))
