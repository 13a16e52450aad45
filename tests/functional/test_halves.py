"""Pooling of 2x2 with stride 2 inside the map, which has kernels of its own, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, reference
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
SIZES = [(h, w) for h in (2, 3, 131) for w in (4, 8, 9, 15, 16, 17, 31, 33, 34, 50)]


def hard(shape, dtype, rng):
    """Return few different numbers, with ties, both zeros and what is not finite, but no NaN."""
    values = np.array([-np.inf, -2, -0.0, 0.0, 1, 2, np.inf], dtype)
    return rng.choice(values, shape)


def check(x, relu):
    y, argmax = functional.max_pool2d_argmax(x, 2, activation="relu" if relu else None)
    plain, places = reference.max_pool2d(x, 2, return_indices=True)
    right = np.where(plain <= 0, x.dtype.type(0), plain) if relu else plain
    np.testing.assert_array_equal(y, right)
    assert_bits_equal(np.signbit(y[~np.isnan(y)]), np.signbit(right[~np.isnan(right)]))
    height, width = y.shape[2:]
    rows = places // x.shape[3] - 2 * np.arange(height)[:, None]
    taps = 2 * rows + places % x.shape[3] - 2 * np.arange(width)
    if relu:
        taps[~(plain > 0)] = 4  # none, of a NaN too
    assert_bits_equal(argmax, taps.astype(np.uint8))
    return argmax


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_maxima_and_their_taps(size, dtype, relu, rng):
    x = hard((2, 2, *size), dtype, rng)
    check(x, relu)
    x[0, 0, 1, size[1] // 2] = np.nan  # a block of rows is done again, the others are not
    check(x, relu)
    x[rng.random(x.shape) < 0.3] = np.nan
    check(x, relu)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_gradients(size, dtype, rng):
    """Of -0 too, which is added to 0; of what is not finite, and from taps that are none."""
    x = hard((2, 3, *size), dtype, rng)
    y, argmax = functional.max_pool2d_argmax(x, 2)
    dy = hard(y.shape, dtype, rng)
    dy[rng.random(dy.shape) < 0.1] = np.nan
    argmax[rng.random(dy.shape) < 0.1] = 4
    right = np.zeros(x.shape, dtype)
    shares = np.zeros(x.shape, dtype)
    for tap in range(4):
        at = np.s_[..., tap // 2 : 2 * y.shape[2] : 2, tap % 2 : 2 * y.shape[3] : 2]
        right[at] += np.where(argmax == tap, dy, x.dtype.type(0))
        shares[at] += dy / x.dtype.type(4)
    dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, 2)
    np.testing.assert_array_equal(dx, right)
    assert not np.signbit(dx[dx == 0]).any()
    dx = fastconv.avg_pool2d_backward(dy, x.shape, 2)
    np.testing.assert_array_equal(dx, shares)
    assert not np.signbit(dx[dx == 0]).any()


def test_an_empty_batch():
    x = np.zeros((0, 3, 8, 64), np.float32)
    y, argmax = functional.max_pool2d_argmax(x, 2)
    assert y.shape == argmax.shape == (0, 3, 4, 32)
    assert functional.max_pool2d_argmax_backward(y, argmax, x.shape, 2).shape == x.shape
