"""Local response normalisation: values, gradients, what is not finite, and whose bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastconv
from fastconv import functional, kernels, memory, reference
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.functional.local_response import LARGEST_WINDOW
from fastconv.reference.local_response import base
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}
INF, NAN = math.inf, math.nan
SHAPES = [
    (1, 1, 1),
    (2, 3, 5),
    (2, 7),
    (3, 5, 33),
    (1, 9, 8),
    (2, 40, 4, 8),
    (1, 96, 5, 13),
    (1, 70, 65),
    (1, 300, 9),
]
CASES = [(size, 0.75) for size in (1, 2, 3, 4, 5, 32, 33, 70, 256, 257, 1024)]
CASES += [(size, beta) for size in (4, 35) for beta in (0.5, 1.0, 0.6, 0.0, 3.0)]
SETTINGS = {"alpha": 0.7, "k": 2.0}


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


def wide(*arrays):
    """Return arrays of a wider dtype."""
    dtype = np.float64 if arrays[0].dtype == np.float32 else np.longdouble
    return [array.astype(dtype) for array in arrays]


@pytest.mark.parametrize(("size", "beta"), CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_those_of_the_formula(dtype, size, beta, normal):
    options = {**SETTINGS, "beta": beta}
    unit = ROUNDOFF[dtype]
    for shape in SHAPES:
        x, dy = 3 * normal(shape, dtype), normal(shape, dtype)
        y = functional.local_response_norm(x, size, **options)
        right = reference.local_response_norm(*wide(x), size, **options)
        scale = base(*wide(x), size, 0.7, 2.0)
        allowed = 8 + beta * (min(size, 32) + 4 + 2 * np.abs(np.log(scale)))
        assert (np.abs(y - right) <= allowed * unit * np.abs(right)).all()
        assert y.dtype == dtype and y.shape == shape
        dx = functional.local_response_norm_backward(dy, x, size, **options)
        right = reference.local_response_norm_backward(*wide(dy, x), size, **options)
        summands = base(np.sqrt(np.abs(wide(dy * x)[0])), size, 1, 0) * size
        sizes = np.abs(dy) + np.abs(x) * summands * 1.4 * beta / size
        assert (np.abs(dx - right) <= 2 * (allowed + 40) * unit * sizes).all()


def test_the_window_is_that_of_pytorch():
    """One more channel before than after, where the size is even."""
    x = np.array([[1.0, 2.0, -3.0, 4.0, 0.5]])
    y = functional.local_response_norm(x, 4, alpha=1.0, beta=0.75, k=2.0)
    sums = np.array([[1 + 4, 1 + 4 + 9, 1 + 4 + 9 + 16, 4 + 9 + 16 + 0.25, 9 + 16 + 0.25]])
    np.testing.assert_allclose(y, x / (2 + sums / 4) ** 0.75, rtol=1e-15)
    y = functional.local_response_norm(x, 3, alpha=1.0, beta=0.75, k=2.0)
    sums = np.array([[1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16 + 0.25, 16 + 0.25]])
    np.testing.assert_allclose(y, x / (2 + sums / 3) ** 0.75, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_by_square_roots_are_near_to_those_by_logarithms(dtype, normal):
    x = 5 * normal((2, 20, 19), dtype)
    for beta in (0.5, 0.75, 1.0):
        near = beta * (1 + 1e-12) if dtype == "float64" else np.nextafter(np.float32(beta), 2)
        found = [functional.local_response_norm(x, 5, 2.0, float(b)) for b in (beta, near)]
        np.testing.assert_allclose(*found, rtol=32 * ROUNDOFF[dtype] + abs(near - beta) * 8)


def test_the_gradient_is_the_numerical_one(normal):
    x, dy, step = normal((2, 6, 2), "float64"), normal((2, 6, 2), "float64"), 1e-6
    for size, beta in ((1, 0.75), (2, 0.75), (3, 0.5), (4, 1.0), (5, 0.6), (40, 0.75)):
        options = {"size": size, "alpha": 1.3, "beta": beta, "k": 1.5}
        dx = functional.local_response_norm_backward(dy, x, **options)
        slopes = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[place] += step
            down[place] -= step
            change = functional.local_response_norm(up, **options)
            change -= functional.local_response_norm(down, **options)
            slopes[place] = (dy * change).sum() / (2 * step)
        np.testing.assert_allclose(dx, slopes, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [3, 5, 100])
def test_what_is_not_finite_stays_within_its_windows(size, dtype, normal):
    x, dy = normal((1, 130, 3), dtype), normal((1, 130, 3), dtype)
    plain = functional.local_response_norm(x, size)
    slope = functional.local_response_norm_backward(dy, x, size)
    before, after = size // 2, (size - 1) // 2
    for value in (NAN, INF):
        hard = x.copy()
        hard[0, 60, 1] = value
        y = functional.local_response_norm(hard, size)
        near = np.zeros(x.shape, bool)
        near[0, 60 - after : 61 + before, 1] = True
        assert_bits_equal(np.where(near, 0, y), np.where(near, 0, plain))
        assert np.isnan(y[0, 60, 1])
        others = np.delete(y[near], after)
        assert np.isnan(others).all() if value != INF else (others == 0).all()
        dx = functional.local_response_norm_backward(dy, hard, size)
        reach = np.zeros(x.shape, bool)  # windows of windows
        reach[0, max(0, 61 - size) : 60 + size, 1] = True
        assert_bits_equal(np.where(reach, 0, dx), np.where(reach, 0, slope))
        steep = dy.copy()
        steep[0, 60, 1] = value
        dx = functional.local_response_norm_backward(steep, x, size)
        reach = np.zeros(x.shape, bool)
        reach[0, 60 - before : 61 + after, 1] = True
        assert_bits_equal(np.where(reach, 0, dx), np.where(reach, 0, slope))
        assert not np.isfinite(dx[reach]).any()


def test_numbers_whose_squares_overflow_are_divided_by_infinity():
    x = np.array([[1e30, 1.0]], np.float32)
    assert functional.local_response_norm(x, 3).tolist() == [[0.0, 0.0]]
    assert functional.local_response_norm(x, 1)[0, 0] == 0
    assert functional.local_response_norm(x, 1)[0, 1] > 0.9999


def test_long_sums_of_channels():
    x = np.full((1, 1024, 2), 0.1, np.float32)
    y = functional.local_response_norm(x, 1024, alpha=1024.0, beta=1.0, k=1.0)
    square = float(np.float32(0.1)) ** 2
    right = float(np.float32(0.1)) / (1 + square * 1024)
    assert abs(y[0, 512, 0] / right - 1) <= 3e-7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 5, 300])
def test_layout_batch_and_threads_change_no_bit(size, dtype, normal, threads):
    for shape in ((5, 3, 1), (4, 10, 37), (3, 33, 6, 7)):
        x, dy = 4 * normal(shape, dtype), normal(shape, dtype)
        for function, arrays in (
            (functional.local_response_norm, [x]),
            (functional.local_response_norm_backward, [dy, x]),
        ):
            threads(1)
            right = function(*arrays, size)
            parts = [function(*(a[n : n + 1] for a in arrays), size) for n in range(len(x))]
            assert_bits_equal(np.concatenate(parts), right)
            columns = function(*(a[..., -1:] for a in arrays), size)
            assert_bits_equal(columns, right[..., -1:])
            turned = [np.asfortranarray(a)[::-1][::-1] for a in arrays]
            for array in turned:
                array.flags.writeable = False
            assert_bits_equal(function(*turned, size), right)
            large = [np.concatenate([a] * (60_000 // a.size + 1)) for a in arrays]
            for number in (1, 2, 3):
                threads(number)
                assert_bits_equal(function(*large, size)[-len(x) :], right)


def test_it_takes_no_temporary_memory_but_for_odd_layouts(normal):
    x = normal((2, 6, 5, 7))
    with memory.track() as used:
        functional.local_response_norm_backward(x, x, 5)
        functional.local_response_norm(x, 5)
    assert (used.workspace_peak, used.copies, used.output) == (0, 0, 2 * x.nbytes)
    with memory.track() as used:
        functional.local_response_norm(x.transpose(0, 1, 3, 2), 5)
    assert used.copies == x.nbytes


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_state_of_the_caller_is_without_effect(dtype):
    x = np.array([[0, -95, 3e38], [1e-45, INF, 1], [NAN, 0, -INF], [-3e38, -88, 0]], dtype)
    y = functional.local_response_norm(x, 3, beta=0.6)
    with np.errstate(all="raise"):
        assert_bits_equal(functional.local_response_norm(x, 3, beta=0.6), y)
        functional.local_response_norm_backward(x, x, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_window_is_what_the_kernels_have_room_for(dtype):
    assert kernels.module(np.dtype(dtype)).local_channels == LARGEST_WINDOW


def test_empty_arrays():
    for shape in ((0, 3, 4), (3, 0, 4), (2, 3, 0)):
        assert functional.local_response_norm(np.zeros(shape), 3).shape == shape
        assert functional.local_response_norm_backward(*[np.zeros(shape)] * 2, 3).shape == shape


@pytest.mark.parametrize("name", ["local_response_norm", "local_response_norm_backward"])
def test_what_does_not_fit_is_refused(name):
    function, x = getattr(functional, name), np.ones((2, 3, 4), np.float32)
    given = [x, x] if name.endswith("backward") else [x]
    for size in (0, -1, 1025):
        with pytest.raises(ArgumentError, match=f"^{name}: size must be at (least 1|most 1024)"):
            function(*given, size)
    for setting, values in {
        "alpha": (-1e-4, NAN, INF, 1e-60),
        "beta": (-0.75, NAN, INF, 1e-60),
        "k": (0, -1, NAN, INF, 1e-60),
    }.items():
        for value in values:
            with pytest.raises(ArgumentError, match=f"^{name}: {setting} must "):
                function(*given, 5, **{setting: value})
    with pytest.raises(ArgumentTypeError, match=f"^{name}: size must be an integer"):
        function(*given, 5.0)
    with pytest.raises(ShapeError, match=rf"^{name}: x must have shape \(N, C, ...\)"):
        function(*(a[0, 0] for a in given), 5)
    with pytest.raises(ArgumentTypeError, match=f"^{name}: x must be an array of float32"):
        function(*given[:-1], np.ones((2, 3, 4), int), 5)


def test_gradients_refuse_what_does_not_fit():
    gradient = functional.local_response_norm_backward
    with pytest.raises(ShapeError, match="dy must have the shape of x"):
        gradient(np.ones((2, 3)), np.ones((2, 4)), 5)
    with pytest.raises(ArgumentTypeError, match="dy must have the dtype of x"):
        gradient(np.ones((2, 3), np.float32), np.ones((2, 3)), 5)
