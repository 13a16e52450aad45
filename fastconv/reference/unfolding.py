"""Windows of an image as rows of a matrix, or as columns, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D
from fastconv.reference.taps import Array, taps


def im2col(input_data: Array, filter_h: int, filter_w: int, stride: Any = 1, pad: Any = 0) -> Array:
    """Write every window of (N, C, H, W) as a row of (N*OH*OW, C*filter_h*filter_w).

    Examples
    --------
    >>> im2col(np.arange(4.0).reshape(1, 1, 2, 2), 1, 2)
    array([[0., 1.],
           [2., 3.]])
    """
    N, C, H, W = input_data.shape
    window = Window2D.make("im2col", (filter_h, filter_w), stride, pad, 1)
    OH, OW = window.output_size("im2col", (H, W))
    columns = np.zeros((N, C, filter_h, filter_w, OH, OW), input_data.dtype)
    for r, s, out, into in taps(window, (H, W), (OH, OW)):
        columns[:, :, r, s][out] = input_data[into]
    # (N, C, R, S, OH, OW) -> (N, OH, OW, C, R, S) -> one row for each window
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(N * OH * OW, C * filter_h * filter_w)


@quietly
def col2im(
    col: Array,
    input_shape: tuple[int, int, int, int],
    filter_h: int,
    filter_w: int,
    stride: Any = 1,
    pad: Any = 0,
) -> Array:
    """Add every row of `im2col`'s matrix back to the window it came from: the adjoint."""
    N, C, H, W = input_shape
    window = Window2D.make("col2im", (filter_h, filter_w), stride, pad, 1)
    OH, OW = window.output_size("col2im", (H, W))
    # one row for each window -> (N, OH, OW, C, R, S) -> (N, C, R, S, OH, OW)
    columns = col.reshape(N, OH, OW, C, filter_h, filter_w).transpose(0, 3, 4, 5, 1, 2)
    image = np.zeros((N, C, H, W), col.dtype)
    for r, s, out, into in taps(window, (H, W), (OH, OW)):
        image[into] += columns[:, :, r, s][out]
    return image


def _columns(window: Window2D, shape: tuple[int, ...], dtype: Any) -> tuple[Array, tuple[int, int]]:
    """Return zeros (N, C, R, S, OH, OW) for maps of `shape`, and (OH, OW)."""
    output = window.output_size("unfold2d", (shape[2], shape[3]))
    return np.zeros((*shape[:2], *window.kernel, *output), dtype), output


def unfold2d(
    x: Array, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Array:
    """Write what each tap sees of (N, C, H, W) as a row of (N, C*R*S, OH*OW)."""
    window = Window2D.make("unfold2d", kernel_size, stride, padding, dilation)
    columns, output = _columns(window, x.shape, x.dtype)
    for r, s, out, into in taps(window, x.shape[2:], output):
        columns[:, :, r, s][out] = x[into]
    return columns.reshape(len(x), x.shape[1] * window.taps, output[0] * output[1])


@quietly
def fold2d(
    columns: Array,
    output_size: Any,
    kernel_size: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Array:
    """Add the columns of `unfold2d` back to maps (N, C, H, W): the adjoint."""
    size = output_size if isinstance(output_size, tuple) else (output_size, output_size)
    window = Window2D.make("fold2d", kernel_size, stride, padding, dilation)
    shape = len(columns), columns.shape[1] // window.taps, *size
    zeros, output = _columns(window, shape, columns.dtype)
    apart, maps = columns.reshape(zeros.shape), np.zeros(shape, columns.dtype)
    for r, s, out, into in taps(window, size, output):
        maps[into] += apart[:, :, r, s][out]
    return maps
