"""A convolution that adds to an array gives the bits of the convolution and then the sum."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import memory, threads
from fastconv.functional.adding import add_conv2d, may_add
from fastconv.functional.asking import engine_of
from fastconv.functional.elementwise import add_relu
from fastconv.geometry import Conv2DGeometry
from fastconv.testing import assert_bits_equal

#: Images, channels, size, filters, kernel and options: for every engine of packed weights, with
#: whole tiles and without.
LAYERS = [
    (2, 64, (16, 16), 48, 1, {}),
    (1, 100, (56, 56), 40, 1, {}),  # long strips, the last moved back
    (1, 24, (9, 11), 33, 1, {}),
    (1, 128, (28, 28), 70, 1, {}),  # points
    (2, 600, (20, 20), 40, 1, {}),  # points, whose sums have two blocks
    (1, 96, (33, 35), 40, 1, {"stride": 2}),
    (1, 64, (14, 14), 100, 1, {}),
    (1, 600, (7, 7), 70, 1, {}),
    (2, 20, (1, 1), 40, 1, {}),
    (1, 17, (40, 3), 20, 1, {"stride": (1, 2)}),  # a tile runs down a column
    (1, 70, (12, 9), 36, 1, {"groups": 2, "bias": False}),
    (1, 3, (30, 30), 40, 3, {"padding": 1}),  # strips of a first layer
    (2, 32, (32, 32), 64, 3, {"padding": 1}),  # planes that share sets of the cache
    (1, 16, (10, 10), 40, 3, {"padding": 1, "stride": 2}),
    (1, 40, (7, 7), 40, 3, {"padding": 1}),
    (1, 12, (9, 20), 35, (2, 5), {"padding": ((1, 0), (3, 2)), "dilation": (2, 1)}),
]


@pytest.fixture(params=range(len(LAYERS)), ids=lambda number: str(LAYERS[number][:5]))
def layer(request):
    images, channels, size, filters, kernel, options = LAYERS[request.param]
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    groups = options.get("groups", 1)
    options = {"algorithm": "direct", **options}
    bias = options.pop("bias", True)
    return (images, channels, *size), (filters, channels // groups, *kernel), bias, options


@pytest.fixture(params=[1, 3])
def cut(request, monkeypatch):
    """Share the work among threads, and cut it into slices, small as it is."""
    if request.param > 1:
        monkeypatch.setattr(threads, "SMALL_WORK", 0)
        monkeypatch.setattr(threads, "slice_work", 2000)
        monkeypatch.setattr(threads, "_chosen", request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_bits_are_those_of_the_sum(layer, cut, normal, dtype, packed):
    x_shape, weight_shape, has_bias, options = layer
    x, weight = normal(x_shape, dtype), normal(weight_shape, dtype)
    bias = normal(weight_shape[:1], dtype) if has_bias else None
    sums = fastconv.conv2d(x, weight, bias, **options)
    held = normal(sums.shape, dtype)
    given = fastconv.prepare_conv2d(weight, **options) if packed else weight
    for activation in (None, "relu"):
        due, y = sums + held, held.copy()
        if activation:
            add_relu(sums, held, out=due)
        with memory.track() as used:
            add_conv2d(y, x, given, bias, activation, **options)
        assert_bits_equal(y, due)
        assert used.workspace_peak == used.output == 0


def test_every_engine_of_packed_weights_is_among_them():
    """Those of this instruction set: not each has all."""
    found = set()
    for images, channels, size, filters, kernel, options in LAYERS:
        r, s = (kernel, kernel) if isinstance(kernel, int) else kernel
        given = [options.get("stride", 1), options.get("padding", 0), options.get("dilation", 1)]
        groups = options.get("groups", 1)
        g = Conv2DGeometry.make(
            "conv2d", (images, channels, *size), (filters, channels // groups, r, s), *given, groups
        )
        found.add(engine_of(g, np.dtype("float32")).name)
    assert {"strips", "rectangles"} <= found <= {"points", "strips", "flat", "rows", "rectangles"}
    assert {"points", "rows"} & found


def test_what_is_not_finite_comes_through(normal):
    """An infinity in the map, in the weights, and in what is added to."""
    x, weight = normal((1, 40, 12, 12)), normal((48, 40, 1, 1))
    held = normal((1, 48, 12, 12))
    x[0, 3, 2, 2], weight[5, 1], held[0, 7, 4, 4], held[0, 9, 1, 1] = (
        np.inf,
        np.nan,
        -np.inf,
        np.nan,
    )
    with np.errstate(invalid="ignore"):
        due = fastconv.conv2d(x, weight, algorithm="direct") + held
    y = held.copy()
    add_conv2d(y, x, weight)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(due))
    np.testing.assert_array_equal(y, due)


def test_an_empty_batch_stays_empty(normal):
    y = np.empty((0, 48, 4, 4), "float32")
    add_conv2d(y, np.empty((0, 8, 4, 4), "float32"), normal((48, 8, 1, 1)))
    assert y.shape == (0, 48, 4, 4)


def test_who_may_add():
    assert may_add(64, (1, 1), "auto") and may_add(64, (3, 3), "direct")
    assert not may_add(64, (3, 3), "auto"), "auto may take Winograd's"
    assert not may_add(64, (1, 1), "im2col")
    assert not may_add(2, (1, 1), "auto"), "few filters stay plain"
