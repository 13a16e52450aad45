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
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "dense",
    "dense_backward",
    "elu",
    "elu_backward",
    "embedding",
    "embedding_backward",
    "erf",
    "exp",
    "expm1",
    "fold2d",
    "gelu",
    "gelu_backward",
    "group_norm",
    "group_norm_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "im2col",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log",
    "log1p",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "prelu",
    "prelu_backward",
    "relu6",
    "relu6_backward",
    "rescale",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "unfold2d",
    "upsample2d",
    "upsample2d_backward",
    "zero_padding2d",
    "zero_padding2d_backward",
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
    for r, s, out, into in _taps(window, x.shape[2:], output):
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
    for r, s, out, into in _taps(window, size, output):
        maps[into] += apart[:, :, r, s][out]
    return maps


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


def _transposed_output(window: Window2D, size: tuple[int, int], more: Any) -> tuple[int, int]:
    """Return (OH, OW) of a transposed convolution of a map of `size`."""
    if window.padding == "same":
        return size[0] * window.stride[0], size[1] * window.stride[1]
    more = more if isinstance(more, tuple) else (more, more)
    pads = window.resolve(size)
    rows, columns = (
        (size[axis] - 1) * window.stride[axis] + window.extent[axis] - sum(pads[axis]) + more[axis]
        for axis in (0, 1)
    )
    return rows, columns


@quietly
def conv2d_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Spread x (N, C, H, W) by weight (C, K/groups, R, S) over (N, K, OH, OW).

    Examples
    --------
    >>> conv2d_transpose(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)[0, 0]
    array([[1., 1., 2., 2.]])
    """
    N, C, H, W = x.shape
    _, filters, R, S = weight.shape
    window = Window2D.make("conv2d_transpose", (R, S), stride, padding, dilation)
    output = _transposed_output(window, (H, W), output_padding)
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, C // groups, filters, R, S)
    y = np.zeros((N, groups, filters, *output), x.dtype)
    for r, s, out, into in _taps(window, output, (H, W)):
        y[into] += np.einsum("ngchw,gck->ngkhw", xs[out], ws[..., r, s])
    y = y.reshape(N, groups * filters, *output)  # (groups, filters of a group) -> K
    if bias is not None:
        y += bias[:, None, None]
    return _activate(y, activation)


@quietly
def conv2d_transpose_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    needs: Collection[str] = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, K, OH, OW); None for those not named in `needs`."""
    N, C, H, W = x.shape
    _, filters, R, S = weight.shape
    window = Window2D.make("conv2d_transpose_backward", (R, S), stride, padding, dilation)
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, C // groups, filters, R, S)
    dys = dy.reshape(N, groups, filters, *dy.shape[2:])
    dx, dweight = np.zeros_like(xs), np.zeros_like(ws)
    for r, s, out, into in _taps(window, (dy.shape[2], dy.shape[3]), (H, W)):
        dx[out] += np.einsum("ngkhw,gck->ngchw", dys[into], ws[..., r, s])
        dweight[..., r, s] = np.einsum("ngchw,ngkhw->gck", xs[out], dys[into])
    return (
        dx.reshape(x.shape) if "x" in needs else None,  # (groups, channels of a group) -> C
        dweight.reshape(weight.shape) if "weight" in needs else None,
        dy.sum(axis=(0, 2, 3)) if "bias" in needs else None,
    )


def _readers(size: int, scale: int, mode: str) -> Iterator[tuple[int, int, float]]:
    """Yield (output, input, weight) for an axis of `size` that is made `scale` times as long."""
    for output in range(size * scale):
        middle = output // scale
        if mode == "nearest":
            yield output, middle, 1.0
            continue
        # from the middle of that input, in inputs
        apart = (2 * (output % scale) + 1 - scale) / (2 * scale)
        other = middle + (apart > 0) - (apart < 0)
        yield output, middle, 1 - abs(apart)
        if apart:
            yield output, min(max(other, 0), size - 1), abs(apart)


