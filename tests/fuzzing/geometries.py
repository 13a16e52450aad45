"""Sizes and options of small convolutions and poolings, as generated tests draw them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from fastconv.geometry import Conv2DGeometry

Shape = tuple[int, ...]
#: Around the lanes of a vector, and their double.
AROUND_LANES = (15, 16, 17, 31, 32, 33, 63, 64, 65)


def picker(rng: np.random.Generator) -> Callable[..., Any]:
    """Return a function that gives one of its arguments."""

    def pick(*choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    return pick


def draw_convolution(
    rng: np.random.Generator, most: float | None = None
) -> tuple[Shape, Shape, dict[str, Any]]:
    """Return the shapes of x and of the weight, and the options of a small convolution.

    With `most` it has at most as many multiply-adds.
    """
    while True:
        x_shape, weight_shape, options = _draw_convolution(rng)
        if most is None:
            return x_shape, weight_shape, options
        g = Conv2DGeometry.make("draw", x_shape, weight_shape, **options)
        if g.multiply_adds <= most:
            return x_shape, weight_shape, options


def _draw_convolution(rng: np.random.Generator) -> tuple[Shape, Shape, dict[str, Any]]:
    pick = picker(rng)
    groups = pick(1, 1, 1, 2, 3, 4)
    channels = groups * pick(1, 1, 2, 3, 4, 7, 23)
    filters = groups * pick(1, 2, 3, 5, 8, 11)
    if rng.random() < 0.2:  # depthwise, at times with a multiplier
        groups = channels = pick(1, 3, 8, 15, 16, 17)
        filters = channels * pick(1, 1, 2)
    elif rng.random() < 0.2:  # around the lanes of a vector and their double
        filters = groups * pick(15, 16, 17, 31, 32, 33)
    kernel = pick(1, 1, 2, 3, 3, 3, 4, 5, 7), pick(1, 1, 2, 3, 3, 3, 4, 5, 7)
    stride = pick(1, 1, 1, 2, 2, 3, 4), pick(1, 1, 1, 2, 2, 3, 4)
    dilation = pick(1, 1, 1, 1, 2, 3), pick(1, 1, 1, 1, 2, 3)
    if rng.random() < 0.15:  # what minimal filtering is for
        kernel, stride, dilation = pick((3, 3), (5, 5)), (1, 1), (1, 1)
        filters, channels, groups = pick(filters // groups, 8, 17, 33), channels // groups, 1
    room = 0, 0, 1, 2, 3, 5, 8, 13, 30
    if rng.random() < 0.03:  # more channels or filters than a block of a sum has
        kernel, groups, room = (1, 1), 1, (0, 1, 2)
        channels, filters = pick((520, 3), (3, 520), (1030, 2))
    sides = [[pick(0, 0, 1, 1, 2, 3) for _ in range(2)] for _ in range(2)]
    kind = rng.random()
    if kind < 0.25:
        padding: object = sides[0][0]
    elif kind < 0.45:
        padding = (sides[0][0], sides[1][0])
    elif kind < 0.6:
        padding = pick("same", "valid")
    else:
        padding = tuple(map(tuple, sides))
    size = []
    for axis in range(2):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        # Without padding the least input is as large as the window; with it, smaller.
        least = 1 if padding == "same" else extent
        if isinstance(padding, tuple) and isinstance(padding[0], tuple):
            least = max(1, extent - sum(padding[axis]))
        size.append(least + pick(*room))
    if rng.random() < 0.03:  # longer than a tile is in either direction
        size[pick(0, 1)] += 230
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    images = pick(1, 1, 2, 3) if rng.random() > 0.03 else 17  # more than there are partial sums
    x_shape = (images, channels, *size)
    return x_shape, (filters, channels // groups, *kernel), options


def draw_limit(
    rng: np.random.Generator,
    algorithm: str,
    x_shape: Shape,
    weight_shape: Shape,
    dtype: str,
    options: dict[str, Any],
    direction: str,
) -> int | None:
    """Return a workspace limit that the algorithm can keep: any, the least one, or none."""
    if algorithm != "im2col_tiled":
        return None
    costs = fastconv.conv2d_costs(
        x_shape, weight_shape, dtype=dtype, direction=direction, **options
    )
    least, most = costs["im2col_tiled"].least, costs["im2col"].workspace
    return (least, int(rng.integers(least, most + 1)), None)[rng.integers(3)]


def draw_pooling(
    rng: np.random.Generator, largest: int = 5
) -> tuple[tuple[int, int], tuple[int, int], dict[str, Any]]:
    """Return a size (H, W), a pool_size up to `largest` and options.

    No window lies in the padding alone. Some three times of ten there is a dilation.
    """
    pick = picker(rng)
    while True:
        size, pool_size, stride, dilation = (
            tuple(map(int, rng.integers(1, high, 2))) for high in (20, largest + 1, 5, 4)
        )
        if rng.random() < 0.3:
            size = size[0], pick(*AROUND_LANES)
        if rng.random() < 0.3:  # the usual windows, which have kernels of their own
            pool_size, stride = (pick(2, 3),) * 2, (pick(1, 2),) * 2
        dilation = dilation if rng.random() < 0.3 else (1, 1)
        padding = tuple(tuple(map(int, rng.integers(0, k, 2))) for k in pool_size)
        options = {"stride": stride, "padding": padding, "ceil_mode": bool(rng.integers(2))}
        axes = zip(size, pool_size, stride, dilation, padding, strict=True)
        if all(_every_window_sees(*axis, options["ceil_mode"]) for axis in axes):
            return size, pool_size, {**options, "dilation": dilation}


def _every_window_sees(
    size: int, taps: int, stride: int, dilation: int, pads: tuple[int, int], ceil_mode: bool
) -> bool:
    """Return whether there are windows along an axis, and all have a tap on the map."""
    last = size + sum(pads) - (taps - 1) * dilation - 1  # where the last window may begin
    if last < 0:
        return False
    starts = itertools.count(-pads[0], stride)
    beyond = last - pads[0] + (stride - 1 if ceil_mode else 0)
    inside = itertools.takewhile(lambda start: start <= beyond and start < size, starts)
    return all(any(0 <= start + tap * dilation < size for tap in range(taps)) for start in inside)
