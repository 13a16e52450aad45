"""The taps of a window: which rectangles of the output and of the input each of them joins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv.geometry import Window2D

Array = np.ndarray[Any, Any]
Rectangle = tuple[Any, slice, slice]


def _axis(size: int, outputs: int, stride: int, before: int, offset: int) -> tuple[slice, slice]:
    """Return the outputs whose tap at `offset` lies inside an axis, and the cells that it reads."""
    first = max(0, -((offset - before) // stride))  # -(a // b) rounds -a / b upwards
    end = min(outputs, (size - 1 + before - offset) // stride + 1)
    end = max(first, end)
    start = first * stride - before + offset
    # An empty range may begin outside the axis, where a slice would mean something else.
    if first == end:
        return slice(0, 0), slice(0, 0)
    return slice(first, end), slice(start, start + (end - first - 1) * stride + 1, stride)


def taps(
    window: Window2D, size: tuple[int, int], output: tuple[int, int]
) -> Iterator[tuple[int, int, Rectangle, Rectangle]]:
    """Yield each tap (r, s) in row-major order, with its rectangles of the output and the input."""
    (top, _), (left, _) = window.resolve(size)
    for r in range(window.kernel[0]):
        rows = _axis(size[0], output[0], window.stride[0], top, r * window.dilation[0])
        for s in range(window.kernel[1]):
            columns = _axis(size[1], output[1], window.stride[1], left, s * window.dilation[1])
            yield r, s, (..., rows[0], columns[0]), (..., rows[1], columns[1])