@quietly
def upsample2d(x: Array, scale: Any, mode: str = "nearest") -> Array:
    """Make (N, C, H, W) `scale` times as high and wide.

    Examples
    --------
    >>> upsample2d(np.array([[[[0.0, 4.0]]]]), (1, 2), "bilinear")
    array([[[[0., 1., 3., 4.]]]])
    """
    N, C, H, W = x.shape
    rows, columns = scale if isinstance(scale, tuple) else (scale, scale)
    if mode == "nearest":
        return x.repeat(rows, axis=2).repeat(columns, axis=3)
    high = np.zeros((N, C, H * rows, W), x.dtype)
    for i, h, weight in _readers(H, rows, mode):
        high[:, :, i] += x[:, :, h] * x.dtype.type(weight)
    y = np.zeros((N, C, H * rows, W * columns), x.dtype)
    for j, w, weight in _readers(W, columns, mode):
        y[..., j] += high[..., w] * x.dtype.type(weight)
    return y


@quietly
def upsample2d_backward(dy: Array, scale: Any, mode: str = "nearest") -> Array:
    """Return the gradient of the input of `upsample2d`."""
    N, C, OH, OW = dy.shape
    rows, columns = scale if isinstance(scale, tuple) else (scale, scale)
    H, W = OH // rows, OW // columns
    wide = np.zeros((N, C, H, OW), dy.dtype)
    for i, h, weight in _readers(H, rows, mode):
        wide[:, :, h] += dy[:, :, i] * dy.dtype.type(weight)
    dx = np.zeros((N, C, H, W), dy.dtype)
    for j, w, weight in _readers(W, columns, mode):
        dx[..., w] += wide[..., j] * dy.dtype.type(weight)
    return dx


def _sides(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return Window2D.make("zero_padding2d", 1, 1, padding).resolve((1, 1))


def zero_padding2d(x: Array, padding: Any) -> Array:
    """Put zeros around (N, C, H, W)."""
    return np.pad(x, ((0, 0), (0, 0), *_sides(padding)))


def zero_padding2d_backward(dy: Array, padding: Any) -> Array:
    """Return what lies within the padding of (N, C, OH, OW)."""
    (top, bottom), (left, right) = _sides(padding)
    return dy[:, :, top : dy.shape[2] - bottom, left : dy.shape[3] - right].copy()


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
def relu6(x: Array) -> Array:
    """Return each element kept within 0 and 6."""
    return np.minimum(np.maximum(x, 0), 6)


@quietly
def relu6_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `relu6`, computed from its output."""
    return np.where((y > 0) & (y < 6), dy, 0)


@quietly
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """Return x where it is positive, elsewhere the slope times it."""
    return np.where(x > 0, x, negative_slope * x)


@quietly
def leaky_relu_backward(dy: Array, y: Array, negative_slope: float = 0.01) -> Array:
    """Return the gradient of the input of `leaky_relu`, computed from its output."""
    return np.where(y > 0, dy, negative_slope * dy)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where it is positive, elsewhere alpha (exp(x) - 1)."""
    return _float64(lambda wide: np.where(wide > 0, wide, alpha * np.expm1(wide)), x)


@quietly
def elu_backward(dy: Array, y: Array, alpha: float = 1.0) -> Array:
    """Return the gradient of the input of `elu`, computed from its output."""
    return np.where(y > 0, dy, dy * (y + alpha))


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return _float64(lambda wide: np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))), x)


def softplus_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `softplus`, computed from its output."""
    return _float64(lambda wide: dy * -np.expm1(-wide), y)


@quietly
def hard_sigmoid(x: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    """Return alpha x + beta, kept within 0 and 1."""
    return np.minimum(np.maximum(alpha * x + beta, 0), 1)


@quietly
def hard_sigmoid_backward(dy: Array, y: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    """Return the gradient of the input of `hard_sigmoid`, computed from its output."""
    return np.where((y > 0) & (y < 1), alpha * dy, 0)


@quietly
def hard_swish(x: Array) -> Array:
    """Return x relu6(x + 3) / 6, and -0 for minus infinity."""
    return np.maximum(x, -3) * (relu6(x + 3) / 6)


@quietly
def hard_swish_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of the input of `hard_swish`, computed from it."""
    return np.where(x <= -3, 0, np.where(x >= 3, dy, dy * (x / 3 + 0.5)))


