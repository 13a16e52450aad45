"""Naive NumPy twins of every operation: the specification of the kernels.

Each function has the signature of its namesake in :mod:`fastconv.functional` without the
options that only choose how the work is done. All share one idea, the `tap`: a place (r, s) of
the window. The inputs that a tap reads are a strided rectangle. Outputs for which the tap would
fall in the padding are left out of it. Nothing is really padded, so no padding can reach a result.

::

    output, one number per window        input, read by the tap (r, s)

    . . . . .   '.' the tap falls in     o = output row
    . # # # #       the padding          i = o * stride - top + r * dilation
    . # # # #   '#' 0 <= i < H

Arrays may have any numeric dtype. Whole numbers in float64 give exact sums. Functions of one
number are computed in float64. Nothing checks the arguments here: :mod:`fastconv.functional` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "dense",
    "dense_backward",
    "erf",
    "exp",
    "expm1",
    "im2col",
    "log",
    "log1p",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]

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


def _taps(
    window: Window2D, size: tuple[int, int], output: tuple[int, int]
) -> Iterator[tuple[int, int, Rectangle, Rectangle]]:
    """Yield each tap (r, s) in row-major order, with its rectangles of the output and the input."""
    (top, _), (left, _) = window.resolve(size)
    for r in range(window.kernel[0]):
        rows = _axis(size[0], output[0], window.stride[0], top, r * window.dilation[0])
        for s in range(window.kernel[1]):
            columns = _axis(size[1], output[1], window.stride[1], left, s * window.dilation[1])
            yield r, s, (..., rows[0], columns[0]), (..., rows[1], columns[1])


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
    for r, s, out, into in _taps(window, (H, W), (OH, OW)):
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
    for r, s, out, into in _taps(window, (H, W), (OH, OW)):
        image[into] += columns[:, :, r, s][out]
    return image


def _activate(y: Array, activation: str | None) -> Array:
    return np.maximum(y, np.zeros((), y.dtype)) if activation == "relu" else y


@quietly
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Cross-correlate x (N, C, H, W) with weight (K, C/groups, R, S) to (N, K, OH, OW).

    Examples
    --------
    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    window = Window2D.make("conv2d", (R, S), stride, padding, dilation)
    output = window.output_size("conv2d", (H, W))
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, K // groups, C // groups, R, S)  # K likewise
    y = np.zeros((N, groups, K // groups, *output), x.dtype)
    for r, s, out, into in _taps(window, (H, W), output):
        y[out] += np.einsum("ngchw,gkc->ngkhw", xs[into], ws[..., r, s])
    y = y.reshape(N, K, *output)  # (groups, filters of a group) -> K
    if bias is not None:
        y += bias[:, None, None]
    return _activate(y, activation)


@quietly
def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    needs: Collection[str] = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, K, OH, OW); None for those not named in `needs`."""
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    window = Window2D.make("conv2d_backward", (R, S), stride, padding, dilation)
    output = window.output_size("conv2d_backward", (H, W))
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, K // groups, C // groups, R, S)  # K likewise
    dys = dy.reshape(N, groups, K // groups, *output)
    dx, dweight = np.zeros_like(xs), np.zeros_like(ws)
    for r, s, out, into in _taps(window, (H, W), output):
        if "x" in needs:
            dx[into] += np.einsum("ngkhw,gkc->ngchw", dys[out], ws[..., r, s])
        if "weight" in needs:
            dweight[..., r, s] = np.einsum("ngkhw,ngchw->gkc", dys[out], xs[into])
    return (
        dx.reshape(x.shape) if "x" in needs else None,  # (groups, channels of a group) -> C
        dweight.reshape(weight.shape) if "weight" in needs else None,
        dy.sum(axis=(0, 2, 3)) if "bias" in needs else None,
    )


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
    for _, _, out, into in _taps(window, (H, W), output):
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


def _counts(
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
    for _, _, out, into in _taps(window, (H, W), output):
        total[out] += x[into]
    return total / _counts(window, (H, W), output, count_include_pad).astype(x.dtype)


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
    share = dy / _counts(window, (H, W), output, count_include_pad).astype(dy.dtype)
    dx = np.zeros(input_shape, dy.dtype)
    for _, _, out, into in _taps(window, (H, W), output):
        dx[into] += share[out]
    return dx


@quietly
def dense(
    x: Array, weight: Array, bias: Array | None = None, *, activation: str | None = None
) -> Array:
    """Return x (N, inputs) times the transpose of weight (units, inputs), plus bias (units,)."""
    y = x @ weight.T
    return _activate(y if bias is None else y + bias, activation)


@quietly
def dense_backward(
    dy: Array, x: Array, weight: Array, *, needs: Collection[str] = ("x", "weight", "bias")
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, units); None for those not named in `needs`."""
    return (
        dy @ weight if "x" in needs else None,
        dy.T @ x if "weight" in needs else None,
        dy.sum(axis=0) if "bias" in needs else None,
    )


def _float64(function: Callable[[Array], Array], x: Array) -> Array:
    with np.errstate(all="ignore"):
        return function(np.asarray(x, np.float64))


def exp(x: Array) -> Array:
    """Return e to the power of each element."""
    return _float64(np.exp, x)


def expm1(x: Array) -> Array:
    """Return exp(x) - 1."""
    return _float64(np.expm1, x)


def log(x: Array) -> Array:
    """Return the natural logarithm of each element."""
    return _float64(np.log, x)


def log1p(x: Array) -> Array:
    """Return log(1 + x)."""
    return _float64(np.log1p, x)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of each element."""
    return _float64(np.tanh, x)


def erf(x: Array) -> Array:
    """Return the error function of each element."""
    return _float64(np.vectorize(math.erf, otypes=[np.float64]), x)


def sigmoid(x: Array) -> Array:
    """Return the logistic function of each element."""
    return _float64(lambda wide: 1 / (1 + np.exp(-wide)), x)


@quietly
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `sigmoid`, computed from its output."""
    return dy * (y * (1 - y))


@quietly
def tanh_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `tanh`, computed from its output."""
    return dy * ((1 - y) * (1 + y))


@quietly
def softmax(x: Array, axis: int = 1) -> Array:
    """Return exp(x) / sum(exp(x)) along `axis`."""
    powers = exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@quietly
def log_softmax(x: Array, axis: int = 1) -> Array:
    """Return the logarithm of `softmax`; log1p of the sum without the largest term keeps digits."""
    below = x - x.max(axis=axis, keepdims=True)
    others = np.delete(np.sort(exp(below), axis=axis), -1, axis=axis)
    return below - log1p(others.sum(axis=axis, keepdims=True))


@quietly
def softmax_backward(dy: Array, y: Array, axis: int = 1) -> Array:
    """Return the gradient of the input of `softmax`, computed from its output."""
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))
