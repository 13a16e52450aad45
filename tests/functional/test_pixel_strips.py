"""The gradient of the input by strips of dy that are laid out by pixels, and by weights that are
turned where they are used."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels, reference, threads
from fastconv.functional import direct
from fastconv.geometry import Conv2DGeometry
from fastconv.testing import assert_bits_equal

# filters, channels, H and W of x, kernel, and the other options: rows that do not fill tiles, maps
# in several strips of which the last is shorter or narrower, planes that share sets of the cache
STRIPS = {
    "7x7": (64, 24, (7, 7), (3, 3), {"padding": 1}),
    "few rows a strip": (200, 40, (21, 7), (3, 3), {"padding": 1}),
    "several blocks of filters": (530, 24, (3, 7), (1, 3), {"padding": (0, 1)}),
    "1x1": (70, 40, (9, 31), (1, 1), {}),
    "1x1, panels copied by fours": (150, 150, (9, 31), (1, 1), {}),
    "1x1, several blocks of filters": (1030, 24, (5, 9), (1, 1), {}),
    "1x1, padded": (70, 40, (9, 13), (1, 1), {"padding": (1, 2)}),
    "1x1, strides": (70, 40, (9, 31), (1, 1), {"stride": (2, 3)}),
    "1x1, far strides, groups": (60, 24, (5, 8), (1, 1), {"stride": (7, 2), "groups": 2}),
    "1x1, strides, few channels": (30, 3, (8, 9), (1, 1), {"stride": 2}),
    "1x1, strides, depthwise": (1, 1, (8, 9), (1, 1), {"stride": 2, "groups": 5}),
    "columns in blocks": (64, 24, (5, 203), (1, 3), {}),
    "planes that share sets": (50, 40, (32, 32), (3, 3), {"padding": 1}),
    "many filters": (260, 24, (4, 30), (3, 3), {"padding": 1}),
    "taps apart": (50, 24, (9, 9), (3, 2), {"padding": 2, "dilation": (2, 3)}),
    "much padding": (50, 24, (3, 4), (3, 3), {"padding": ((4, 1), (0, 5))}),
    "one column": (50, 24, (33, 1), (3, 1), {"padding": (1, 0)}),
    "groups": (60, 24, (7, 7), (3, 3), {"padding": 1, "groups": 2}),
}
# maps of few pixels under many weights, for one image, for several in a slot, and for more
TURNED = {
    "7x7": (1, 300, 200, (7, 7), (3, 3), {"padding": 1}),
    "several images": (5, 290, 140, (6, 7), (3, 3), {"padding": 1}),
    "a few images more than a slot has": (7, 310, 130, (14, 13), (3, 3), {"padding": 1}),
    "several blocks of filters": (2, 530, 90, (5, 5), (3, 3), {"padding": 1}),
    "1x1 of one block": (1, 400, 330, (7, 7), (1, 1), {}),
    "1x1 of several blocks": (1, 1100, 170, (7, 7), (1, 1), {}),
    "1x1, strides": (3, 1100, 170, (14, 13), (1, 1), {"stride": 2}),
    "3x5": (1, 260, 150, (6, 6), (3, 5), {"padding": (1, 2)}),
    "taps apart": (1, 260, 120, (9, 7), (2, 3), {"padding": 1, "dilation": 2}),
    "groups": (1, 560, 240, (5, 7), (3, 3), {"padding": 1, "groups": 2}),
}


def gradient(dy, x, weight, algorithm, options):
    given = {"needs": ("x",), "algorithm": algorithm, **options}
    return fastconv.conv2d_backward(dy, x, weight, **given)[0]


def shapes_of(batch, filters, channels, size, kernel, options):
    groups = options.get("groups", 1)
    filters *= groups if filters == 1 else 1
    return (batch, channels * groups, *size), (filters, channels, *kernel)


def compare(x_shape, weight_shape, options, dtype, integers, normal):
    x, weight = integers(x_shape, dtype), integers(weight_shape, dtype)
    dy = integers(reference.conv2d(x, weight, **options).shape, dtype)
    right = reference.conv2d_backward(dy, x, weight, **options)[0]
    assert_bits_equal(gradient(dy, x, weight, "direct", options), right)
    weight, dy = normal(weight_shape).astype(dtype), normal(dy.shape).astype(dtype)
    # col2im adds the sums of taps in the same order
    right = gradient(dy, x, weight, "im2col", options)
    assert_bits_equal(gradient(dy, x, weight, "direct", options), right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", STRIPS)
def test_strips_equal_the_reference(case, dtype, integers, normal):
    *sizes, options = STRIPS[case]
    x_shape, weight_shape = shapes_of(2, *sizes, options)
    compare(x_shape, weight_shape, options, dtype, integers, normal)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", TURNED)
def test_turned_weights_equal_the_reference(case, dtype, count, integers, normal):
    *sizes, options = TURNED[case]
    x_shape, weight_shape = shapes_of(*sizes, options)
    before = threads.get_num_threads()
    threads.set_num_threads(count)
    try:
        compare(x_shape, weight_shape, options, dtype, integers, normal)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("case", TURNED)
def test_weights_are_turned_in_the_memory_of_packed_ones(case, monkeypatch):
    """No more is taken than is stated, and these cases do come to these kernels."""
    *sizes, options = TURNED[case]
    x_shape, weight_shape = shapes_of(*sizes, options)
    module = kernels.module(np.dtype("float32"))
    taken = []

    def small_input(*given):
        taken.append(its_own(*given))
        return taken[-1]

    its_own = direct.small_input
    monkeypatch.setattr(direct, "small_input", small_input)
    before = fastconv.get_num_threads()
    fastconv.set_num_threads(1)
    try:
        x, weight = np.zeros(x_shape, np.float32), np.zeros(weight_shape, np.float32)
        dy = np.zeros(reference.conv2d(x, weight, **options).shape, np.float32)
        with fastconv.memory.track() as used:
            gradient(dy, x, weight, "direct", options)
    finally:
        fastconv.set_num_threads(before)
    # with AVX-512 1x1 has fewer pixels, and no panel is turned twice; with NEON none is
    few = case not in ("1x1, strides", "a few images more than a slot has")
    suits = module.tile_pixels < 12 or (module.tile_pixels == 14 and few)
    assert [engine >= 0 for engine in taken] == [suits]
    g = Conv2DGeometry.make(
        "conv2d",
        x_shape,
        weight_shape,
        options.get("stride", 1),
        options.get("padding", 0),
        options.get("dilation", 1),
        options.get("groups", 1),
    )
    assert used.packed == g.packed_backward_bytes(4, module.lanes) and not used.workspace_peak


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["weight", "dy"])
@pytest.mark.parametrize(
    "case", ["7x7", "groups", "several images", "1x1 of one block", "1x1 of several blocks"]
)
def test_what_is_not_finite_misses_the_padding(case, where, value, integers):
    """Zeros of the padding times such a weight are NaN, which the padding must not give."""
    if case in TURNED:
        *sizes, options = TURNED[case]
    else:
        *sizes, options = (2, *STRIPS[case])
    x_shape, weight_shape = shapes_of(*sizes, options)
    x, weight = integers(x_shape), integers(weight_shape)
    dy = integers(reference.conv2d(x, weight, **options).shape)
    if where == "weight":
        weight[3, 2, 0, 0] = weight[-1, 1, -1, -1] = value
    else:
        dy[-1, 1, -1, -1] = dy[0, 0, 0, 0] = value
    with np.errstate(invalid="ignore"):  # of infinities of both signs
        right = reference.conv2d_backward(dy, x, weight, **options)[0]
    np.testing.assert_array_equal(gradient(dy, x, weight, "direct", options), right)
    assert not np.isfinite(right).all() and np.isfinite(right).any()