def silu(x: Array) -> Array:
    """Return x times the logistic function of x, and -0 for minus infinity."""
    return _float64(lambda wide: np.where(wide == -np.inf, -0.0, wide / (1 + np.exp(-wide))), x)


@quietly
def silu_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of the input of `silu`, computed from it."""

    def slope(wide: Array) -> Array:
        share = 1 / (1 + np.exp(-wide))
        return np.where(np.isinf(wide), wide > 0, share * (1 + wide * (1 - share)))

    return dy * _float64(slope, x)


def gelu(x: Array, approximate: str = "none") -> Array:
    """Return x times the share of the normal distribution below x, and -0 for minus infinity."""
    return _float64(
        lambda wide: np.where(wide == -np.inf, -0.0, wide * _below(wide, approximate)), x
    )


@quietly
def gelu_backward(dy: Array, x: Array, approximate: str = "none") -> Array:
    """Return the gradient of the input of `gelu`, computed from it."""

    def slope(wide: Array) -> Array:
        share = _below(wide, approximate)
        density = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
        if approximate == "tanh":
            density = share * (1 - share) * math.sqrt(8 / math.pi) * (1 + 0.134145 * wide**2)
        return np.where(np.isinf(wide), wide > 0, share + wide * density)

    return dy * _float64(slope, x)


def _below(wide: Array, approximate: str) -> Array:
    """Return the share of the normal distribution below each number, or its approximation."""
    if approximate == "tanh":
        return 1 / (1 + np.exp(-math.sqrt(8 / math.pi) * (wide + 0.044715 * wide**3)))
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    share: Array = erfc(-wide / math.sqrt(2)) / 2
    return share


@quietly
def rescale(x: Array, scale: Any, offset: Any = 0.0) -> Array:
    """Return scale x + offset, each a number or one for each channel."""
    ahead = (slice(None), *[None] * (x.ndim - 2))
    factors = (np.asarray(factor) for factor in (scale, offset))
    scale, offset = (factor[ahead] if factor.ndim else factor for factor in factors)
    return x * scale + offset


@quietly
def prelu(x: Array, weight: Array) -> Array:
    """Return x where it is positive, elsewhere the slope of its channel times it."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2))
    return np.where(x > 0, x, slopes * x)


