"""Up-sampling by whole numbers, to the nearest pixel or bilinear, and its gradient."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_choice, as_pair, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks

__all__ = ["MODES", "as_scale", "upsample2d", "upsample2d_backward"]

MODES = ("nearest", "bilinear")


def as_scale(operation: str, scale: Any) -> tuple[int, int]:
    """Return `scale` as (vertical, horizontal), for which the kernels have room."""
    pair = as_pair(operation, "scale", scale, 1)
    most = kernels.module(checks.FLOAT32).most_scale
    if max(pair) > most:
        raise ArgumentError(operation, "scale", f"must be at most {most}", scale)
    return pair


def upsample2d(
    x: Any, scale: Any, mode: str = "nearest", *, out: np.ndarray | None = None
) -> np.ndarray:
    """Make maps larger by a whole number of times.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers are right too: integers as float64, where that has them exactly.
    scale : int or (int, int)
        How many times as many rows and columns there are afterwards, at most 512.
    mode : "nearest" or "bilinear"
        Nearest repeats every element.  Bilinear mixes the four nearest ones; pixels are squares
        whose middles are compared (PyTorch's ``align_corners=False``, ONNX' ``half_pixel``), and
        beyond an edge stands the element at the edge.
    out : ndarray (N, C, H scale, W scale), optional
        C-contiguous, of the dtype of `x`, not overlapping it.

    Returns
    -------
    ndarray (N, C, H scale, W scale)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.

    Notes
    -----
    No temporary bytes.  The middle of output i lies at (i + 1/2) / scale - 1/2 of the input.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[0.0, 4.0]]]])
    >>> upsample2d(x, (1, 2))[0, 0].tolist(), upsample2d(x, (1, 2), "bilinear")[0, 0].tolist()
    ([[0.0, 0.0, 4.0, 4.0]], [[0.0, 1.0, 3.0, 4.0]])
    """
    operation = "upsample2d"
    x = checks.as_floats(operation, "x", x)
    check_axes(operation, "x", x.shape, "NCHW")
    rows, columns = as_scale(operation, scale)
    weights = _weights(operation, mode, (rows, columns), x.dtype)
    n, c, h, w = x.shape
    y = checks.as_output(operation, out, (n, c, h * rows, w * columns), x.dtype, x)
    if y.size:
        threads.run(
            kernels.module(x.dtype).upsample2d,
            checks.contiguous(x).reshape(n * c, h, w),
            y.reshape(n * c, *y.shape[2:]),
            (rows, columns),
            weights,
            work=threads.MOVE * y.size,
        )
    return y


def upsample2d_backward(dy: Any, scale: Any, mode: str = "nearest") -> np.ndarray:
    """Return the gradient of the input of `upsample2d`.

    Parameters
    ----------
    dy : ndarray (N, C, H scale, W scale), float32, float64 or integers
    scale, mode
        As given to `upsample2d`.

    Returns
    -------
    ndarray (N, C, H, W)
        What the outputs that an element went to send back, by the weights it had there.

    Raises
    ------
    ShapeError
        If rows or columns of `dy` are no multiple of `scale`.
    ArgumentError, ArgumentTypeError
        As `upsample2d`.

    Examples
    --------
    >>> import numpy as np
    >>> upsample2d_backward(np.ones((1, 1, 2, 4)), 2)[0, 0].tolist()
    [[4.0, 4.0]]
    """
    operation = "upsample2d_backward"
    dy = checks.as_floats(operation, "dy", dy)
    check_axes(operation, "dy", dy.shape, "NCHW")
    rows, columns = as_scale(operation, scale)
    weights = _weights(operation, mode, (rows, columns), dy.dtype)
    n, c, oh, ow = dy.shape
    if oh % rows or ow % columns:
        rule = f"must have rows and columns that are multiples of the scale, {rows} and {columns}"
        raise ShapeError(operation, "dy", rule, dy.shape, shown=f"shape {dy.shape}")
    dx = memory.empty((n, c, oh // rows, ow // columns), dy.dtype)
    if dx.size:
        threads.run(
            kernels.module(dy.dtype).upsample2d_backward,
            checks.contiguous(dy).reshape(n * c, oh, ow),
            dx.reshape(n * c, *dx.shape[2:]),
            (rows, columns),
            weights,
            work=threads.MOVE * dy.size,
        )
    return dx


def _weights(
    operation: str, mode: Any, scale: tuple[int, int], dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray] | None:
    if as_choice(operation, "mode", mode, MODES) == "nearest":
        return None
    return _of_axis(scale[0], dtype), _of_axis(scale[1], dtype)


@lru_cache(maxsize=256)
def _of_axis(scale: int, dtype: np.dtype) -> np.ndarray:
    """Return what an input gives to the outputs around it, from the first to the last."""
    reach = scale // 2
    outputs = np.arange(-reach, scale + reach)
    weights = 1 - np.abs((2 * outputs + 1 - scale) / (2 * scale))
    weights.flags.writeable = False
    return weights.astype(dtype)
