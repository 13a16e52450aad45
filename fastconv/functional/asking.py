"""Asks the kernels which engine a convolution would run in, without running it."""

from __future__ import annotations

import numpy as np

from fastconv import memory
from fastconv.engines import TABLE, Engine
from fastconv.functional.direct import direct_forward, direct_input, direct_weight
from fastconv.functional.packing import PackedWeight, few_filters
from fastconv.geometry import Conv2DGeometry
from fastconv.threads import ask

__all__ = ["engine_of"]


def engine_of(g: Conv2DGeometry, dtype: np.dtype, direction: str = "forward") -> Engine:
    """Return the row of the table that `direct` takes for contiguous arrays of finite numbers.

    `direction` is "forward", "input" or "weight", the latter for the gradients.

    Examples
    --------
    >>> g = Conv2DGeometry.make("conv2d", (1, 32, 56, 56), (32, 1, 7, 7), 1, 3, 1, 32)
    >>> engine_of(g, np.dtype("float32")).reads
    'plain'
    """
    x, y = np.empty((g.N, g.C, g.H, g.W), dtype), np.empty(g.output_shape, dtype)
    weight = np.zeros((g.K, g.C // g.groups, g.R, g.S), dtype)
    with memory.Lent() as lent:
        if direction == "input":
            place = direct_input(g, y, weight, x, ask)
        elif direction == "weight":
            place = direct_weight(g, y, x, weight, ask)
        else:
            packed = PackedWeight(weight, g.groups, few_filters(weight, g.groups), lent)
            place = direct_forward(g, x, packed, None, y, False, ask)
    return TABLE[direction][place]
