"""Maximum and average pooling against the reference: forward, backward, indices."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from fuzzing.geometries import draw_pooling

import fastconv
from fastconv import functional, kernels, reference, threads
from fastconv.functional import pooling
from fastconv.testing import assert_bits_equal

DTYPES = ["float32", "float64"]
WIDTHS = [*range(2, 20), 27, 28, 29, 31, 32, 33, 34, 35, 63, 64, 65]
# pool_size and the other options; those with a dilation are for the maximum alone
WINDOWS = [
    (2, {}),
    (3, {"stride": 2, "padding": 1}),
    (3, {"stride": 1, "padding": 1}),
    ((2, 3), {"stride": (1, 2), "padding": ((0, 1), (2, 0))}),
    ((1, 2), {"stride": (3, 1)}),
    (2, {"stride": 2, "padding": 1, "ceil_mode": True}),
    (3, {"stride": 2, "ceil_mode": True}),
    (3, {"stride": 3, "padding": 2}),  # more than half of the window
    (2, {"padding": "same"}),
    (3, {"padding": "same", "stride": 2}),
    (2, {"padding": "valid"}),
    ((4, 5), {"stride": (2, 3), "padding": (2, 2)}),
]
DILATED = [
    (2, {"dilation": 2}),
    ((3, 2), {"dilation": (1, 3), "stride": 1, "padding": (1, 2)}),
    (2, {"dilation": 3, "ceil_mode": True, "padding": 1}),
]


def check_max(x, pool_size, options, integers):
    y, indices = fastconv.max_pool2d(x, pool_size, **options, return_indices=True)
    right, places = reference.max_pool2d(x, pool_size, **options, return_indices=True)
    assert_bits_equal(y, right)
    assert_bits_equal(indices, places)
    assert_bits_equal(fastconv.max_pool2d(x, pool_size, **options), right)
    dy = integers(y.shape, x.dtype.name)
    expected = reference.max_pool2d_backward(dy, places, x.shape)
    assert np.count_nonzero(expected)
    assert_bits_equal(fastconv.max_pool2d_backward(dy, indices, x.shape), expected)
    # what a layer keeps for training: the place in the window
    y, argmax = functional.max_pool2d_argmax(x, pool_size, **options)
    assert argmax.dtype == np.uint8
    assert_bits_equal(y, right)
    dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, pool_size, **options)
    assert_bits_equal(dx, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "options"), WINDOWS + DILATED)
def test_max_pool2d_equals_the_reference(pool_size, options, dtype, integers):
    check_max(integers((2, 3, 9, 11), dtype, 3), pool_size, options, integers)  # full of ties


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_max_pool2d_of_every_tail(width, dtype, integers):
    for pool_size, options in (*WINDOWS[:3], *WINDOWS[5 : 6 if width < 3 else 7]):
        check_max(integers((1, 2, 6, width), dtype, 9), pool_size, options, integers)


@pytest.mark.parametrize("seed", range(6))
def test_generated_geometries(seed, integers):
    rng = np.random.default_rng(seed)
    for number in range(100):
        size, pool_size, options = draw_pooling(rng)
        x = integers((2, 3, *size), DTYPES[number % 2], 3)
        check_max(x, pool_size, options, integers)
        if options.pop("dilation") == (1, 1):
            options["count_include_pad"] = bool(rng.integers(2))
            y = fastconv.avg_pool2d(x, pool_size, **options)
            assert_bits_equal(y, reference.avg_pool2d(x, pool_size, **options))
            dy = integers(y.shape, x.dtype.name) * x.dtype.type(math.lcm(*range(1, 6)) ** 2)
            dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
            assert_bits_equal(dx, reference.avg_pool2d_backward(dy, x.shape, pool_size, **options))


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "options"), WINDOWS)
def test_avg_pool2d_equals_the_reference(pool_size, options, dtype, count_include_pad, integers):
    options = {**options, "count_include_pad": count_include_pad}
    x = integers((2, 3, 9, 11), dtype, 9)
    y = fastconv.avg_pool2d(x, pool_size, **options)
    assert_bits_equal(y, reference.avg_pool2d(x, pool_size, **options))
    assert np.count_nonzero(y) > y.size / 2
    # A multiple of every possible count, so that the shares are whole and their sums exact.
    dy = integers(y.shape, dtype) * x.dtype.type(math.lcm(*range(1, 6)) ** 2)
    dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
    assert_bits_equal(dx, reference.avg_pool2d_backward(dy, x.shape, pool_size, **options))


# Windows whose maxima are taken rows first, then columns, in bands of a map; with the winners' taps
# those of at least twice as many taps as rows and columns
LARGE = [
    (5, {"stride": 1, "padding": 2}),
    (9, {"stride": 1, "padding": 4}),
    ((13, 4), {"stride": 1, "padding": (6, 0)}),
    (6, {"stride": 2}),
    ((1, 7), {"stride": (1, 2), "padding": (0, 3)}),
    ((7, 1), {"stride": (3, 1)}),
    (3, {"stride": 1, "padding": 2, "dilation": 2}),
    ((5, 4), {"stride": (4, 2), "ceil_mode": True}),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pool_size", "options"), LARGE)
def test_maxima_of_large_windows(pool_size, options, dtype, integers, rng):
    """Also of ties of zeros with a sign, of NaN here and there, and of what is not finite."""
    for height, width in ((14, 13), (21, 40), (50, 131), (13, 700)):
        x = integers((2, 2, height, width), dtype, 3)
        x[x == 1] = -0.0
        x[0, 1][rng.random((height, width)) < 0.002] = np.nan
        x[1, 0][rng.random((height, width)) < 0.5] = -np.inf
        x[1, 1, height // 2] = np.inf
        y = fastconv.max_pool2d(x, pool_size, **options)
        right, places = reference.max_pool2d(x, pool_size, **options, return_indices=True)
        numbers = ~np.isnan(right)
        np.testing.assert_array_equal(y, right)
        assert_bits_equal(np.signbit(y[numbers]), np.signbit(right[numbers]))
        y, indices = fastconv.max_pool2d(x, pool_size, **options, return_indices=True)
        np.testing.assert_array_equal(y, right)
        assert_bits_equal(np.signbit(y[numbers]), np.signbit(right[numbers]))
        assert_bits_equal(indices, places)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_avg_pool2d_of_every_tail(width, dtype, integers):
    for pool_size, options in (*WINDOWS[:3], *WINDOWS[5 : 6 if width < 3 else 7]):
        x = integers((1, 2, 6, width), dtype, 9)
        y = fastconv.avg_pool2d(x, pool_size, **options)
        assert_bits_equal(y, reference.avg_pool2d(x, pool_size, **options))
        dy = integers(y.shape, dtype) * x.dtype.type(36)
        dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, **options)
        assert_bits_equal(dx, reference.avg_pool2d_backward(dy, x.shape, pool_size, **options))


@pytest.mark.parametrize("width", [5, 9, 17, 34])
@pytest.mark.parametrize(("pool_size", "options"), [*WINDOWS[:3], DILATED[0]])
def test_the_first_nan_wins(pool_size, options, width, integers, rng):
    x = integers((3, 2, 8, width), "float32", 3)
    x[rng.random(x.shape) < 0.15] = np.nan
    x[rng.random(x.shape) < 0.15] = -np.inf
    x[rng.random(x.shape) < 0.05] = np.inf
    y, indices = fastconv.max_pool2d(x, pool_size, **options, return_indices=True)
    right, places = reference.max_pool2d(x, pool_size, **options, return_indices=True)
    np.testing.assert_array_equal(y, right)
    assert_bits_equal(indices, places)
    np.testing.assert_array_equal(fastconv.max_pool2d(x, pool_size, **options), right)
    assert 0.1 < np.isnan(y).mean() < 0.95


@pytest.mark.parametrize("width", [4, 8, 16, 32, 66])
def test_a_window_of_minus_infinities_has_a_valid_index(width):
    x = np.full((1, 1, 6, width), -np.inf, np.float32)
    for options in ({"stride": 2}, {"stride": 2, "padding": 1}, {"stride": 1, "padding": 1}):
        y, indices = fastconv.max_pool2d(x, 3, **options, return_indices=True)
        assert_bits_equal(y, np.full(y.shape, -np.inf, np.float32))
        assert_bits_equal(indices, reference.max_pool2d(x, 3, **options, return_indices=True)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (2, 2), (5, 7), (17, 34)])
def test_gradients_are_added_to_zero(shape, dtype):
    """So a gradient of -0.0 gives 0.0, also where one window is the whole map."""
    x = np.zeros((2, 3, *shape), dtype)
    sizes = [(rows, columns) for rows in (1, 2, 3, 5, 17) for columns in (1, 2, 3, 7, 34)]
    fitting = [size for size in sizes if size[0] <= shape[0] and size[1] <= shape[1]]
    assert (1, 1) in fitting and shape in fitting
    for pool_size, stride in itertools.product(fitting, (1, 2, 3, 5)):
        dy = np.negative(np.zeros_like(fastconv.avg_pool2d(x, pool_size, stride=stride)))
        dx = fastconv.avg_pool2d_backward(dy, x.shape, pool_size, stride=stride)
        assert_bits_equal(dx, x)
        _, indices = fastconv.max_pool2d(x, pool_size, stride=stride, return_indices=True)
        assert_bits_equal(fastconv.max_pool2d_backward(dy, indices, x.shape), x)
        _, argmax = functional.max_pool2d_argmax(x, pool_size, stride=stride)
        dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, pool_size, stride=stride)
        assert_bits_equal(dx, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pool_size", [2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_gradients_of_long_rows(padding, pool_size, dtype, integers):
    """Rows are gathered in stripes of 1024 columns, the last of which may reach over its end."""
    for width in (67, 81, 100, 129, 140, 1023, 1024, 1025, 1030, 2047, 2048, 2049, 2075):
        x = integers((5, 1, 5, width), dtype)
        options = {"stride": 2, "padding": padding}
        y, indices = fastconv.max_pool2d(x, pool_size, **options, return_indices=True)
        dy = integers(y.shape, dtype)
        dx = fastconv.max_pool2d_backward(dy, indices, x.shape)
        _, argmax = functional.max_pool2d_argmax(x, pool_size, **options)
        right = reference.avg_pool2d_backward(36 * dy, x.shape, pool_size, **options)
        for count in (1, 3):
            fastconv.set_num_threads(count)
            try:
                gathered = functional.max_pool2d_argmax_backward(
                    dy, argmax, x.shape, pool_size, **options
                )
                shared = fastconv.avg_pool2d_backward(36 * dy, x.shape, pool_size, **options)
            finally:
                fastconv.set_num_threads(None)
            assert_bits_equal(gathered, dx)
            assert_bits_equal(shared, right)


@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0)])
@pytest.mark.parametrize("width", [2, 16, 34])
@pytest.mark.parametrize("pool_size", [2, (2, 1), (1, 2)])
def test_the_first_of_two_zeros_wins(pool_size, width, zeros):
    """+0 and -0 are equal, so the one that stands first is the maximum, sign and all."""
    x = np.full((1, 1, 2, width), -1, np.float32)
    first, second = np.array(zeros, np.float32)
    place = {2: (1, 0), (2, 1): (1, 0), (1, 2): (0, 1)}[pool_size]
    x[0, 0, 0, 0::2], x[0, 0, place[0], place[1] :: 2] = first, second
    y, indices = fastconv.max_pool2d(x, pool_size, return_indices=True)
    right, places = reference.max_pool2d(x, pool_size, return_indices=True)
    assert_bits_equal(y, right)
    assert_bits_equal(indices, places)
    assert np.signbit(y[0, 0, 0, 0]) == np.signbit(first)
    assert_bits_equal(fastconv.max_pool2d(x, pool_size), right)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_padding_never_wins(value):
    x = np.full((1, 1, 4, 4), value, np.float32)
    y = fastconv.max_pool2d(x, 3, stride=1, padding=1)
    assert_bits_equal(y, x)
    np.testing.assert_array_equal(fastconv.avg_pool2d(x, 3, stride=1, padding=1), x)


def test_ceil_mode_drops_a_window_that_starts_in_the_padding():
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)  # 1 2 3 / 4 5 6 / 7 8 9
    options = {"stride": 2, "padding": 1, "ceil_mode": True}
    assert fastconv.max_pool2d(x, 2, **options)[0, 0].tolist() == [[1, 3], [7, 9]]
    assert fastconv.avg_pool2d(x, 2, **options)[0, 0].tolist() == [[1, 2.5], [5.5, 7]]
    wide = fastconv.max_pool2d(x, 2, stride=2, ceil_mode=True)
    assert wide[0, 0].tolist() == [[5, 6], [8, 9]]
    mean = fastconv.avg_pool2d(x, 2, stride=2, ceil_mode=True, count_include_pad=True)
    assert mean[0, 0].tolist() == [[3, 4.5], [7.5, 9]]  # what ceil_mode adds is not counted


def test_the_largest_dilation_of_one_tap_reads_the_input(integers):
    x = integers((1, 2, 5, 5))
    assert_bits_equal(fastconv.max_pool2d(x, 1, dilation=2**31 - 1), x)


def test_a_window_of_more_than_256_cells(integers, rng):
    x = rng.permutation(40 * 41).reshape(1, 1, 40, 41).astype(np.float32)
    y, argmax = functional.max_pool2d_argmax(x, 17, stride=5)
    assert argmax.dtype == np.int32
    right, places = reference.max_pool2d(x, 17, stride=5, return_indices=True)
    assert_bits_equal(y, right)
    dy = integers(y.shape)
    dx = functional.max_pool2d_argmax_backward(dy, argmax, x.shape, 17, stride=5)
    assert_bits_equal(dx, reference.max_pool2d_backward(dy, places, x.shape))
    assert functional.max_pool2d_argmax(x, 16)[1].dtype == np.uint8


@pytest.mark.parametrize("at_once", [1, 8, 17, 100])
def test_flat_indices_are_the_same_however_they_are_cut(at_once, rng, monkeypatch):
    monkeypatch.setattr(pooling, "INDICES_AT_ONCE", at_once)
    x = rng.standard_normal((2, 3, 10, 11))
    options = {"stride": (2, 1), "padding": 1, "dilation": 2}
    _, indices = fastconv.max_pool2d(x, 3, **options, return_indices=True)
    assert_bits_equal(indices, reference.max_pool2d(x, 3, **options, return_indices=True)[1])


def test_many_windows_make_parts_for_ctrl_c(monkeypatch):
    parts = []
    monkeypatch.setattr(threads, "slice_work", 3_000_000)
    monkeypatch.setattr(
        kernels, "module", lambda dtype: SimpleNamespace(max_pool2d=lambda *a: parts.append(a[-2]))
    )
    fastconv.max_pool2d(np.zeros((1, 1, 140, 140), np.float32), 5, stride=1)
    assert parts[0] == -(-(136**2 * (8 * 25 + threads.MOVE)) // 3_000_000)


@pytest.mark.parametrize("pool", ["max_pool2d", "avg_pool2d"])
def test_out_is_filled_and_returned(pool, integers):
    x = integers((2, 3, 9, 20))
    out = np.full((2, 3, 4, 10), np.nan, np.float32)
    assert getattr(fastconv, pool)(x, 2, out=out) is out
    assert_bits_equal(out, getattr(reference, pool)(x, 2))


@pytest.mark.parametrize("pool", ["max_pool2d", "avg_pool2d"])
def test_an_empty_batch_stays_empty(pool):
    x = np.zeros((0, 3, 8, 8), np.float32)
    assert getattr(fastconv, pool)(x, 2).shape == (0, 3, 4, 4)
    dx = fastconv.avg_pool2d_backward(np.zeros((0, 3, 4, 4), np.float32), x.shape, 2)
    assert dx.shape == x.shape
    indices = np.zeros((0, 3, 4, 4), np.int64)
    dx = fastconv.max_pool2d_backward(np.zeros((0, 3, 4, 4), np.float32), indices, x.shape)
    assert dx.shape == x.shape


@pytest.mark.parametrize("bad", [-1, 64, 2**62])
def test_indices_are_checked_before_anything_is_written(bad, integers):
    dy = integers((1, 1, 4, 4))
    indices = np.zeros((1, 1, 4, 4), np.int64)
    indices[0, 0, 3, 3] = bad
    with pytest.raises(ValueError, match="max_pool2d_backward: indices"):
        fastconv.max_pool2d_backward(dy, indices, (1, 1, 8, 8))
