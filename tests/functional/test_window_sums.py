"""Averages that are made columns first, then rows, and the gradients of overlapping averages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import fastconv
from fastconv import reference, threads
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
MOST = {"float32": 1e-6, "float64": 3e-15}
# pool_size, stride and padding
WINDOWS = [
    (4, 1, 0),
    (5, 1, 2),
    ((9, 13), 1, (4, 6)),
    ((3, 17), (2, 1), (1, 8)),
    ((20, 33), 1, (9, 16)),
    ((5, 7), (1, 3), (2, 3)),
    ((4, 9), (3, 4), 1),
    ((7, 2), (2, 3), 1),  # columns between windows, which get nothing
    (3, 1, 1),
]
SIZES = [(20, 33), (21, 40), (70, 34), (23, 530)]


def pair(value):
    return (value, value) if isinstance(value, int) else value


def gradient(dy, shape, pool_size, stride, padding, counts):
    """Return the gradient in float64, tap by tap."""
    (rows, columns), (sh, sw), (top, left) = pair(pool_size), pair(stride), pair(padding)
    height, width = shape[2:]
    padded = np.zeros((*shape[:2], height + 2 * top, width + 2 * left))
    shares = dy.astype(np.float64) / counts
    oh, ow = dy.shape[2:]
    for r in range(rows):
        for s in range(columns):
            padded[..., r : r + sh * oh : sh, s : s + sw * ow : sw] += shares
    return padded[..., top : top + height, left : left + width]


def windows(x, pool_size, stride, padding, fill=0.0):
    (sh, sw), (top, left) = pair(stride), pair(padding)
    pads = [(0, 0)] * (x.ndim - 2) + [(top, top), (left, left)]
    padded = np.pad(x.astype(np.float64), pads, constant_values=fill)
    return sliding_window_view(padded, pair(pool_size), (-2, -1))[..., ::sh, ::sw, :, :]


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "stride", "padding"), WINDOWS)
def test_random_numbers(pool_size, stride, padding, dtype, count_include_pad, normal):
    options = {"stride": stride, "padding": padding, "count_include_pad": count_include_pad}
    for size in SIZES:
        x = normal((2, 2, *size), dtype)
        counts = windows(np.ones(size), pool_size, stride, padding, float(count_include_pad))
        counts = counts.sum((-2, -1))
        seen = windows(x, pool_size, stride, padding)
        y = fastconv.avg_pool2d(x, pool_size, **options)
        error = np.abs(y - seen.sum((-2, -1)) / counts)
        assert np.all(error <= MOST[dtype] * np.abs(seen).sum((-2, -1)) / counts)
        dy = normal(y.shape, dtype)
        dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
        right = gradient(dy, x.shape, pool_size, stride, padding, counts)
        most = gradient(np.abs(dy), x.shape, pool_size, stride, padding, counts)
        assert np.all(np.abs(dx - right) <= MOST[dtype] * most)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "stride", "padding"), WINDOWS)
def test_whole_numbers_are_exact(pool_size, stride, padding, dtype, integers):
    options = {"stride": stride, "padding": padding, "count_include_pad": True}
    taps = math.prod(pair(pool_size))
    for size in SIZES[:3]:
        x = integers((1, 3, *size), dtype)
        y = fastconv.avg_pool2d(x, pool_size, **options)
        assert_bits_equal(y, reference.avg_pool2d(x, pool_size, **options))
        dy = integers(y.shape, dtype) * x.dtype.type(taps)
        dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
        assert_bits_equal(dx, reference.avg_pool2d_backward(dy, x.shape, pool_size, **options))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("pool_size", "stride", "padding"), WINDOWS)
def test_what_is_not_finite_stays_where_it_is_seen(pool_size, stride, padding, value, integers):
    options = {"stride": stride, "padding": padding}
    x = integers((1, 2, 20, 41), "float32")
    x[0, 1, 9, 20] = value
    y = fastconv.avg_pool2d(x, pool_size, **options)
    sums = windows(x, pool_size, stride, padding).sum((-2, -1))
    assert_bits_equal(np.isfinite(y), np.isfinite(sums))
    np.testing.assert_array_equal(y[~np.isfinite(y)], sums[~np.isfinite(y)])
    dy = integers(y.shape, "float32")
    dy[0, 0, y.shape[2] // 2, y.shape[3] // 2] = value
    dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
    right = gradient(dy, x.shape, pool_size, stride, padding, 1.0)
    assert not np.isfinite(right).all()
    assert_bits_equal(np.isfinite(dx), np.isfinite(right))
    np.testing.assert_array_equal(dx[~np.isfinite(dx)], right[~np.isfinite(dx)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [900, 1024, 1025, 2300])
def test_more_neighbours_than_a_line_has(columns, dtype, normal):
    """Rows of windows that are longer than a line, with and without a stride."""
    x = normal((1, 2, 3, 2900), dtype)
    for stride, padding in ((1, 0), (1, (1, 450)), ((1, 2), (0, 30)), ((2, 700), (1, 9))):
        counts = windows(np.ones(x.shape[2:]), (2, columns), stride, padding).sum((-2, -1))
        seen = windows(x, (2, columns), stride, padding)
        y = fastconv.avg_pool2d(x, (2, columns), stride=stride, padding=padding)
        error = np.abs(y - seen.sum((-2, -1)) / counts)
        assert np.all(error <= MOST[dtype] * np.abs(seen).sum((-2, -1)) / counts)
        dy = normal(y.shape, dtype)
        dx = fastconv.avg_pool2d_backward(dy, x.shape, (2, columns), stride=stride, padding=padding)
        right = gradient(dy, x.shape, (2, columns), stride, padding, counts)
        most = gradient(np.abs(dy), x.shape, (2, columns), stride, padding, counts)
        assert np.all(np.abs(dx - right) <= MOST[dtype] * most)


@pytest.mark.parametrize(("pool_size", "stride", "padding"), WINDOWS)
def test_bits_do_not_depend_on_threads_parts_or_neighbours(
    pool_size, stride, padding, normal, monkeypatch
):
    options = {"stride": stride, "padding": padding}
    x = normal((3, 5, 90, 61))
    y = fastconv.avg_pool2d(x, pool_size, **options)
    dx = fastconv.avg_pool2d_backward(y, x.shape, pool_size, **options)
    monkeypatch.setattr(threads, "SMALL_WORK", 0)
    monkeypatch.setattr(threads, "slice_work", 2000)
    for count in (1, 3):
        monkeypatch.setattr(threads, "_chosen", count)
        assert_bits_equal(fastconv.avg_pool2d(x, pool_size, **options), y)
        found = fastconv.avg_pool2d_backward(y, x.shape, pool_size, **options)
        assert_bits_equal(found, dx)
    assert_bits_equal(fastconv.avg_pool2d(x[1:2], pool_size, **options), y[1:2])
    found = fastconv.avg_pool2d_backward(y[1:2], x[1:2].shape, pool_size, **options)
    assert_bits_equal(found, dx[1:2])
