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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", [1, 7, 16, 33, 128, 129])
def test_1x1_inputs_equal_the_reference(filters, dtype, integers):
    """Around the most filters that are read in place, on maps that do and do not fill vectors."""
    for channels, (height, width) in ((3, (10, 11)), (20, (13, 17)), (40, (8, 12)), (9, (16, 18))):
        for groups in (1, 2):
            x = integers((2, groups * channels, height, width), dtype)
            weight = integers((groups * filters, channels, 1, 1), dtype)
            backward(x, weight, {"groups": groups, "dilation": 2})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stride", [2, (1, 3), (3, 1)])
def test_strided_1x1_inputs_equal_the_reference(stride, dtype, integers):
    """Where planes are large, results are scattered: tails of vectors, of panels and of blocks."""
    for channels, filters, (height, width) in ((20, 70, (45, 37)), (37, 300, (40, 41))):
        x = integers((2, channels, height, width), dtype)
        backward(x, integers((filters, channels, 1, 1), dtype), {"stride": stride})


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("taps", [3, 5])
def test_stride_2_of_planes_equals_the_reference(taps, odd, integers):
    vector = max(kernels.lanes(np.dtype("float32")) // 2, 2)  # the least map holds a window
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", [9, 40, 400, 801])
def test_1x1_weights_in_strips_equal_the_reference(filters, dtype, integers):
    lanes = kernels.lanes(np.dtype(dtype))
    for channels in (8 * lanes, 8 * lanes + 1, 17 * lanes - lanes // 2):
        x = integers((2, channels, 3, 5), dtype)
        backward(x, integers((filters, channels, 1, 1), dtype), {})


def test_1x1_weights_of_maps_that_are_no_rows_equal_the_reference(integers):
    lanes = kernels.lanes(np.dtype("float32"))
    x = integers((2, 2 * lanes + 3, 13, 40))
    weight = integers((20, 2 * lanes + 3, 1, 1))
    for view in (x[:, :, ::2], x[..., 1::3], x.transpose(0, 1, 3, 2)):
        backward(view, weight, {})


# H and W of x, the kernel, and the other options
FEW = {
    "in place": ((12, 19), (5, 5), {}),
    "in place, strides and dilation": ((12, 19), (2, 3), {"stride": (2, 3), "dilation": (3, 2)}),
    "padding": ((11, 28), (3, 3), {"padding": 1}),
    "padding on one side": ((11, 13), (3, 4), {"padding": ((2, 0), (0, 3))}),
    "a stem": ((30, 41), (7, 7), {"stride": 2, "padding": 3}),
    "padding, dilation": ((9, 23), (3, 3), {"padding": 4, "dilation": 2}),
    "rows of several chunks": ((4, 300), (3, 3), {"padding": 1}),
    "a chunk of several rows and the rest": ((10, 31), (3, 3), {"padding": 1}),
    "windows larger than the map": ((3, 2), (5, 5), {"padding": 3}),
    "one pixel": ((1, 1), (3, 3), {"padding": 1}),
    "a strip that is too large": ((9, 700), (9, 9), {"padding": 4, "stride": (1, 5)}),
    "more taps than a strip has": ((30, 30), (23, 23), {"padding": 1}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", FEW)
def test_weights_of_few_channels_equal_the_reference(case, dtype, integers):
    (height, width), kernel, options = FEW[case]
    lanes = kernels.lanes(np.dtype(dtype))
    for channels, filters, groups in (
        (1, lanes, 1),
        (3, lanes + 3, 1),
        (4, 2 * lanes + 1, 1),
        (4, 2 * lanes, 2),
    ):
        x = integers((2, channels, height, width), dtype)
        weight = integers((filters, channels // groups, *kernel), dtype)
        backward(x, weight, options | {"groups": groups})


def test_weights_of_few_channels_of_any_layout_equal_the_reference(integers):
    x, weight = integers((2, 3, 26, 40)), integers((20, 3, 3, 3))
    for view in (x[:, :, ::2], x[..., 1::2], x.transpose(0, 1, 3, 2), x[:, ::-1]):
        for padding in (0, 1):
            backward(view, weight, {"padding": padding})


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("padding", [0, 1])
def test_what_is_not_finite_beside_few_channels(padding, value, integers):
    x, weight = integers((2, 2, 9, 30)), integers((20, 2, 3, 3))
    for which, at in (("dy", (1, 3, 0, 0)), ("x", (0, 1, 8, 29)), ("dy", (0, 19, 4, 9))):
        dy = integers(reference.conv2d(x, weight, padding=padding).shape)
        given = {"x": x.copy(), "dy": dy}
        given[which][at] = value
        options = {"padding": padding, "needs": ("weight",)}
        found = fastconv.conv2d_backward(
            given["dy"], given["x"], weight, algorithm="direct", **options
        )[1]
        right = reference.conv2d_backward(given["dy"], given["x"], weight, padding=padding)[1]
        np.testing.assert_array_equal(found, right, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (1, ((0, 3), (1, 0))), (7, 3)])
def test_weights_have_one_order_beside_the_padding(kernel, padding, dtype, normal):
    """A kernel row may see nothing of the rows that are added last: their zeros begin the sum."""
    for height, width in ((32, 32), (31, 30), (32, 29), (29, 32), (40, 13), (9, 60), (7, 130)):
        for channels, filters in ((1, 3), (3, 2), (16, 17), (5, 40)):
            x = normal((2, channels, height, width), dtype)
            weight = normal((filters, channels, kernel, kernel), dtype)
            dy = np.cos(fastconv.conv2d(x, weight, padding=padding))
            given = {"needs": ("weight",), "padding": padding}
            direct, *others = (
                fastconv.conv2d_backward(dy, x, weight, algorithm=name, **given)[1]
                for name in ("direct", "im2col", "im2col_tiled")
            )
            for other in others:
                assert_bits_equal(direct, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((1, 3, 90, 130), (70, 3, 3, 3), {"padding": 1}),
        ((40, 1, 28, 28), (30, 1, 5, 5), {}),
        ((3, 2, 60, 61), (9, 2, 7, 7), {"stride": 2, "padding": 3}),
        ((2, 300, 14, 14), (500, 300, 1, 1), {}),
        ((40, 17, 20, 20), (33, 17, 1, 1), {}),
    ],
)
def test_weights_do_not_depend_on_threads(shape, weight, options, dtype, normal):
    x, w = normal(shape, dtype), np.zeros(weight, dtype)
    dy = normal(fastconv.conv2d(x, w, **options).shape, dtype)
    options = options | {"needs": ("weight",), "algorithm": "direct"}
    try:
        fastconv.set_num_threads(1)
        right = fastconv.conv2d_backward(dy, x, w, **options)[1]
        for count in (2, 3, 16, 64):
            fastconv.set_num_threads(count)
            assert_bits_equal(fastconv.conv2d_backward(dy, x, w, **options)[1], right)
    finally:
        fastconv.set_num_threads(None)


# H and W of x, the kernel, and the other options
BANDS = {
    "usual": ((9, 29), (3, 3), {"padding": 1}),
    "rows of whole vectors": ((6, 16), (3, 3), {"padding": 1}),
    "five": ((12, 14), (5, 5), {"padding": 2}),
    "five, stride 2": ((21, 24), (5, 5), {"padding": 2, "stride": 2}),
    "three, stride 2": ((20, 37), (3, 3), {"padding": 1, "stride": 2}),
    "three, padding on one side": ((20, 36), (3, 3), {"padding": ((0, 1), (0, 1)), "stride": 2}),
    "stride 3": ((22, 31), (4, 5), {"padding": 2, "stride": 3}),
    "stride 4": ((30, 33), (3, 3), {"padding": 1, "stride": 4}),
    "strides": ((17, 40), (3, 3), {"padding": (2, 1), "stride": (1, 2)}),
    "other strides": ((17, 40), (3, 3), {"padding": (2, 1), "stride": (2, 1)}),
    "dilation": ((21, 30), (3, 3), {"padding": 4, "dilation": (2, 3)}),
    "dilation and strides": ((21, 50), (3, 3), {"padding": 1, "dilation": 3, "stride": 2}),
    "a window without padding": ((8, 11), (2, 2), {}),
    "seven": ((14, 19), (7, 7), {"padding": 3}),
    "a row": ((4, 50), (1, 5), {"padding": (0, 2)}),
    "a column": ((50, 4), (5, 1), {"padding": (2, 0)}),
    "much padding": ((3, 4), (9, 11), {"padding": (8, 10)}),
    "much padding, stride 2": ((5, 3), (9, 11), {"padding": (8, 10), "stride": 2}),
    "several bands": ((90, 120), (3, 3), {"padding": 1}),
    "several bands, stride 2": ((130, 91), (5, 5), {"padding": 2, "stride": 2}),
    "rows too long for a band": ((4, 3100), (3, 3), {"padding": 1}),
    "three, much padding": ((5, 30), (3, 3), {"padding": (3, 21)}),
    "three, much padding, stride 2": ((6, 31), (3, 3), {"padding": (3, 40), "stride": 2}),
    "three, several blocks": ((11, 203), (3, 3), {"padding": 1}),
    "three, several blocks, stride 2": ((22, 406), (3, 3), {"padding": (0, 1), "stride": 2}),
    "one pixel": ((1, 1), (3, 3), {"padding": 1}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", BANDS)
def test_weights_of_planes_equal_the_reference(case, dtype, integers):
    (height, width), kernel, options = BANDS[case]
    for channels, filters, groups in ((3, 3, 3), (4, 2, 2), (2, 4, 2)):
        x = integers((2, channels, height, width), dtype)
        weight = integers((filters, channels // groups, *kernel), dtype)
        backward(x, weight, options | {"groups": groups})


def test_weights_of_planes_of_any_layout_have_the_same_bits(normal):
    w = np.zeros((3, 1, 3, 3), np.float32)
    wide_maps = ((6, 203, {}), (9, 399, {"stride": 2}))
    for height, width, options in ((20, 44, {}), (21, 43, {"stride": 2}), (7, 7, {}), *wide_maps):
        x = normal((2, 3, height, width))
        options = options | {"padding": 1, "groups": 3, "needs": ("weight",)}
        dy = normal(
            fastconv.conv2d(x, w, groups=3, padding=1, stride=options.get("stride", 1)).shape
        )
        right = fastconv.conv2d_backward(dy, x, w, **options)[1]
        wide = np.zeros((2, 3, 2 * height, 2 * width), np.float32)
        wide[:, :, ::2, ::2] = x
        turned = np.ascontiguousarray(x.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
        flipped = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
        for view in (wide[:, :, ::2, ::2], turned, flipped):
            assert_bits_equal(fastconv.conv2d_backward(dy, view, w, **options)[1], right)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_not_finite_beside_the_padding_of_planes(stride, value, integers):
    options = {"padding": 1, "stride": stride, "groups": 3}
    x, weight = integers((2, 3, 20, 31)), integers((3, 1, 3, 3))
    shape = reference.conv2d(x, weight, **options).shape
    for which, at in (
        ("dy", (1, 2, 0, 0)),
        ("dy", (0, 1, -1, -1)),
        ("x", (0, 0, 0, 30)),
        ("x", (1, 1, 19, 0)),
    ):
        given = {"x": x.copy(), "dy": integers(shape)}
        given[which][at] = value
        found = fastconv.conv2d_backward(given["dy"], given["x"], weight, **options)[1]
        right = reference.conv2d_backward(given["dy"], given["x"], weight, **options)[1]
        np.testing.assert_array_equal(found, right, strict=True)


@pytest.mark.parametrize("stride", [1, 2])
def test_weights_of_planes_do_not_depend_on_what_lay_in_their_place(stride, normal):
    options = {"padding": 2, "stride": stride, "groups": 3, "needs": ("weight",)}
    w = np.zeros((3, 1, 5, 5), np.float32)
    for size in (9, 16, 21, 40):
        x = normal((2, 3, size, size + 1))
        dy = normal(fastconv.conv2d(x, w, padding=2, stride=stride, groups=3).shape)
        right = fastconv.conv2d_backward(dy, x, w, **options)[1]
        broken = np.full((1, 3, 60, 60), np.nan, np.float32)
        fastconv.conv2d_backward(broken, broken, w, padding=2, groups=3, needs=("weight",))
        assert_bits_equal(fastconv.conv2d_backward(dy, x, w, **options)[1], right)
