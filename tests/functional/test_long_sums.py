"""Sums of any length are off by at most 1e-6 of the sum of magnitudes, also of equal numbers,
where every rounding goes to the same side."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional, threads
from fastconv.functional import minimal, normalize
from fastconv.geometry import Conv2DGeometry
from fastconv.testing import assert_bits_equal

MOST = 1e-6
SHAPES = [(2, 3, 7, 7), (20000, 2, 7, 7), (3, 2, 1500, 2001), (9, 20, 60, 61)]
VALUES = ["0.1", "1/3", "positive"]


def numbers(value, shape):
    """Return float32 numbers, all equal or random."""
    if value == "positive":
        return np.random.default_rng(0).random(shape, np.float32)
    return np.full(shape, {"0.1": 0.1, "1/3": 1 / 3}[value], np.float32)


def check(found, right, magnitudes=None):
    """`right` is of float64."""
    error = np.abs(np.asarray(found, np.float64) - right)
    most = MOST * (np.abs(right) if magnitudes is None else magnitudes)
    assert np.all(error <= most), (error / most).max()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("size", [(33, 33), (300, 401), (1024, 1024), (5000, 5000)])
def test_the_average_of_a_map(size, value):
    x = numbers(value, (1, 1, *size))
    right = x.mean(dtype=np.float64)
    check(functional.avg_pool2d(x, size), right)
    layer = fastconv.layers.GlobalAvgPool2D()
    check(fastconv.Sequential([layer], input_shape=(1, *size)).predict(x), right)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("window", "padding"), [((1500, 1500), 0), ((700, 900), 7)])
def test_averages_of_large_windows(window, padding, stride, value):
    x = numbers(value, (1, 1, window[0] + 2, window[1] + 11))
    y = functional.avg_pool2d(x, window, stride=stride, padding=padding)
    padded = np.pad(x[0, 0].astype(np.float64), padding, constant_values=np.nan)
    for i, j in np.ndindex(y.shape[2:]):
        top, left = i * stride, j * stride
        check(y[0, 0, i, j], np.nanmean(padded[top : top + window[0], left : left + window[1]]))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(
    ("size", "window", "padding"),
    [
        ((200, 190), (90, 80), 0),
        ((130, 2300), (60, 1100), (7, 500)),
        ((2500, 40), (2000, 3), (9, 1)),
    ],
)
def test_the_gradient_of_an_average(size, window, padding, stride, value):
    """Thousands of windows hold an element."""
    shape = (1, 1, *size)
    y = functional.avg_pool2d(np.zeros(shape, np.float32), window, stride=stride, padding=padding)
    dy = numbers(value, y.shape)
    dx = functional.avg_pool2d_backward(dy, shape, window, stride=stride, padding=padding)
    (top, left) = (padding, padding) if isinstance(padding, int) else padding
    counts = []
    for axis, before in enumerate((top, left)):
        begin = np.arange(y.shape[2 + axis]) * stride - before
        counts.append(np.minimum(begin + window[axis], size[axis]) - np.maximum(begin, 0))
    shares = dy[0, 0] / np.outer(*counts).astype(np.float64)
    for axis in (0, 1):  # the sum of those whose windows hold a place, by differences of float64
        begin = np.arange(shares.shape[axis]) * stride - (top, left)[axis]
        sums = np.concatenate([np.zeros_like(shares.take([0], axis)), shares.cumsum(axis)], axis)
        at = np.arange(size[axis])
        first = np.searchsorted(begin, at - window[axis], "right")
        last = np.searchsorted(begin, at, "right")
        shares = sums.take(last, axis) - sums.take(first, axis)
    check(dx[0, 0], shares)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_of_a_bias(shape, value):
    dy = numbers(value, shape)
    x = np.zeros((shape[0], 1, *shape[2:]), np.float32)
    weight = np.zeros((shape[1], 1, 1, 1), np.float32)
    dbias = functional.conv2d_backward(dy, x, weight, needs=("bias",))[2]
    check(dbias, dy.sum((0, 2, 3), np.float64))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("samples", [33, 1000, 2_000_000])
def test_the_gradient_of_the_bias_of_a_dense_layer(samples, value):
    dy = numbers(value, (samples, 3))
    x, weight = np.zeros((samples, 1), np.float32), np.zeros((3, 1), np.float32)
    dbias = functional.dense_backward(dy, x, weight, needs=("bias",))[2]
    check(dbias, dy.sum(0, np.float64))


# the shapes of x and weight, and the options
PLANES = [
    ((1, 2, 1100, 1300), (2, 1, 3, 3), {"padding": 1}),
    ((1, 2, 900, 1300), (2, 1, 3, 3), {"padding": 1, "stride": 2}),
    ((1, 1, 900, 1300), (1, 1, 5, 5), {"padding": 1}),
    ((1, 1, 4000, 90), (1, 1, 5, 5), {"padding": 2, "stride": 2}),
    ((3, 4, 60, 56), (4, 1, 3, 3), {"padding": 1}),
    ((1, 1, 3, 300_000), (1, 1, 3, 3), {"padding": 1}),
    ((1, 2, 400, 5000), (2, 1, 2, 3), {"padding": 1}),
    ((20, 2, 40, 41), (2, 1, 4, 2), {"stride": (1, 3), "dilation": 2}),
    ((20_000, 2, 7, 7), (2, 1, 3, 3), {"padding": 1}),
    ((20_000, 3, 4, 4), (3, 1, 3, 3), {"padding": 1}),
    ((20_000, 2, 6, 6), (2, 1, 5, 5), {"padding": 2}),
    ((1, 1, 100_001, 7), (1, 1, 3, 3), {"padding": 1}),
]


def check_weights(value, shape, weight_shape, options):
    """The kernels of float64 are right far below what is asked for."""
    x, weight = numbers(value, shape), np.zeros(weight_shape, np.float32)
    kind = {key: options[key] for key in options if key != "algorithm"}
    dy = numbers(value, fastconv.conv2d(x, weight, **kind).shape)

    def dweight(dtype, options):
        arrays = (array.astype(dtype) for array in (dy, x, weight))
        return functional.conv2d_backward(*arrays, needs=("weight",), **options)[1]

    check(dweight("float32", options), dweight("float64", kind | {"algorithm": "direct"}))


TILES = [
    ((1, 9, 8, 16), (9, 9, 1, 1), {}),
    ((1, 9, 7, 9), (9, 9, 1, 1), {}),
    ((1, 20, 400, 500), (9, 20, 1, 1), {}),
    ((1, 9, 300, 301), (17, 9, 3, 3), {"padding": 1}),
    ((1, 9, 200, 900), (40, 9, 2, 3), {"stride": 2, "dilation": (1, 2)}),
    ((1, 9, 9, 50_000), (8, 9, 3, 3), {"padding": 1}),
    ((1, 66, 100, 101), (17, 66, 3, 3), {"padding": 1}),
    ((7, 12, 60, 75), (20, 12, 3, 3), {"padding": 1, "groups": 1}),
    ((7, 24, 60, 75), (40, 12, 3, 3), {"padding": 1, "groups": 2}),
    ((2_000, 10, 14, 14), (9, 10, 3, 3), {"padding": 1}),
    ((3_000, 10, 7, 7), (9, 10, 3, 3), {"padding": 1}),
    ((33, 3, 100, 112), (20, 3, 5, 5), {"padding": 2, "stride": 2}),
    ((1, 1, 1000, 1300), (9, 1, 3, 3), {"padding": 1}),
    ((1, 3, 300, 1300), (70, 3, 3, 3), {}),
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("shape", "weight", "options"), PLANES)
def test_the_gradient_of_the_weights_of_groups_with_one_filter(shape, weight, options, value):
    check_weights(value, shape, weight, options | {"groups": shape[1]})


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("algorithm", ["direct", "im2col", "im2col_tiled"])
@pytest.mark.parametrize(("shape", "weight", "options"), TILES)
def test_the_gradient_of_the_weights(shape, weight, options, algorithm, value):
    check_weights(value, shape, weight, options | {"algorithm": algorithm})


# several runs of blocks, of which the last may be short; panels that are not whole, and many pieces
TILES_OF_WINOGRAD = [
    ((1, 9, 300, 301), 17),
    ((2_000, 10, 14, 14), 9),
    ((3_000, 10, 7, 7), 40),
    ((1, 9, 9, 50_000), 8),
    ((9, 70, 60, 61), 20),
]


def winograd_weight(dy, x, m):
    weight = np.full((dy.shape[1], x.shape[1], 3, 3), np.nan, x.dtype)
    g = Conv2DGeometry.make("test", x.shape, weight.shape, 1, 1, 1, 1)
    minimal.winograd_weight(g, m, dy, x, weight)
    return weight


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize(("shape", "filters"), TILES_OF_WINOGRAD)
def test_the_gradient_of_the_weights_by_minimal_filtering(shape, filters, m, value):
    x, dy = numbers(value, shape), numbers(value, (shape[0], filters, *shape[2:]))
    weight = np.zeros((filters, shape[1], 3, 3))
    wide = (dy.astype(np.float64), x.astype(np.float64), weight)
    options = {"needs": ("weight",), "padding": 1, "algorithm": "direct"}
    check(winograd_weight(dy, x, m), functional.conv2d_backward(*wide, **options)[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize(("shape", "filters"), TILES_OF_WINOGRAD)
def test_runs_of_blocks_have_the_same_bits_however_they_are_cut(
    shape, filters, m, dtype, normal, monkeypatch
):
    x, dy = normal(shape, dtype), normal((shape[0], filters, *shape[2:]), dtype)
    right = winograd_weight(dy, x, m)
    monkeypatch.setattr(threads, "slice_work", 1_000_000)
    try:
        for count in (1, 2, 5):
            fastconv.set_num_threads(count)
            assert_bits_equal(winograd_weight(dy, x, m), right)
    finally:
        fastconv.set_num_threads(None)


@pytest.mark.parametrize(("shape", "filters"), TILES_OF_WINOGRAD)
def test_runs_of_blocks_of_whole_numbers_are_exact(shape, filters):
    rng = np.random.default_rng(1)
    x = rng.integers(-1, 2, shape).astype(np.float32)
    dy = rng.integers(-1, 2, (shape[0], filters, *shape[2:])).astype(np.float32)
    wide = (dy.astype(np.float64), x.astype(np.float64), np.zeros((filters, shape[1], 3, 3)))
    options = {"needs": ("weight",), "padding": 1, "algorithm": "direct"}
    right = functional.conv2d_backward(*wide, **options)[1]
    assert_bits_equal(winograd_weight(dy, x, 2), right.astype(np.float32))


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_runs_of_blocks(value, m):
    x, dy = np.ones((1, 9, 300, 301), np.float32), np.ones((1, 17, 300, 301), np.float32)
    dy[0, 3, 5, 6] = value
    dweight = winograd_weight(dy, x, m)
    assert np.array_equal(dweight[3], np.full((9, 3, 3), value, np.float32), equal_nan=True)
    assert np.isfinite(np.delete(dweight, 3, 0)).all()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("samples", [56, 57, 112, 113, 128, 129, 700, 300_000])
@pytest.mark.parametrize(("features", "units"), [(3, 50), (70, 3), (35, 9)])
def test_the_gradient_of_the_weights_of_a_dense_layer(samples, features, units, value):
    dy, x = numbers(value, (samples, units)), numbers(value, (samples, features))
    weight = np.zeros((units, features), np.float32)
    dweight = functional.dense_backward(dy, x, weight, needs=("weight",))[1]
    check(dweight, dy.T.astype(np.float64) @ x.astype(np.float64))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("shape", [*SHAPES, (1_000_000, 3)])
def test_the_moments_of_batch_normalisation(shape, value):
    x = numbers(value, shape)
    one, axes = np.ones(shape[1], np.float32), (0, *range(2, len(shape)))
    _, mean, variance, inverse = normalize.batch_norm(x, one, one, 1e-3)
    wide = x.astype(np.float64)
    check(mean, wide.mean(axes))
    at, scale = (each.reshape(-1, *(1,) * (len(shape) - 2)) for each in (mean, inverse))
    squares = ((wide - wide.mean(axes, keepdims=True)) ** 2).mean(axes)
    check(variance, squares, squares + MOST * mean**2)
    dy = x[::-1].copy()
    dweight, dbias = normalize.batch_norm_backward(dy, x, one, mean, inverse, True, False)[1:]
    check(dbias, dy.sum(axes, np.float64))
    check(dweight, (dy * (wide - at) * scale).sum(axes), (dy * (wide + at) * scale).sum(axes))


# several rounds of one partial sum, and of several; one after another and beside each other
ROUNDS = [
    ((1, 9, 150, 151), (17, 9, 3, 3), {"padding": 1}),
    ((1, 70, 90, 91), (9, 70, 1, 1), {}),
    ((40, 10, 60, 61), (40, 5, 3, 3), {"padding": 1, "groups": 2}),
    ((40, 9, 61, 60), (7, 9, 2, 1), {"stride": (1, 2)}),
    ((1, 2, 120, 400), (20, 2, 3, 3), {"padding": 1}),
    ((40, 3, 61, 60), (20, 3, 3, 3), {"padding": 1}),
]


@pytest.mark.parametrize("cut", [50_000_000, 1_000_000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "weight", "options"), ROUNDS)
def test_rounds_have_the_same_bits_however_they_are_cut(
    shape, weight, options, dtype, cut, normal, monkeypatch
):
    x, w = normal(shape, dtype), np.zeros(weight, dtype)
    dy = normal(fastconv.conv2d(x, w, **options).shape, dtype)

    def dweight(**how):
        given = options | {"algorithm": "direct"} | how
        return functional.conv2d_backward(dy, x, w, needs=("weight",), **given)[1]

    right = dweight()
    costs = fastconv.conv2d_costs(x.shape, w.shape, direction="backward", dtype=dtype, **options)
    monkeypatch.setattr(threads, "slice_work", cut)
    try:
        for count in (1, 2, 5):
            fastconv.set_num_threads(count)
            assert_bits_equal(dweight(), right)
            assert_bits_equal(dweight(algorithm="im2col"), right)
            limit = costs["im2col_tiled"].least
            assert_bits_equal(dweight(algorithm="im2col_tiled", workspace_limit=limit), right)
    finally:
        fastconv.set_num_threads(None)


@pytest.mark.parametrize(("shape", "weight", "options"), ROUNDS + PLANES)
def test_long_sums_of_whole_numbers_are_exact(shape, weight, options):
    rng = np.random.default_rng(1)
    x = rng.integers(-1, 2, shape).astype(np.float32)
    if weight[0] == shape[1]:
        options = options | {"groups": shape[1]}
    w = np.zeros(weight, np.float32)
    dy = rng.integers(-1, 2, fastconv.conv2d(x, w, **options).shape).astype(np.float32)
    found = functional.conv2d_backward(dy, x, w, **options)
    right = functional.conv2d_backward(*(a.astype(np.float64) for a in (dy, x, w)), **options)
    for gradient, expected in zip(found[1:], right[1:], strict=True):
        assert_bits_equal(gradient, expected.astype(np.float32))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_a_long_sum(value):
    x, dy = np.ones((1, 9, 150, 151), np.float32), np.ones((1, 17, 150, 151), np.float32)
    dy[0, 3, 5, 6] = value
    dweight = functional.conv2d_backward(dy, x, np.zeros((17, 9, 1, 1), np.float32))[1]
    assert np.array_equal(dweight[3, :, 0, 0], np.full(9, value, np.float32), equal_nan=True)
    assert np.isfinite(np.delete(dweight, 3, 0)).all()
