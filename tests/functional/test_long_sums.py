"""Sums of any length are off by at most 1e-6 of the sum of magnitudes, also of equal numbers,
where every rounding goes to the same side."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import functional
from fastconv.functional import normalize

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


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("shape", "weight", "options"), PLANES)
def test_the_gradient_of_the_weights_of_groups_with_one_filter(shape, weight, options, value):
    check_weights(value, shape, weight, options | {"groups": shape[1]})


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