@quietly
def prelu_backward(
    dy: Array, x: Array, weight: Array, needs_x: bool = True
) -> tuple[Array | None, Array]:
    """Return the gradients of the input and of the slopes of `prelu`."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2))
    axes = (0, *range(2, x.ndim))
    dx = np.where(x > 0, dy, slopes * dy) if needs_x else None
    return dx, np.where(x > 0, 0, dy * x).sum(axis=axes)


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


def _windows_of_channels(channels: int, size: int) -> Array:
    """Return the matrix (C, C) that is 1 where the window of the row has the column's channel."""
    away = np.arange(channels) - np.arange(channels)[:, None]
    return ((-(size // 2) <= away) & (away <= (size - 1) // 2)).astype(np.float64)


@quietly
def local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Return x divided by (k + alpha / size * sum of x**2 over a window of channels) ** beta."""
    return x / _scale(x, size, alpha, k) ** beta


@quietly
def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Return the gradient of the input of `local_response_norm`."""
    scale = _scale(x, size, alpha, k)
    turned = _windows_of_channels(x.shape[1], size).T
    terms = _over_channels(turned, dy * x / scale ** (beta + 1))
    return dy / scale**beta - 2 * alpha * beta / size * x * terms


def _over_channels(windows: Array, x: Array) -> Array:
    """Return the sums of x (N, C, ...) over windows of channels; each adds its own terms alone."""
    sums = [x[:, row != 0].sum(axis=1) for row in windows]
    return np.stack(sums, axis=1)


def _scale(x: Array, size: int, alpha: float, k: float) -> Array:
    """Return what `local_response_norm` raises to a power."""
    return k + alpha / size * _over_channels(_windows_of_channels(x.shape[1], size), x * x)


def _last(x: Array, axes: int | tuple[int, ...]) -> Array:
    """Return a view of x with the normalised axes at the end, in their order."""
    if isinstance(axes, int):
        axes = tuple(range(axes % x.ndim, x.ndim))
    places = sorted(axis % x.ndim for axis in axes)
    return np.moveaxis(x, places, range(-len(places), 0))


@quietly
def layer_norm(
    x: Array, weight: Array, bias: Array, axes: Any = 1, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return y, mean and 1 / sqrt(variance + epsilon) of the normalised axes."""
    y = np.empty_like(x)
    rows, out = _last(x, axes), _last(y, axes)
    over = tuple(range(-weight.ndim, 0))
    mean = rows.mean(over, keepdims=True)
    inverse = 1 / np.sqrt(((rows - mean) ** 2).mean(over, keepdims=True) + epsilon)
    out[...] = (rows - mean) * inverse * weight + bias
    return y, mean.squeeze(over), inverse.squeeze(over)


@quietly
def layer_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, inverse: Array, axes: Any = 1
) -> tuple[Array, Array, Array]:
    """Return (dx, dweight, dbias) of `layer_norm`."""
    dx = np.empty_like(x)
    rows, slopes = _last(x, axes), _last(dy, axes)
    over = tuple(range(-weight.ndim, 0))
    mean, inverse = (a.reshape(*a.shape, *[1] * weight.ndim) for a in (mean, inverse))
    z, g = (rows - mean) * inverse, slopes * weight
    away = g.mean(over, keepdims=True) + z * (g * z).mean(over, keepdims=True)
    _last(dx, axes)[...] = inverse * (g - away)
    others = tuple(range(x.ndim - weight.ndim))
    return dx, (slopes * z).sum(others), slopes.sum(others)


def _grouped(x: Array, groups: int) -> Array:
    """View x (N, C, ...) as (N, groups, elements)."""
    return x.reshape(x.shape[0], groups, math.prod(x.shape[1:]) // groups)


def _by_element(values: Array, x: Array) -> Array:
    """Return the values of channels, (C,), for each element of x (N, C, ...)."""
    return np.broadcast_to(values.reshape(1, -1, *[1] * (x.ndim - 2)), x.shape)


@quietly
def group_norm(
    x: Array, weight: Array, bias: Array, groups: int, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return y, mean and 1 / sqrt(variance + epsilon) of each group of channels."""
    rows = _grouped(x, groups)
    plain = np.ones(rows.shape[2]), np.zeros(rows.shape[2])
    z, mean, inverse = layer_norm(rows, *plain, axes=2, epsilon=epsilon)
    return z.reshape(x.shape) * _by_element(weight, x) + _by_element(bias, x), mean, inverse


@quietly
def group_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, inverse: Array
) -> tuple[Array, Array, Array]:
    """Return (dx, dweight, dbias) of `group_norm`."""
    rows, g = (_grouped(a, mean.shape[1]) for a in (x, dy * _by_element(weight, x)))
    plain = np.ones(rows.shape[2])
    dx = layer_norm_backward(g, rows, plain, mean, inverse, axes=2)[0]
    z = ((rows - mean[..., None]) * inverse[..., None]).reshape(x.shape)
    over = (0, *range(2, x.ndim))
    return dx.reshape(x.shape), (dy * z).sum(over), dy.sum(over)


def embedding(indices: Array, weight: Array) -> Array:
    """Return the row of `weight` for each index."""
    return weight[indices]


@quietly
def embedding_backward(dy: Array, indices: Array, entries: int) -> Array:
    """Return for each row the sum of its dy, in the order of their places."""
    dweight = np.zeros((entries, dy.shape[-1]), dy.dtype)
    np.add.at(dweight, indices, dy)
    return dweight
