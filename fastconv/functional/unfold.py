"""The two functions of the book: im2col and its adjoint col2im."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_int, as_pair, as_shape, check_axes
from fastconv.errors import ShapeError
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["col2im", "im2col"]


@lru_cache(maxsize=4096, typed=True)
def _checked(operation: str, shape: tuple, filter_h: Any, filter_w: Any, stride: Any, pad: Any):
    kernel = (
        as_int(operation, "filter_h", filter_h, 1),
        as_int(operation, "filter_w", filter_w, 1),
    )
    window = Window2D.make(operation, kernel, stride, as_pair(operation, "pad", pad, 0))
    (top, _), (left, _) = window.resolve(shape[2:])
    return window, window.output_map(operation, shape), (top, left)


def _resolve(
    operation: str, shape: tuple, filter_h: Any, filter_w: Any, stride: Any, pad: Any
) -> tuple[Window2D, tuple[int, int], tuple[int, int]]:
    """Return the window, the output's size and (top, left); plain integers are cached."""
    if type(filter_h) is type(filter_w) is type(stride) is type(pad) is int:
        return _checked(operation, shape, filter_h, filter_w, stride, pad)
    return _checked.__wrapped__(operation, shape, filter_h, filter_w, stride, pad)


def im2col(
    input_data: Any, filter_h: int, filter_w: int, stride: Any = 1, pad: Any = 0
) -> np.ndarray:
    """Unfold images into a matrix with a row for each position of the filter.

    Parameters
    ----------
    input_data : ndarray (N, C, H, W), float32 or float64
        Lists and integers are right too: integers as float64, where that has them exactly.
    filter_h, filter_w : int
    stride, pad : int or (int, int)

    Returns
    -------
    ndarray (N * OH * OW, C * filter_h * filter_w)
        Of the dtype of the input; columns ordered channel, filter row, filter column.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.

    Notes
    -----
    No temporary bytes.  The function of "Deep Learning from Scratch" (Saito 2016), section
    7.4.3, which took it from Caffe; here it keeps float32.

    Examples
    --------
    >>> import numpy as np
    >>> im2col(np.zeros((10, 3, 7, 7)), 5, 5).shape
    (90, 75)
    """
    operation = "im2col"
    x = checks.as_floats(operation, "input_data", input_data)
    check_axes(operation, "input_data", x.shape, "NCHW")
    n, c, _, _ = x.shape
    window, (oh, ow), pads = _resolve(operation, x.shape, filter_h, filter_w, stride, pad)
    col = memory.empty((n * oh * ow, c * window.taps), x.dtype)
    if col.size:
        threads.run(
            kernels.module(x.dtype).unfold,
            checks.readable(x),
            col.reshape(-1),
            window.kernel,
            window.stride,
            pads,
            window.dilation,
            oh,
            ow,
            True,
            work=threads.MOVE * col.size,
        )
    return col


def col2im(
    col: Any, input_shape: Any, filter_h: int, filter_w: int, stride: Any = 1, pad: Any = 0
) -> np.ndarray:
    """Add the rows of `im2col` back to where they came from: its adjoint.

    Parameters
    ----------
    col : ndarray (N * OH * OW, C * filter_h * filter_w), float32, float64 or integers
    input_shape : (N, C, H, W)
    filter_h, filter_w, stride, pad
        As given to `im2col`.

    Returns
    -------
    ndarray (N, C, H, W)
        Each element the sum of what lies on it, in the order of the filter's taps.

    Raises
    ------
    ShapeError
        If `col` does not match `input_shape`.
    ArgumentError, ArgumentTypeError
        As `im2col`.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), 2, 2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    operation = "col2im"
    col = checks.as_floats(operation, "col", col)
    n, c, h, w = as_shape(operation, "input_shape", input_shape, "NCHW")
    window, (oh, ow), pads = _resolve(operation, (n, c, h, w), filter_h, filter_w, stride, pad)
    expected = (n * oh * ow, c * window.taps)
    if col.shape != expected:
        raise ShapeError(
            operation,
            "col",
            f"must have shape {expected} for input_shape {(n, c, h, w)}",
            col.shape,
        )
    dx = memory.empty((n, c, h, w), col.dtype)
    if dx.size:
        threads.run(
            kernels.module(col.dtype).fold,
            checks.contiguous(col).reshape(-1),
            dx,
            window.kernel,
            window.stride,
            pads,
            window.dilation,
            oh,
            ow,
            True,
            work=threads.MOVE * col.size,
        )
    return dx
