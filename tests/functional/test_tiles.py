"""The ways in which the forward pass cuts a map into tiles, at sizes around each of them."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels, reference
from fastconv.functional.asking import engine_of
from fastconv.geometry import Conv2DGeometry
from fastconv.testing import assert_bits_equal

# x (C, H, W), kernel, and the other options: strips that are wide, that fill vectors with several
# rows, that lose every second column, that begin and end in the padding
STRIPS = {
    "wide": ((3, 9, 64), (3, 3), {"padding": 1}),
    "wider than a strip": ((1, 4, 1100), (3, 3), {"padding": 1}),
    "narrow": ((1, 28, 28), (5, 5), {}),
    "narrow, padded": ((2, 17, 9), (3, 3), {"padding": 1}),
    "stride 2": ((3, 21, 45), (3, 3), {"padding": 1, "stride": 2}),
    "stride of rows": ((3, 21, 20), (3, 3), {"padding": 1, "stride": (2, 1)}),
    "stride above the kernel": ((3, 9, 40), (3, 1), {"stride": 2}),
    "much padding": ((1, 6, 7), (4, 7), {"padding": ((3, 1), (6, 2))}),
    "padding of vectors": ((1, 5, 9), (1, 40), {"padding": (0, 35)}),
    "groups": ((4, 8, 22), (3, 3), {"padding": 1, "groups": 2}),
}

UNPADDED = ("narrow", "stride above the kernel")


def lay_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Return `x` with its rows turned round in memory, or its channels last."""
    if layout == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if layout == "channels last":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return x


