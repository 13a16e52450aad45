"""Windows as columns, a map for each tap, and their adjoint: what PyTorch calls unfold and fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_pair, check_axes
from fastconv.errors import ShapeError
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["fold2d", "folded_channels", "unfold2d"]


def unfold2d(
    x: Any, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> np.ndarray:
    """Write what each tap of a sliding window sees, window by window.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers are right too: integers as float64, where that has them exactly.
    kernel_size, stride, dilation : int or (int, int)
    padding : as in `conv2d`
        Zeros around the map.

    Returns
    -------
    ndarray (N, C R S, OH OW)
        Rows ordered channel, kernel row, kernel column; columns are windows in row-major order.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.

    Notes
    -----
    No temporary bytes.  The book's `im2col` has the same numbers with a row for each window:
    ``unfold2d(x, k).transpose(0, 2, 1).reshape(-1, C * R * S)``.

    Examples
    --------
    >>> import numpy as np
    >>> unfold2d(np.arange(4.0).reshape(1, 1, 2, 2), (1, 2)).tolist()
    [[[0.0, 2.0], [1.0, 3.0]]]
    """
    operation = "unfold2d"
    x = checks.as_floats(operation, "x", x)
    check_axes(operation, "x", x.shape, "NCHW")
    window = Window2D.make(operation, kernel_size, stride, padding, dilation)
    n, c, h, w = x.shape
    oh, ow = window.output_map(operation, x.shape)
    columns = memory.empty((n, c * window.taps, oh * ow), x.dtype)
    if columns.size:
        (top, _), (left, _) = window.resolve((h, w))
        threads.run(
            kernels.module(x.dtype).unfold,
            checks.readable(x),
            columns.reshape(-1),
            window.kernel,
            window.stride,
            (top, left),
            window.dilation,
            oh,
            ow,
            False,
            work=threads.MOVE * columns.size,
        )
    return columns


def folded_channels(
    operation: str, window: Window2D, output_size: tuple[int, int], shape: tuple[int, ...]
) -> int:
    """Return the channels of the map of `output_size` that columns (…, C R S, OH OW) belong to.

    Raises
    ------
    ShapeError
        If they are no columns of such a map.
    """
    oh, ow = window.output_size(operation, output_size)
    rows, windows = shape[-2:]
    if rows % window.taps or windows != oh * ow:
        rule = (
            f"must be rows for each of {window.taps} taps of a channel, and {oh * ow} columns, "
            "one for each window"
        )
        raise ShapeError(operation, "columns", rule, shape, shown=f"shape {shape}")
    return rows // window.taps


def fold2d(
    columns: Any,
    output_size: Any,
    kernel_size: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> np.ndarray:
    """Add columns back to where `unfold2d` took them from: its adjoint.

    Parameters
    ----------
    columns : ndarray (N, C R S, OH OW), float32, float64 or integers
    output_size : int or (int, int)
        (H, W).
    kernel_size, stride, padding, dilation
        As given to `unfold2d`.

    Returns
    -------
    ndarray (N, C, H, W)
        Each element the sum of what lies on it, in the order of the taps.

    Raises
    ------
    ShapeError
        If `columns` are no columns of such a map.
    ArgumentError, ArgumentTypeError
        As `unfold2d`.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> fold2d(np.ones((1, 4, 4)), 3, 2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    operation = "fold2d"
    columns = checks.as_floats(operation, "columns", columns)
    if columns.ndim != 3:
        rule = "must have 3 dimensions (N, C R S, OH OW)"
        raise ShapeError(operation, "columns", rule, columns.shape, shown=f"shape {columns.shape}")
    h, w = as_pair(operation, "output_size", output_size, 1)
    window = Window2D.make(operation, kernel_size, stride, padding, dilation)
    c = folded_channels(operation, window, (h, w), columns.shape)
    if not c:
        rule = "must have at least one channel"
        raise ShapeError(operation, "columns", rule, columns.shape)
    maps = memory.empty((len(columns), c, h, w), columns.dtype)
    maps[...] = 0
    if maps.size:
        (top, _), (left, _) = window.resolve((h, w))
        threads.run(
            kernels.module(columns.dtype).fold,
            checks.contiguous(columns).reshape(-1),
            maps,
            window.kernel,
            window.stride,
            (top, left),
            window.dilation,
            *window.output_size(operation, (h, w)),
            False,
            work=threads.MOVE * columns.size,
        )
    return maps
