"""Pooling as training has it: the argmax, ReLU behind it, and gradients in their order."""

from __future__ import annotations

import numpy as np
import pytest
from test_pooling import DILATED, DTYPES, LARGE, WINDOWS

import fastconv
from fastconv import functional, reference
from fastconv.testing import assert_bits_equal


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "options"), WINDOWS + DILATED + LARGE)
def test_relu_behind_the_maximum(pool_size, options, dtype, integers, rng):
    """Forward and backward the same bits as the maximum, then ReLU."""
    for width in (11, 16, 35):
        few = min(1, 4 / np.prod(np.broadcast_to(pool_size, 2)))  # of a window of any size
        x = -np.abs(integers((2, 3, 9, width), dtype, 3))
        x[rng.random(x.shape) < 0.2 * few] *= -1
        x[rng.random(x.shape) < 0.1 * few] = np.nan
        x[rng.random(x.shape) < 0.2] = -0.0
        y, argmax = functional.max_pool2d_argmax(x, pool_size, **options)
        dy = integers(y.shape, dtype)
        relu = functional.relu(y)
        assert min((relu > 0).mean(), (relu == 0).mean(), np.isnan(relu).mean()) > 0.02
        kept = functional.relu_backward(dy, relu)
        expected = functional.max_pool2d_argmax_backward(
            kept, argmax, x.shape, pool_size, **options
        )
        both, positions = functional.max_pool2d_argmax(x, pool_size, **options, activation="relu")
        assert positions.dtype == np.uint8
        np.testing.assert_array_equal(both, relu)
        assert not np.signbit(both[both == 0]).any()
        dx = functional.max_pool2d_argmax_backward(dy, positions, x.shape, pool_size, **options)
        assert_bits_equal(dx, expected)


@pytest.mark.parametrize("size", [(15, 17), (16, 16), (17, 17)])
def test_relu_behind_many_taps(size, normal):
    """256 taps leave no byte for none of them."""
    x = normal((1, 2, 40, 38)) - 3
    y, argmax = functional.max_pool2d_argmax(x, size, stride=3, activation="relu")
    assert argmax.dtype == (np.uint8 if size == (15, 17) else np.int32)
    plain, places = functional.max_pool2d_argmax(x, size, stride=3)
    assert 0 < np.count_nonzero(y) < y.size
    assert_bits_equal(y, functional.relu(plain))
    kept = functional.relu_backward(np.ones_like(y), y)
    dx = functional.max_pool2d_argmax_backward(np.ones_like(y), argmax, x.shape, size, stride=3)
    right = functional.max_pool2d_argmax_backward(kept, places, x.shape, size, stride=3)
    assert_bits_equal(dx, right)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, (2, 4), (3, 16), (2, 17), (6, 41), (6, 43)])
def test_gradients_of_maxima_are_added_window_by_window(size, dtype, normal):
    """With stride 1, on data that would show another order; the last has an argmax of int32."""
    rows, columns = (size, size) if isinstance(size, int) else size
    for width in (columns, 18, 19, 40, 67):
        pad = (rows - 1, 0), (columns // 2, columns - 1)
        options = {"stride": 1, "padding": pad}
        x = normal((1, 3, 6, width), dtype)
        _, indices = reference.max_pool2d(x, size, **options, return_indices=True)
        _, argmax = functional.max_pool2d_argmax(x, size, **options)
        dy = normal(argmax.shape, dtype)
        dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, size, **options)
        assert_bits_equal(dx, reference.max_pool2d_backward(dy, indices, x.shape))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 6, 7, 9, 17])
def test_windows_far_apart(columns, dtype, normal):
    """Few windows in a row, and many: one by one or in vectors, the same sums."""
    x = normal((2, 2, 11, 4 * columns + 1), dtype)
    for stride in (3, 4):
        options = {"stride": stride, "padding": 2}
        y, indices = fastconv.max_pool2d(x, 5, **options, return_indices=True)
        right, places = reference.max_pool2d(x, 5, **options, return_indices=True)
        assert_bits_equal(y, right)
        assert_bits_equal(indices, places)
        padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
        mean = fastconv.avg_pool2d(x, 5, **options, count_include_pad=True)
        for i in range(mean.shape[2]):
            for j in range(mean.shape[3]):
                window = padded[:, :, i * stride : i * stride + 5, j * stride : j * stride + 5]
                total = np.zeros((2, 2), dtype)
                for tap in range(25):
                    total += window[:, :, tap // 5, tap % 5]
                assert_bits_equal(mean[:, :, i, j].copy(), total / x.dtype.type(25))


@pytest.mark.parametrize("options", [{}, {"stride": 1, "padding": 1}])
def test_many_images_are_as_a_few(options, normal):
    """Maps of some megabytes are asked for ahead of time; that changes nothing."""
    x = normal((500, 3, 24, 31))
    for size in (2, 3):
        if size == 2 and options:
            continue
        y, argmax = functional.max_pool2d_argmax(x, size, **options)
        mean = fastconv.avg_pool2d(x, size, **options)
        results = [
            y,
            argmax,
            mean,
            functional.max_pool2d_argmax_backward(y, argmax, x.shape, size, **options),
            fastconv.avg_pool2d_backward(y, x.shape, size, **options),
        ]
        for few in (slice(0, 7), slice(250, 253), slice(491, 500)):
            part, dy = x[few], y[few]
            right = [
                *functional.max_pool2d_argmax(part, size, **options),
                fastconv.avg_pool2d(part, size, **options),
                functional.max_pool2d_argmax_backward(dy, argmax[few], part.shape, size, **options),
                fastconv.avg_pool2d_backward(dy, part.shape, size, **options),
            ]
            for one, other in zip(results, right, strict=True):
                assert_bits_equal(one[few], other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("size", "options"),
    [
        (3, {"stride": 1, "padding": 1}),
        (13, {"stride": 1, "padding": 6}),
        ((16, 15), {"stride": 1, "padding": (8, 7)}),
        ((4, 5), {"stride": (2, 3), "padding": (2, 2)}),
        ((3, 2), {"stride": (1, 2)}),
        ((1, 256), {"stride": 1, "padding": (0, 255)}),
        ((7, 1), {"stride": 1, "padding": (3, 0)}),
    ],
)
def test_any_argmax_in_any_number_of_maps(size, options, dtype, normal, rng):
    """Some maps at a time, and the others alone, in chunks of windows.  A tap that lies outside the
    window or the map passes nothing on."""
    for maps, height, width in ((1, 21, 23), (8, 21, 23), (19, 14, 5), (9, 13, 61)):
        x = np.zeros((1, maps, height, width), dtype)
        argmax = functional.max_pool2d_argmax(x, size, **options)[1]
        argmax = rng.integers(0, 256, argmax.shape).astype(np.uint8)
        dy = normal(argmax.shape, dtype)
        dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, size, **options)
        (rows, columns), (down, right) = (
            np.broadcast_to(size, 2),
            np.broadcast_to(options["stride"], 2),
        )
        above, before = np.broadcast_to(options.get("padding", 0), 2)
        top, left = np.indices(argmax.shape[2:])
        row = top * down - above + argmax // columns
        column = left * right - before + argmax % columns
        kept = (argmax < rows * columns) & (row >= 0) & (row < height)
        kept &= (column >= 0) & (column < width)
        assert kept.any() and not kept.all()
        expected = np.zeros_like(x)
        at = np.indices(argmax.shape)[1]
        np.add.at(expected[0], (at[kept], row[kept], column[kept]), dy[kept])
        assert_bits_equal(dx, expected)
