"""The book's helpers: curves, shuffled data sets, sizes, and im2col as fastconv has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int
from fastconv.compat.deep_learning_from_scratch.arrays import floats, rows_of
from fastconv.errors import ShapeError
from fastconv.geometry import Window2D

__all__ = ["col2im", "conv_output_size", "im2col", "shuffle_dataset", "smooth_curve"]

Array = np.ndarray[Any, Any]

im2col = functional.im2col
col2im = functional.col2im

#: The window that curves are smoothed with: its length, and the shape of Kaiser's window.
WINDOW, BETA = 11, 2


def conv_output_size(input_size: int, filter_size: int, stride: int = 1, pad: int = 0) -> int:
    """Return how many places a filter has along an axis; as an integer, rounded down.

    Examples
    --------
    >>> conv_output_size(25, 5, stride=2)
    11
    """
    operation = "conv_output_size"
    input_size = as_int(operation, "input_size", input_size, 1)
    window = Window2D.make(operation, filter_size, stride, pad, kernel_parameter="filter_size")
    return window.output_size(operation, (input_size, input_size))[0]


def smooth_curve(x: Any) -> Array:
    """Return a curve of the length of `x`, each value an average over the 11 around it.

    Notes
    -----
    The weights are Kaiser's window with beta = 2. Beyond its beginning the curve is reflected
    without its first value, and beyond its end with its last.
    """
    x = floats("smooth_curve", "x", x)
    half = WINDOW // 2
    if x.ndim != 1 or len(x) <= half:
        raise ShapeError("smooth_curve", "x", f"must have at least {half + 1} values", x.shape)
    reflected = np.concatenate([x[half:0:-1], x, x[: -half - 1 : -1]])
    weights = np.kaiser(WINDOW, BETA)
    return np.convolve(weights / weights.sum(), reflected, mode="valid")


def shuffle_dataset(x: Array, t: Array) -> tuple[Array, Array]:
    """Return both in one random order, which ``np.random.seed`` fixes."""
    x, t = rows_of("shuffle_dataset", x, t)
    order = np.random.permutation(len(x))
    return x[order], t[order]
