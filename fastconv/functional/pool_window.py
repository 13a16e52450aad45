"""What max and average pooling share: the checked window, and how it is run."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import threads
from fastconv.arguments import as_padding, as_pair, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.geometry import Window2D

__all__ = ["Pool", "make_pool"]

#: The time of a tap of a window, counted in multiply-adds; pooling has no register tile.
TAP = 8


class Pool:
    """One checked pooling: the window, the resolved padding, the output, and its work."""

    def __init__(
        self,
        operation: str,
        shape: tuple,
        pool_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ):
        check_axes(operation, "x", shape, "NCHW")
        self.operation = operation
        self.window = window = Window2D.make(
            operation, pool_size, stride, padding, dilation, ceil_mode, "pool_size"
        )
        n, c, h, w = shape
        self.size = h, w
        self.output = window.output_map(operation, shape)
        self.shape = (n, c, *self.output)
        # as kernels read and write: planes (N C, H, W)
        self.maps, self.outputs = (n * c, h, w), (n * c, *self.output)
        self.work = math.prod(self.shape) * (TAP * window.taps + threads.MOVE)
        self.pads = window.resolve((h, w))
        self.pad = self.pads[0][0], self.pads[1][0]
        for axis in (0, 1):
            self._check_windows_see_the_map(axis)

    def _check_windows_see_the_map(self, axis: int) -> None:
        """Raise ArgumentError unless every window reaches an element of the map.

        The first and the last window tell for all others.  Only where a dilated window may step
        over a small map, each window is looked at.
        """
        size, taps, before = self.size[axis], self.window.kernel[axis], self.pads[axis][0]
        stride, dilation = self.window.stride[axis], self.window.dilation[axis]
        count = self.output[axis]
        positions = (0, count - 1) if dilation <= size else range(min(count, before + size + 1))
        for i in positions:
            start = i * stride - before
            first = max(0, -(start // dilation)) if start < 0 else 0  # first tap at or after 0
            if first >= taps or start + first * dilation >= size:
                raise ArgumentError(
                    self.operation,
                    "padding",
                    "must leave an element of the input in every window",
                    self.pads,
                    "take less padding, or a larger window",
                    shown=f"padding {self.pads} for pool_size {self.window.kernel} on a map of "
                    f"{self.size[0]}x{self.size[1]}",
                )

    def check_gradient(self, dy: np.ndarray) -> None:
        """Raise a ShapeError if `dy` has not the shape of the output."""
        if dy.shape != self.shape:
            rule = f"must have the shape of the output, {self.shape}"
            raise ShapeError(self.operation, "dy", rule, dy.shape)


_remembered = lru_cache(maxsize=1024, typed=True)(Pool)


def make_pool(
    operation: str,
    shape: tuple,
    pool_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: Any = False,
) -> Pool:
    """Return the pooling, checked once for each set of arguments."""
    # numbers and words are looked up as they are; pairs are checked first
    if type(padding) is not int and type(padding) is not str:
        padding = as_padding(operation, padding)
    if type(pool_size) is not int:
        pool_size = as_pair(operation, "pool_size", pool_size, 1)
    if stride is None:
        stride = pool_size
    elif type(stride) is not int:
        stride = as_pair(operation, "stride", stride, 1)
    if type(dilation) is not int:
        dilation = as_pair(operation, "dilation", dilation, 1)
    make = Pool if type(ceil_mode) is not bool else _remembered
    return make(operation, shape, pool_size, stride, padding, dilation, ceil_mode)
