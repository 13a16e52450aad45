"""Maxima of whole maps, one window each: which of equals wins, NaN, ReLU, and the gradient."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
# around one, two and four vectors of every instruction set, and beyond what a byte can name
SIZES = [*range(1, 36), 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000]


def shapes(size: int) -> list[tuple[int, int]]:
    return [(1, size), (size, 1)] + [(7, size // 7)] * (size % 7 == 0)


@pytest.fixture
def threads():
    """Set the number of threads; the test's end takes it back."""
    yield fastconv.set_num_threads
    fastconv.set_num_threads(None)


def check(x: np.ndarray, dy: np.ndarray) -> None:
    """Values, places and gradients, each with the right bits."""
    size = x.shape[2:]
    right, places = reference.max_pool2d(x, size, return_indices=True)
    y, argmax = functional.max_pool2d_argmax(x, size)
    for found in (y, functional.max_pool2d(x, size)):
        np.testing.assert_array_equal(found, right)
        assert_bits_equal(np.signbit(found[found == 0]), np.signbit(right[right == 0]))
    assert_bits_equal(argmax.astype(np.int64), places)
    expected = reference.max_pool2d_backward(dy, places, x.shape)
    assert_bits_equal(functional.max_pool2d_argmax_backward(dy, argmax, x.shape, size), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_the_winner_of_every_length(size, dtype, rng):
    """Few different numbers, so that many are equal, and in some maps nothing is finite."""
    for h, w in shapes(size):
        x = rng.integers(-3, 1, (40, 2, h, w)).astype(dtype)
        x[x == 0] *= rng.choice([-1, 1], np.count_nonzero(x == 0))  # both zeros
        x[10:20][rng.random(x[10:20].shape) < 2 / size] = np.nan
        x[20:25][rng.random(x[20:25].shape) < 0.5] = -np.inf
        x[25], x[26, 0] = -np.inf, np.nan
        x[27:30][rng.random(x[27:30].shape) < 2 / size] = np.inf
        x[30:35] -= 5
        check(x, rng.integers(1, 9, (40, 2, 1, 1)).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 8, 49, 255, 256, 300])
def test_relu_behind_the_maximum_of_a_map(size, dtype, normal):
    x = normal((30, 3, 1, size), dtype) - 2
    x[0], x[1, :, :, -1], x[2] = -0.0, np.nan, -np.inf
    y, argmax = functional.max_pool2d_argmax(x, (1, size), activation="relu")
    plain, places = functional.max_pool2d_argmax(x, (1, size))
    relu = functional.relu(plain)
    np.testing.assert_array_equal(y, relu)
    assert not np.signbit(y[y == 0]).any() and 0 < np.count_nonzero(y) < y.size
    dy = normal(y.shape, dtype)
    dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, (1, size))
    kept = functional.relu_backward(dy, relu)
    right = functional.max_pool2d_argmax_backward(kept, places, x.shape, (1, size))
    assert_bits_equal(dx, right)


def test_a_place_outside_of_the_map_is_none(normal):
    dy = normal((4, 1, 1, 1))
    for kind, places in ((np.uint8, [0, 6, 7, 255]), (np.int32, [0, -1, 7, 2**31 - 1])):
        argmax = np.array(places, kind).reshape(dy.shape)
        dx = functional.max_pool2d_argmax_backward(dy, argmax, (4, 1, 1, 7), (1, 7))
        right = np.zeros((4, 7), np.float32)
        for row, place in enumerate(places):
            if 0 <= place < 7:
                right[row, place] = dy[row, 0, 0, 0]
        assert_bits_equal(dx, right.reshape(4, 1, 1, 7))


def test_a_window_as_large_as_the_map_that_steps_over_rows_is_no_whole_map(integers):
    x = integers((2, 3, 5, 5), "float32", 9)
    options = {"dilation": 2, "padding": 4, "stride": 5}
    y = functional.max_pool2d(x, 5, **options)
    assert_bits_equal(y, reference.max_pool2d(x, 5, **options))


def test_threads_change_no_bit_of_whole_maps(normal, threads):
    x = normal((64, 100, 7, 7))
    found = []
    for number in (1, 2, 3):
        threads(number)
        y, argmax = functional.max_pool2d_argmax(x, 7)
        assert_bits_equal(functional.max_pool2d(x, 7), y)
        found.append((y, argmax, functional.max_pool2d_argmax_backward(y, argmax, x.shape, 7)))
    for other in found[1:]:
        for one, first in zip(other, found[0], strict=True):
            assert_bits_equal(one, first)