@pytest.mark.parametrize("layout", ["plain", "reversed", "channels last"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", STRIPS)
def test_strips_equal_the_reference(case, dtype, layout, integers):
    shape, kernel, options = STRIPS[case]
    groups = options.get("groups", 1)
    for filters in (20, 35, 64):
        x = lay_out(integers((2, *shape), dtype), layout)
        weight = integers((filters * groups, shape[0] // groups, *kernel), dtype)
        bias = integers(filters * groups, dtype)
        given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
        g = Conv2DGeometry.make("conv2d", x.shape, weight.shape, *given.values())
        assert engine_of(g, x.dtype).name == "strips"
        y = fastconv.conv2d(x, weight, bias, algorithm="direct", activation="relu", **options)
        right = reference.conv2d(x, weight, bias, activation="relu", **options)
        assert_bits_equal(y, right)


@pytest.mark.parametrize("pixels", [11, 23, 24, 25, 47, 49, 95, 96, 97, 143, 191, 192, 193, 331])
def test_1x1_equals_the_reference_at_every_tail(pixels, integers):
    for channels in (1, 5, 128, 129):
        x, weight = integers((2, channels, 1, pixels)), integers((37, channels, 1, 1))
        y = fastconv.conv2d(x, weight, algorithm="direct")
        assert_bits_equal(y, reference.conv2d(x, weight))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("case", STRIPS)
def test_a_weight_that_is_not_finite_misses_the_padding(case, value, integers):
    """Strips multiply zeros of the padding: such weights must go another way."""
    shape, kernel, options = STRIPS[case]
    groups = options.get("groups", 1)
    x = integers((1, *shape))
    weight = integers((20 * groups, shape[0] // groups, *kernel))
    weight[-1, 0, 0, 0] = value
    right = reference.conv2d(x, weight, **options)
    assert not np.isfinite(right[:, -1]).all()
    assert (case in UNPADDED) or np.isfinite(right[:, -1]).any()
    y = fastconv.conv2d(x, weight, algorithm="direct", **options)
    np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize(
    "kernel, padding, stride",
    [
        *((3, 1, 1), (3, 1, 2), (5, 2, 1), (5, 2, 2), (5, (2, 1), 1), (7, 3, 2), (7, 3, 1)),
        *((4, 2, 1), (9, 4, 1), (11, 5, 1), (11, 5, 2), (11, 6, 1), ((1, 11), ((0, 0), (4, 3)), 1)),
    ],
)
def test_every_width_with_edges(kernel, padding, stride, integers, normal):
    """Rows from narrower than the kernel to several tiles, equal to im2col on any data."""
    options = {"padding": padding, "stride": stride}
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    for width in (*range(4, 32), 43, 57):
        x, weight = integers((1, 9, 5, width)), integers((35, 9, *sides))
        y = fastconv.conv2d(x, weight, algorithm="direct", **options)
        assert_bits_equal(y, reference.conv2d(x, weight, **options))
        x, weight = normal(x.shape), normal(weight.shape)
        y = fastconv.conv2d(x, weight, algorithm="direct", **options)
        assert_bits_equal(y, fastconv.conv2d(x, weight, algorithm="im2col", **options))


@pytest.mark.parametrize("size", [(7, 7), (14, 14), (3, 40), (30, 12)])
def test_blocks_of_channels_are_added_in_order(size, normal):
    """Sums of several blocks, whose totals wait in memory, and weights beyond the L2 cache."""
    for channels, filters in ((57, 70), (200, 65), (130, 33)):
        x, weight = normal((2, channels, *size)), normal((filters, channels, 3, 3))
        bias = normal(filters)
        y = fastconv.conv2d(x, weight, bias, padding=1, algorithm="direct")
        right = fastconv.conv2d(x, weight, bias, padding=1, algorithm="im2col")
        assert_bits_equal(y, right)


# Maps whose planes lie a multiple of 2 KiB apart, so that they share sets of the cache and are
# stored one by one; some whose item ends in the middle of a vector, and one just beside
PLANES = {
    "32x32": ((40, 32, 32), {"padding": 1}),
    "16x16": ((70, 16, 16), {"padding": 1}),
    "a row": ((17, 4, 256), {"padding": (1, 0)}),
    "rows in parts": ((17, 2, 512), {"padding": 1}),
    "no multiple of a vector": ((17, 512, 9), {"padding": 1}),
    "beside": ((17, 16, 17), {"padding": 1}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", PLANES)
def test_planes_that_collide_equal_the_reference(case, dtype, integers):
    shape, options = PLANES[case]
    lanes = kernels.lanes(np.dtype(dtype))
    for filters in (lanes - 1, lanes, lanes + lanes // 2 + 1):
        x = integers((2, *shape), dtype)
        weight = integers((filters, shape[0], 3, 3), dtype)
        bias = integers(filters, dtype)
        y = fastconv.conv2d(x, weight, bias, algorithm="direct", activation="relu", **options)
        right = reference.conv2d(x, weight, bias, activation="relu", **options)
        assert_bits_equal(y, right)


# x (C, H, W), kernel, and the other options: maps whose rows do not fill tiles, in strips of which
# the last has fewer rows or columns, for several panels of filters and blocks of channels
FLAT = {
    "7x7": ((24, 7, 7), (3, 3), {"padding": 1}),
    "stride 2, fewer rows at the end": ((24, 17, 17), (3, 3), {"padding": 1, "stride": 2}),
    "columns in blocks": ((9, 5, 203), (3, 3), {"stride": (1, 2), "padding": (0, 2)}),
    "several blocks of channels": ((70, 8, 8), (3, 3), {"padding": 1}),
    "1x1 of many channels": ((300, 7, 7), (1, 1), {}),
    "1x1 of many channels, groups": ((600, 7, 7), (1, 1), {"groups": 2}),
    "1x1 of many channels, one row": ((300, 1, 40), (1, 1), {}),
    "1x1 with strides": ((20, 15, 37), (1, 1), {"stride": (3, 2)}),
    "1x1 with strides and padding": ((20, 9, 11), (1, 1), {"stride": 2, "padding": (1, 3)}),
    "5x5": ((10, 7, 9), (5, 5), {"padding": 2, "stride": 2}),
    "rows of taps in the padding": ((3, 11, 40), (9, 7), {"padding": (5, 3), "stride": (2, 1)}),
    "all rows of taps in the padding": ((20, 2, 50), (3, 3), {"padding": (9, 1), "stride": 2}),
    "one row of taps": ((30, 6, 7), (1, 3), {"padding": (0, 1)}),
    "much padding": ((12, 3, 4), (3, 3), {"padding": ((4, 1), (0, 5)), "stride": 2}),
    "groups": ((24, 7, 7), (3, 3), {"padding": 1, "groups": 2}),
}


@pytest.mark.parametrize("layout", ["plain", "reversed", "channels last"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", FLAT)
def test_flat_tiles_equal_the_reference(case, dtype, layout, integers, normal):
    shape, kernel, options = FLAT[case]
    groups = options.get("groups", 1)
    for filters in (kernels.lanes(np.dtype(dtype)) + 1, 70):
        x = lay_out(integers((2, *shape), dtype), layout)
        weight = integers((filters * groups, shape[0] // groups, *kernel), dtype)
        bias = integers(filters * groups, dtype)
        y = fastconv.conv2d(x, weight, bias, algorithm="direct", activation="relu", **options)
        right = reference.conv2d(x, weight, bias, activation="relu", **options)
        assert_bits_equal(y, right)
        x, weight = normal(x.shape).astype(dtype), normal(weight.shape).astype(dtype)
        y = fastconv.conv2d(x, weight, bias, algorithm="direct", **options)
        right = fastconv.conv2d(x, weight, bias, algorithm="im2col", **options)
        assert_bits_equal(y, right)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("case", FLAT)
def test_flat_tiles_of_what_is_not_finite(case, value, integers):
    """Zeros of the padding times such a weight are NaN, which the padding must not give."""
    shape, kernel, options = FLAT[case]
    groups = options.get("groups", 1)
    x = integers((2, *shape))
    weight = integers((40 * groups, shape[0] // groups, *kernel))
    weight[-1, 0, 0, 0] = weight[3, 0, -1, -1] = value
    x[1, 0, -1, -1] = value
    y = fastconv.conv2d(x, weight, algorithm="direct", **options)
    with np.errstate(invalid="ignore"):  # of infinities of both signs
        right = reference.conv2d(x, weight, **options)
    np.testing.assert_array_equal(y, right)
    assert not np.isfinite(right[0, 3]).all() and np.isfinite(right[0, 1]).all()


# channels, filters, H and W of x, and the other options of 1x1: strips of one to six vectors, of
# which the last is not whole; channels in several strips and blocks; filters that fill no tile
POINTS = {
    "one strip": (5, 33, (8, 8), {}),
    "several strips": (40, 70, (13, 17), {}),
    "the last vector is not whole": (9, 40, (9, 9), {}),
    "channels in strips": (300, 34, (7, 19), {}),
    "channels in blocks": (1100, 150, (8, 9), {}),
    "many filters": (140, 530, (10, 10), {}),
    "channels in strips, far apart": (300, 34, (17, 21), {}),
    "channels in blocks, far apart": (1100, 70, (18, 18), {}),
    "many filters, far apart": (140, 530, (18, 19), {}),
    "stride 2, far apart": (70, 36, (41, 27), {"stride": 2}),
    "groups": (24, 37, (6, 16), {"groups": 3}),
    "few filters of planes that share sets": (6, 5, (32, 32), {}),
    "stride 2": (40, 36, (21, 27), {"stride": 2}),
    "stride of rows": (20, 36, (33, 9), {"stride": (3, 1)}),
    "stride of rows, wide": (20, 36, (9, 203), {"stride": (3, 1)}),
    "stride of columns, rows in pieces": (20, 36, (3, 203), {"stride": (1, 2)}),
    "rows of one output": (20, 36, (70, 3), {"stride": (1, 3)}),
}


@pytest.mark.parametrize("layout", ["plain", "reversed", "channels last"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", POINTS)
def test_points_equal_the_reference(case, dtype, layout, integers, normal):
    channels, filters, size, options = POINTS[case]
    groups = options.get("groups", 1)
    x = lay_out(integers((2, channels * groups, *size), dtype), layout)
    weight = integers((filters * groups, channels, 1, 1), dtype)
    bias = integers(filters * groups, dtype)
    y = fastconv.conv2d(x, weight, bias, algorithm="direct", activation="relu", **options)
    assert_bits_equal(y, reference.conv2d(x, weight, bias, activation="relu", **options))
    x, weight = lay_out(normal(x.shape).astype(dtype), layout), normal(weight.shape).astype(dtype)
    y = fastconv.conv2d(x, weight, algorithm="direct", **options)
    assert_bits_equal(y, fastconv.conv2d(x, weight, algorithm="im2col", **options))


@pytest.mark.parametrize("value", [np.inf, np.nan, -0.0])
def test_points_carry_what_is_not_finite(value, integers):
    x, weight = integers((2, 20, 9, 9)), integers((40, 20, 1, 1))
    x[1, 3, 8, 8], weight[5, 7] = value, value
    y = fastconv.conv2d(x, weight, algorithm="direct")
    with np.errstate(invalid="ignore"):
        right = reference.conv2d(x, weight)
    assert_bits_equal(np.isnan(y), np.isnan(right))
    np.testing.assert_array_equal(y, right)


# window, stride and the other options of groups with one filter: all go through bands but the usual
BANDS = [
    ((7, 7), 1, {"padding": 3}),
    ((7, 7), 2, {"padding": 3}),
    ((5, 3), 1, {"padding": (2, 1)}),
    ((3, 3), 1, {"padding": 4, "dilation": 2}),
    ((9, 1), 2, {"padding": (4, 0)}),
    ((1, 11), 1, {"padding": (0, 5)}),
    ((4, 4), 2, {"padding": ((2, 1), (0, 3))}),
    ((3, 3), 1, {"padding": 1}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "stride", "options"), BANDS)
def test_depthwise_windows_equal_the_reference(kernel, stride, options, dtype, integers):
    for height, width in ((13, 9), (12, 33), (40, 70), (9, 300)):
        for multiplier in (1, 2):
            x = integers((2, 3, height, width), dtype)
            weight = integers((3 * multiplier, 1, *kernel), dtype)
            given = {**options, "stride": stride, "groups": 3, "algorithm": "direct"}
            right = {**options, "stride": stride, "groups": 3}
            y = fastconv.conv2d(x, weight, **given)
            assert_bits_equal(y, reference.conv2d(x, weight, **right))
            dy = integers(y.shape, dtype)
            dx, _, _ = fastconv.conv2d_backward(dy, x, weight, **given)
            assert_bits_equal(dx, reference.conv2d_backward(dy, x, weight, **right)[0])
            weight[1, 0, 0, -1] = np.inf  # the padding's zeros must not meet it
            x[0, 0, -1, 0] = np.nan
            y = fastconv.conv2d(x, weight, **given)
            np.testing.assert_array_equal(y, reference.conv2d(x, weight, **right))


@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (1, 3), (3, 5)])
@pytest.mark.parametrize("padding", [0, 1, 2, (5, 1)])
def test_tiles_of_every_width_equal_the_reference(padding, kernel, integers):
    """Widths around every tile, whose pixels miss taps at both ends, at one or at none; rows
    of the last padding see no tap; filters that need one vector of a panel, or two."""
    lanes = kernels.lanes(np.dtype("float32"))
    for width in range(5, 34):
        for filters in (lanes // 2, lanes):
            x = integers((1, 5, 4, width))
            weight = integers((filters, 5, *kernel))
            bias = integers(filters)
            y = fastconv.conv2d(x, weight, bias, algorithm="direct", padding=padding)
            assert_bits_equal(y, reference.conv2d(x, weight, bias, padding=padding))
