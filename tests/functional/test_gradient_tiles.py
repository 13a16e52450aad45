"""The ways in which the gradients cut maps and panels into tiles, at sizes around each of them."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels, reference
from fastconv.testing import assert_bits_equal

# H and W of x, the kernel, and the other options
MAPS = {
    "same taps at both ends": ((6, 9), (3, 3), {}),
    "one pixel misses a tap": ((7, 28), (3, 3), {"padding": 1}),
    "two pixels": ((7, 27), (5, 5), {"padding": 2}),
    "three pixels": ((7, 29), (7, 7), {"padding": 3}),
    "taps far apart": ((13, 31), (3, 3), {"padding": 2, "dilation": 4}),
    "taps that no pixel sees": ((5, 8), (5, 11), {"padding": 5}),
    "a row of several runs": ((3, 130), (3, 3), {"padding": 1}),
    "phases": ((12, 29), (3, 3), {"padding": 1, "stride": 2}),
    "phases without taps": ((9, 16), (1, 1), {"stride": 2}),
    "phases of columns": ((9, 17), (3, 4), {"padding": 2, "stride": (1, 2)}),
    "inputs that no output sees": ((12, 14), (3, 3), {"stride": (2, 2), "dilation": (1, 2)}),
    "three phases": ((9, 17), (3, 3), {"stride": 3}),
    "one pixel": ((5, 1), (3, 1), {"padding": (1, 0)}),
}


def backward(x, weight, options):
    shape = reference.conv2d(x, weight, **options).shape
    dy = np.where(np.arange(np.prod(shape)).reshape(shape) % 5, 2, -3).astype(x.dtype)
    found = fastconv.conv2d_backward(dy, x, weight, algorithm="direct", **options)
    right = reference.conv2d_backward(dy, x, weight, **options)
    for one, other in zip(found, right, strict=True):
        assert_bits_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", MAPS)
def test_rows_equal_the_reference(case, dtype, integers):
    (height, width), kernel, options = MAPS[case]
    lanes = kernels.lanes(np.dtype(dtype))
    for channels in (lanes // 2, lanes // 2 + 1, lanes + 1, 2 * lanes):
        x = integers((2, channels, height, width), dtype)
        backward(x, integers((5, channels, *kernel), dtype), options)


def test_sums_of_several_blocks_equal_the_reference(integers):
    channels = kernels.lanes(np.dtype("float32"))
    x, weight = integers((1, channels, 3, 9)), integers((600, channels, 1, 3))
    backward(x, weight, {"padding": (0, 1)})


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("taps", [3, 5])
def test_stride_2_of_planes_equals_the_reference(taps, odd, integers):
    vector = kernels.lanes(np.dtype("float32")) // 2
    for width in (5, 2 * vector - 1, 2 * vector, 2 * vector + 1, 4 * vector, 7 * vector):
        x, weight = integers((2, 3, 19, width)), integers((3, 1, taps, taps))
        backward(x, weight, {"stride": 2, "padding": taps // 2 - odd, "groups": 3})


@pytest.mark.parametrize("pixels", [1, 7, 16, 49, 127, 128, 129, 300])
def test_1x1_weights_equal_the_reference(pixels, integers):
    lanes = kernels.lanes(np.dtype("float32"))
    for channels, filters in (
        (lanes, 2 * lanes),
        (lanes // 2, lanes),
        (lanes + 3, 29),
        (70, lanes),
    ):
        x = integers((3, channels, 1, pixels))
        backward(x, integers((filters, channels, 1, 1)), {})


def test_sums_that_share_a_place_equal_the_reference(integers):
    # blocks of 64 channels, the last of them short, by panels, the last of them slim
    channels, filters = 70, 2 * kernels.lanes(np.dtype("float32")) + 3
    backward(integers((1, channels, 7, 7)), integers((filters, channels, 3, 3)), {"padding": 1})
