"""Zeros around maps, and its gradient, which cuts them off again."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import LARGEST, as_padding, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks

__all__ = ["as_sides", "zero_padding2d", "zero_padding2d_backward"]

Sides = tuple[tuple[int, int], tuple[int, int]]


def as_sides(operation: str, padding: Any) -> Sides:
    """Return `padding` as ((top, bottom), (left, right)); words are refused."""
    rule = "must be an integer, a pair or two pairs"
    if isinstance(padding, str):
        raise ArgumentError(operation, "padding", rule, padding)
    sides = as_padding(operation, padding, rule=rule)
    assert not isinstance(sides, str)
    return sides


def _frame(x: np.ndarray, y: np.ndarray, top: int, left: int) -> None:
    """Write `x` to `y` from a row and a column on, and zeros around it."""
    kernel = kernels.module(x.dtype).frame_maps
    threads.run(kernel, x, y, top, left, work=threads.MOVE * y.size)


def zero_padding2d(x: Any, padding: Any, *, out: np.ndarray | None = None) -> np.ndarray:
    """Put zeros around maps.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers are right too: integers as float64, where that has them exactly.
    padding : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns of zeros.
    out : ndarray (N, C, top + H + bottom, left + W + right), optional
        C-contiguous, of the dtype of `x`, not overlapping it.

    Returns
    -------
    ndarray (N, C, top + H + bottom, left + W + right)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> zero_padding2d(np.ones((1, 1, 1, 2)), ((0, 1), (2, 0)))[0, 0].tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    """
    operation = "zero_padding2d"
    x = checks.as_floats(operation, "x", x)
    check_axes(operation, "x", x.shape, "NCHW")
    (top, bottom), (left, right) = as_sides(operation, padding)
    n, c, h, w = x.shape
    size = top + h + bottom, left + w + right
    if max(size) > LARGEST:
        rule = f"must lead to an output at most {LARGEST} long"
        raise ArgumentError(operation, "padding", rule, max(size), "take less padding")
    y = checks.as_output(operation, out, (n, c, *size), x.dtype, x)
    if y.size:
        _frame(checks.readable(x), y, top, left)
    return y


def zero_padding2d_backward(dy: Any, padding: Any) -> np.ndarray:
    """Return the gradient of the input of `zero_padding2d`: what lies within the padding.

    Parameters
    ----------
    dy : ndarray (N, C, top + H + bottom, left + W + right), float32, float64 or integers
    padding
        As given to `zero_padding2d`.

    Returns
    -------
    ndarray (N, C, H, W)
        A new array.

    Raises
    ------
    ShapeError
        If `dy` is not larger than the padding.

    Examples
    --------
    >>> import numpy as np
    >>> zero_padding2d_backward(np.arange(9.0).reshape(1, 1, 3, 3), 1)[0, 0].tolist()
    [[4.0]]
    """
    operation = "zero_padding2d_backward"
    dy = checks.as_floats(operation, "dy", dy)
    check_axes(operation, "dy", dy.shape, "NCHW")
    (top, bottom), (left, right) = as_sides(operation, padding)
    n, c, oh, ow = dy.shape
    h, w = oh - top - bottom, ow - left - right
    if h < 1 or w < 1:
        rule = f"must be larger than the padding, {top + bottom} rows and {left + right} columns"
        raise ShapeError(operation, "dy", rule, dy.shape, shown=f"shape {dy.shape}")
    dx = memory.empty((n, c, h, w), dy.dtype)
    if dx.size:
        _frame(checks.readable(dy[:, :, top : top + h, left : left + w]), dx, 0, 0)
    return dx
