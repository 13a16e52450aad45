"""Depthwise convolutions with the usual windows and with any others, at widths around a vector,
and both gradients' halves that have kernels of their own."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels, reference
from fastconv.testing import assert_bits_equal

WINDOWS = [(3, 1), (3, 2), (5, 1), (5, 2)]


def widths(dtype):
    vector = kernels.lanes(np.dtype(dtype)) // 2
    return sorted(
        {
            1,
            2,
            3,
            *range(max(vector - 1, 1), vector + 3),  # a vector may be one number
            *range(2 * vector - 1, 2 * vector + 4),
            4 * vector,
            4 * vector + 3,
            13 * vector + 1,
            20 * vector + 3,  # a second block of columns, which begins within the last vector
            42 * vector,  # the same with stride 2
        }
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("taps", "stride"), WINDOWS)
def test_every_width_equals_the_reference(taps, stride, dtype, integers):
    """Maps higher than a block of rows, two filters a group, paddings to a whole window."""
    for width in widths(dtype):
        for padding in {0, 1, taps // 2, taps}:
            if width + 2 * padding < taps:
                continue
            for height in (taps, 35):
                x = integers((2, 3, height, width), dtype)
                weight, bias = integers((6, 1, taps, taps), dtype), integers(6, dtype)
                given = {"stride": stride, "padding": padding, "groups": 3}
                y = fastconv.conv2d(x, weight, bias, activation="relu", **given)
                right = reference.conv2d(x, weight, bias, activation="relu", **given)
                assert_bits_equal(y, right)
                weight = weight[:3].copy()
                dy = integers((2, 3, *y.shape[2:]), dtype)
                dx, _, _ = fastconv.conv2d_backward(dy, x, weight, needs=("x",), **given)
                assert_bits_equal(dx, reference.conv2d_backward(dy, x, weight, **given)[0])


# kernel, stride, dilation: with several taps in each phase of a stride, with one, and with none;
# more taps than the sums of a gradient that are made at one time; rows that share none of the map
OTHERS = [
    ((7, 7), 1, 1),
    ((4, 6), 2, 1),
    ((2, 2), 2, 1),
    ((3, 2), 4, 1),
    ((3, 3), (2, 1), 1),
    ((3, 3), (1, 2), 1),
    ((5, 3), (1, 3), 2),
    ((1, 9), 1, 1),
    ((9, 1), 1, 2),
    ((13, 11), 1, 1),
    ((12, 21), 2, 1),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), OTHERS, ids=str)
def test_other_windows_equal_the_reference(kernel, stride, dilation, dtype, integers):
    """Forward with two filters a group, and both gradients, also where zeros are infinite."""
    for width in widths(dtype):
        x = integers((2, 3, 23, width), dtype)
        weight, bias = integers((6, 1, *kernel), dtype), integers(6, dtype)
        padding = tuple((taps - 1) * dilation // 2 + 1 for taps in kernel)
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 3}
        y = fastconv.conv2d(x, weight, bias, activation="relu", **given)
        assert_bits_equal(y, reference.conv2d(x, weight, bias, activation="relu", **given))
        weight = weight[:3].copy()
        dy = integers((2, 3, *y.shape[2:]), dtype)
        for value in (0, np.inf):
            dy[1, 2, 0, 0] = value
            weight[2, 0, 0, 0] = value
            found = fastconv.conv2d_backward(dy, x, weight, needs=("x", "weight"), **given)
            with np.errstate(invalid="ignore"):
                right = reference.conv2d_backward(dy, x, weight, **given)
            for one, other in zip(found[:2], right[:2], strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("taps", "stride"), WINDOWS)
def test_a_weight_that_is_not_finite_misses_the_padding(taps, stride, value, integers):
    for width in widths("float32"):
        x, weight = integers((2, 5, 9, width)), integers((5, 1, taps, taps))
        weight[1, 0, 0, 0] = weight[3, 0, -1, taps // 2] = value
        x[0, 2, -1, -1] = value
        given = {"stride": stride, "padding": taps // 2, "groups": 5}
        y = fastconv.conv2d(x, weight, **given)
        with np.errstate(invalid="ignore"):  # of infinities of both signs
            np.testing.assert_array_equal(y, reference.conv2d(x, weight, **given))
            dy = integers(y.shape)
            dy[1, 4, 0, 0] = value
            dx, _, _ = fastconv.conv2d_backward(dy, x, weight, needs=("x",), **given)
            right, _, _ = reference.conv2d_backward(dy, x, weight, **given)
        np.testing.assert_array_equal(dx, right)
        assert np.isfinite(y[1, 0]).all() and not np.isfinite(y[:, 3]).all()


@pytest.mark.parametrize(("taps", "stride"), [*WINDOWS, (7, 1), (4, 2)])
def test_nothing_beyond_the_result_is_written(taps, stride, integers):
    """A result inside a larger array: rows shorter than a vector may not spill over."""
    for width in widths("float32"):
        x, weight = integers((1, 4, 9, width)), integers((4, 1, taps, taps))
        given = {"stride": stride, "padding": taps // 2, "groups": 4}
        right = reference.conv2d(x, weight, **given)
        around = np.full((3, *right.shape[1:]), 7, np.float32)
        fastconv.conv2d(x, weight, out=around[1:2], **given)
        assert_bits_equal(around[1:2], right)
        assert (around[::2] == 7).all()


def test_threads_change_no_bit(normal):
    x, weight = normal((4, 300, 14, 14)).astype("f4"), normal((300, 1, 3, 3)).astype("f4")
    given = {"padding": 1, "groups": 300}
    before = fastconv.get_num_threads()
    try:
        found = []
        for count in (1, 3):
            fastconv.set_num_threads(count)
            y = fastconv.conv2d(x, weight, **given)
            found.append((y, fastconv.conv2d_backward(y, x, weight, needs=("x",), **given)[0]))
    finally:
        fastconv.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert_bits_equal(one, other)
