"""The maximum and the mean of each window, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D
from fastconv.reference.taps import Array, taps


def max_pool2d(
    x: Array,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window of (N, C, H, W) and, if asked, int64 positions in H*W.

    The first maximum in row-major order wins, and the first NaN wins over every number.

    Examples
    --------
    >>> max_pool2d(np.array([[[[1.0, 4.0], [4.0, 3.0]]]]), 2, return_indices=True)
    (array([[[[4.]]]]), array([[[[1]]]]))
    """
    N, C, H, W = x.shape
    stride = pool_size if stride is None else stride
    window = Window2D.make("max_pool2d", pool_size, stride, padding, dilation, ceil_mode)
    output = window.output_size("max_pool2d", (H, W))
    y = np.zeros((N, C, *output), x.dtype)
    indices = np.full(y.shape, -1, np.int64)  # -1 until a window meets its first cell
    flat = np.arange(H * W).reshape(H, W)  # (H*W,) -> (H, W)
    for _, _, out, into in taps(window, (H, W), output):
        best, value = y[out], x[into]
        wins = (indices[out] < 0) | (value > best) | ((value != value) & (best == best))
        y[out] = np.where(wins, value, best)
        indices[out] = np.where(wins, flat[into], indices[out])
    return (y, indices) if return_indices else y


def max_pool2d_backward(dy: Array, indices: Array, input_shape: tuple[int, int, int, int]) -> Array:
    """Add each gradient of dy (N, C, OH, OW) to the cell of (N, C, H, W) that was the maximum."""
    N, C, H, W = input_shape
    dx = np.zeros((N * C, H * W), dy.dtype)
    images = np.arange(N * C)[:, None]
    rows = N * C, dy.shape[2] * dy.shape[3]
    # (N, C, OH, OW) -> (N*C, OH*OW): windows that share a cell are added in row-major order
    np.add.at(dx, (images, indices.reshape(rows)), dy.reshape(rows))
    return dx.reshape(N, C, H, W)  # (N*C, H*W) -> (N, C, H, W)


def cell_counts(
    window: Window2D, size: tuple[int, int], output: tuple[int, int], count_include_pad: bool
) -> Array:
    """Return as int64 the number of cells by which the sum of each window (OH, OW) is divided."""
    axes = []
    for axis, (before, after) in enumerate(window.resolve(size)):
        low, high = (-before, size[axis] + after) if count_include_pad else (0, size[axis])
        starts = np.arange(output[axis]) * window.stride[axis] - before
        axes.append(np.minimum(starts + window.kernel[axis], high) - np.maximum(starts, low))
    return np.multiply.outer(axes[0], axes[1])


@quietly
def avg_pool2d(
    x: Array,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Array:
    """Return the mean of each window of (N, C, H, W).

    It is taken over the cells of the input. With `count_include_pad` the stated padding counts as
    well, but never what `ceil_mode` adds beyond it.

    Examples
    --------
    >>> avg_pool2d(np.array([[[[1.0, 2.0], [4.0, 3.0]]]]), 2)
    array([[[[2.5]]]])
    """
    N, C, H, W = x.shape
    stride = pool_size if stride is None else stride
    window = Window2D.make("avg_pool2d", pool_size, stride, padding, 1, ceil_mode)
    output = window.output_size("avg_pool2d", (H, W))
    total = np.zeros((N, C, *output), x.dtype)
    for _, _, out, into in taps(window, (H, W), output):
        total[out] += x[into]
    return total / cell_counts(window, (H, W), output, count_include_pad).astype(x.dtype)


@quietly
def avg_pool2d_backward(
    dy: Array,
    input_shape: tuple[int, int, int, int],
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Array:
    """Spread each gradient of dy (N, C, OH, OW) evenly over its window of (N, C, H, W)."""
    H, W = input_shape[2:]
    stride = pool_size if stride is None else stride
    window = Window2D.make("avg_pool2d_backward", pool_size, stride, padding, 1, ceil_mode)
    output = window.output_size("avg_pool2d_backward", (H, W))
    share = dy / cell_counts(window, (H, W), output, count_include_pad).astype(dy.dtype)
    dx = np.zeros(input_shape, dy.dtype)
    for _, _, out, into in taps(window, (H, W), output):
        dx[into] += share[out]
    return dx
