"""im2col and col2im, the book's two functions, against the reference and each other."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import fastconv
from fastconv import reference, threads
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
# (N, C, H, W), (filter_h, filter_w), stride, pad
CASES = [
    ((10, 3, 7, 7), (5, 5), 1, 0),
    ((2, 3, 8, 9), (3, 3), 1, 1),
    ((2, 3, 8, 9), (3, 2), 2, 1),
    ((1, 1, 5, 5), (1, 1), 1, 0),
    ((2, 4, 6, 6), (1, 1), 2, 0),
    ((1, 2, 11, 4), (4, 3), 3, 2),
    ((2, 2, 3, 3), (2, 2), 1, 3),  # windows wholly in the padding
    ((2, 2, 5, 6), (5, 6), 1, 0),
    ((1, 3, 1, 33), (1, 7), 1, 0),
    ((1, 3, 23, 23), (7, 7), 2, 3),
    ((0, 3, 7, 7), (3, 3), 1, 0),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "kernel", "stride", "pad"), CASES)
def test_both_equal_the_reference(shape, kernel, stride, pad, dtype, integers):
    x = integers(shape, dtype)
    col = fastconv.im2col(x, *kernel, stride, pad)
    assert_bits_equal(col, reference.im2col(x, *kernel, stride, pad))
    v = integers(col.shape, dtype)
    image = fastconv.col2im(v, shape, *kernel, stride, pad)
    assert_bits_equal(image, reference.col2im(v, shape, *kernel, stride, pad))
    assert np.count_nonzero(image) >= image.size * 0.2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [*range(3, 20), 31, 32, 33, 34, 35, 66])
def test_every_tail_of_the_width(width, dtype, integers):
    for kernel, stride, pad in (((3, 3), 1, 1), ((2, 3), 2, 0), ((1, 1), 1, 0)):
        x = integers((2, 2, 4, width), dtype)
        col = fastconv.im2col(x, *kernel, stride, pad)
        assert_bits_equal(col, reference.im2col(x, *kernel, stride, pad))
        image = fastconv.col2im(col, x.shape, *kernel, stride, pad)
        assert_bits_equal(image, reference.col2im(col, x.shape, *kernel, stride, pad))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", range(1, 19))
def test_runs_of_every_length(columns, dtype, integers):
    """From rows that have room for whole loads, and from maps that end with the last window."""
    for rows, stride, pad in ((1, 1, 0), (2, 3, 2), (3, 1, 1), (5, 2, 4)):
        for width in (columns, columns + 1, columns + 17, 40):
            x = integers((2, 3, 6, width), dtype)
            col = fastconv.im2col(x, rows, columns, stride, pad)
            assert_bits_equal(col, reference.im2col(x, rows, columns, stride, pad))


@pytest.mark.parametrize("columns", [2, 3, 5, 7, 9])
def test_views_are_unfolded_as_their_copies(columns, integers):
    whole = integers((3, 4, 12, 23))
    views = [
        whole[..., 2:-3],
        whole[:, 1:3, 3:, :],
        whole[::-1],
        whole[:, ::-1, ::-1],
        whole[..., ::-1],
        whole[..., ::2],
        whole.transpose(0, 1, 3, 2),
        whole.transpose(2, 0, 1, 3),
        np.broadcast_to(whole[:, :1], whole.shape),
    ]
    for x in views:
        for pad in (0, 2):
            col = fastconv.im2col(x, 3, columns, 1, pad)
            assert_bits_equal(col, fastconv.im2col(x.copy(), 3, columns, 1, pad))
            assert_bits_equal(col, reference.im2col(x, 3, columns, 1, pad))


@pytest.mark.parametrize(("shape", "kernel", "stride", "pad"), CASES[:-1])
def test_each_is_the_adjoint_of_the_other(shape, kernel, stride, pad, integers):
    """<v, im2col(x)> = <col2im(v), x>, exactly: all products and sums are whole numbers."""
    x = integers(shape, "float64")
    col = fastconv.im2col(x, *kernel, stride, pad)
    v = integers(col.shape, "float64")
    assert np.vdot(v, col) == np.vdot(fastconv.col2im(v, shape, *kernel, stride, pad), x)


def test_generated_geometries(rng, integers):
    for number in range(300):
        kernel, stride, pad = (*map(int, rng.integers(1, 6, 2)),), *map(int, rng.integers(1, 4, 2))
        size = (max(1, k - 2 * pad) + int(rng.integers(0, 20)) for k in kernel)
        shape = (*map(int, rng.integers(1, 4, 2)), *size)
        x = integers(shape, DTYPES[number % 2])
        col = fastconv.im2col(x, *kernel, stride, pad)
        assert_bits_equal(col, reference.im2col(x, *kernel, stride, pad))
        v = integers(col.shape, x.dtype.name)
        image = fastconv.col2im(v, shape, *kernel, stride, pad)
        assert_bits_equal(image, reference.col2im(v, shape, *kernel, stride, pad))
        assert np.vdot(v.astype(float), col) == np.vdot(image.astype(float), x)


def test_columns_are_ordered_by_channel_row_and_column():
    x = np.arange(18, dtype=np.float32).reshape(1, 2, 3, 3)
    col = fastconv.im2col(x, 2, 2)
    assert col[0].tolist() == [0, 1, 3, 4, 9, 10, 12, 13]
    assert col[:, 0].tolist() == [0, 1, 3, 4]


def test_signatures_are_the_books():
    expected = "(input_data, filter_h, filter_w, stride=1, pad=0)"
    names = [
        str(parameter.replace(annotation=parameter.empty))
        for parameter in inspect.signature(fastconv.im2col).parameters.values()
    ]
    assert "({})".format(", ".join(names)) == expected
    names = list(inspect.signature(fastconv.col2im).parameters)
    assert names == ["col", "input_shape", "filter_h", "filter_w", "stride", "pad"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, 9, 15, 16, 17, 33, 64])
def test_one_by_one_transposes(channels, dtype, integers):
    for shape in (
        (2, channels, 3, 5),
        (1, channels, 4, 4),
        (1, channels, 1, 1),
        (2, channels, 5, 7),
    ):
        x = integers(shape, dtype) * x_sign(shape)
        col = fastconv.im2col(x, 1, 1)
        assert_bits_equal(col, x.transpose(0, 2, 3, 1).reshape(-1, channels).copy())
        cropped = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 3)))[..., :-3]
        assert_bits_equal(fastconv.im2col(cropped, 1, 1), col)
        image = fastconv.col2im(col, shape, 1, 1)
        assert_bits_equal(image, reference.col2im(col, shape, 1, 1))
        assert not np.signbit(image[image == 0]).any()  # a sum of one, which begins at +0


def x_sign(shape):
    """1 and -1 in turn, so that zeros have both signs."""
    return np.where(np.arange(np.prod(shape)) % 2, -1, 1).reshape(shape).astype(np.int8)


def test_one_by_one_is_a_copy(integers):
    """What is returned never shares memory with the input."""
    x = integers((1, 1, 4, 4))
    col = fastconv.im2col(x, 1, 1)
    assert not np.shares_memory(col, x)
    assert not np.shares_memory(fastconv.col2im(col, x.shape, 1, 1), col)


def fold_tap_by_tap(col, shape, kernel, pad):
    """Return what `col2im` does with stride 1, an addition after the other."""
    (n, c, h, w), (rows, columns) = shape, kernel
    height, width = h + 2 * pad - rows + 1, w + 2 * pad - columns + 1
    taps = col.reshape(n, height, width, c, rows, columns).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), col.dtype)
    for r in range(rows):
        for s in range(columns):
            padded[:, :, r : r + height, s : s + width] += taps[:, :, r, s]
    return padded[:, :, pad : pad + h, pad : pad + w].copy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", range(1, 10))
@pytest.mark.parametrize("rows", range(1, 9))
def test_taps_are_added_in_their_order(rows, columns, dtype, normal):
    """On data that would show another order; each kernel row has a sum of its own, or none has."""
    for n, c, h, w in ((1, 70, 9, 9), (2, 3, 12, 29), (17, 1, 8, 10)):
        for pad in (0, 1, 9):
            height, width = h + 2 * pad - rows + 1, w + 2 * pad - columns + 1
            col = normal((n * height * width, c * rows * columns), dtype)
            image = fastconv.col2im(col, (n, c, h, w), rows, columns, 1, pad)
            assert_bits_equal(image, fold_tap_by_tap(col, (n, c, h, w), (rows, columns), pad))


@pytest.mark.parametrize("width", [1300, 1400, 4100])
def test_lines_longer_than_their_room(width, normal):
    """Three rows of the widest maps do not fit: the sums are the same."""
    shape = (1, 2, 5, width)
    col = normal((5 * width, 18))
    image = fastconv.col2im(col, shape, 3, 3, 1, 1)
    assert_bits_equal(image, fold_tap_by_tap(col, shape, (3, 3), 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0])
def test_what_is_no_number_falls_on_its_place_alone(value, integers):
    shape = (2, 3, 9, 21)
    for kernel, pad in (((3, 3), 1), ((5, 4), 0), ((2, 7), 3)):
        height, width = 9 + 2 * pad - kernel[0] + 1, 21 + 2 * pad - kernel[1] + 1
        col = integers((2 * height * width, 3 * kernel[0] * kernel[1]), "float32")
        if value == 0:
            col[...] = value  # which is added to 0
        else:
            col[height * width // 2, 3::5] = value
        image = fastconv.col2im(col, shape, *kernel, 1, pad)
        right = fold_tap_by_tap(col, shape, kernel, pad)
        np.testing.assert_array_equal(image, right)
        assert value == 0 or 0 < (~np.isfinite(image)).sum() <= kernel[0] * kernel[1] * 3
        assert not np.signbit(image[image == 0]).any()


def test_images_and_channels_do_not_see_each_other(normal, monkeypatch):
    """However the work is shared and cut."""
    shape = (3, 37, 15, 22)
    col = normal((3 * 15 * 22, 37 * 9))
    image = fastconv.col2im(col, shape, 3, 3, 1, 1)
    few = col.reshape(3, 15 * 22, 37, 9)[1:2, :, 5:9].reshape(15 * 22, 36)
    assert_bits_equal(fastconv.col2im(few, (1, 4, 15, 22), 3, 3, 1, 1), image[1:2, 5:9].copy())
    monkeypatch.setattr(threads, "SMALL_WORK", 0)
    monkeypatch.setattr(threads, "slice_work", 20000)
    for count in (1, 3):
        monkeypatch.setattr(threads, "_chosen", count)
        assert_bits_equal(fastconv.col2im(col, shape, 3, 3, 1, 1), image)
