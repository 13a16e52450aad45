"""Max pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_bool, as_choice, as_plain_array, as_shape, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks
from fastconv.functional.packing import ACTIVATIONS
from fastconv.functional.pool_window import Pool, make_pool

__all__ = ["max_pool2d", "max_pool2d_argmax", "max_pool2d_argmax_backward", "max_pool2d_backward"]


#: How many flat indices are made at a time.  So few stay in the cache, let Ctrl-C be heard, and
#: need too little temporary memory of NumPy to count.
INDICES_AT_ONCE = 2**12


def max_pool2d(
    x: Any,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Take the maximum of each window.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers are right too: integers as float64, where that has them exactly.
    pool_size : int or (int, int)
    stride : int or (int, int), optional
        `pool_size` where it is not given.
    padding : as in `conv2d`
        Minus infinity: never the maximum.
    dilation : int or (int, int)
    ceil_mode : bool
        Whether a last window that overhangs the map counts; one that would begin in the
        padding on the right does not.
    return_indices : bool
    out : ndarray (N, C, OH, OW), optional

    Returns
    -------
    y : ndarray (N, C, OH, OW)
        NaN wins over every number.
    indices : ndarray (N, C, OH, OW), int64
        With `return_indices`: flat positions in H * W, of equal maxima the first.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value; also where a window lies in the padding.

    Notes
    -----
    No temporary bytes; with `return_indices` one byte an output, four beyond 256 taps.

    Examples
    --------
    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    operation = "max_pool2d"
    x = checks.as_floats(operation, "x", x)
    pool = make_pool(operation, x.shape, pool_size, stride, padding, dilation, ceil_mode)
    as_bool(operation, "return_indices", return_indices)
    y = checks.as_output(operation, out, pool.shape, x.dtype, x)
    argmax = _max(pool, x, y, return_indices)
    return y if argmax is None else (y, _flat_indices(pool, argmax))


def _max(
    pool: Pool, x: np.ndarray, y: np.ndarray, wants_argmax: bool, relu: bool = False
) -> np.ndarray | None:
    argmax = None
    if wants_argmax:
        positions = pool.window.taps + relu  # with ReLU one more, for none
        argmax = memory.empty(pool.shape, np.uint8 if positions <= 256 else np.int32)
    if y.size:
        window = pool.window
        threads.run(
            kernels.module(x.dtype).max_pool2d,
            checks.contiguous(x).reshape(pool.maps),
            y.reshape(pool.outputs),
            None if argmax is None else argmax.reshape(pool.outputs),
            window.kernel,
            window.stride,
            pool.pad,
            window.dilation,
            relu,
            work=pool.work,
        )
    return argmax


def _flat_indices(pool: Pool, argmax: np.ndarray) -> np.ndarray:
    """Return flat positions in the map for positions in the window."""
    window = pool.window
    taps = np.arange(window.taps)
    rows, columns = taps // window.kernel[1], taps % window.kernel[1]
    offsets = (rows * window.dilation[0] - pool.pad[0]) * pool.size[1]
    offsets += columns * window.dilation[1] - pool.pad[1]
    tops = np.arange(pool.output[0]) * window.stride[0] * pool.size[1]
    lefts = np.arange(pool.output[1]) * window.stride[1]
    indices = memory.empty(argmax.shape, np.int64)
    flat = indices.reshape(-1, len(lefts))  # (N C OH, OW)
    positions = argmax.reshape(flat.shape)
    at_once = max(1, INDICES_AT_ONCE // len(lefts))
    for begin in range(0, len(flat), at_once):
        part = flat[begin : begin + at_once]
        np.take(offsets, positions[begin : begin + at_once], out=part, mode="clip")
        part += tops[np.arange(begin, begin + len(part)) % len(tops), None]
        part += lefts
    return indices


def max_pool2d_backward(dy: Any, indices: Any, input_shape: Any) -> np.ndarray:
    """Send each gradient to the position its maximum came from.

    Parameters
    ----------
    dy : ndarray (N, C, OH, OW), float32, float64 or integers
    indices : ndarray (N, C, OH, OW), int64
        As `max_pool2d` returned them.
    input_shape : (N, C, H, W)

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    ArgumentError, ShapeError
        If an index lies outside the map, before anything is written.
    ArgumentTypeError
        If `indices` is not int64.

    Examples
    --------
    >>> import numpy as np
    >>> y, at = max_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True)
    >>> max_pool2d_backward(np.ones_like(y), at, (1, 1, 2, 2))[0, 0].tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    operation = "max_pool2d_backward"
    dy = checks.as_floats(operation, "dy", dy)
    check_axes(operation, "dy", dy.shape, "NCHW")
    n, c, h, w = as_shape(operation, "input_shape", input_shape, "NCHW")
    indices = as_plain_array(
        operation,
        "indices",
        indices,
        (np.int64,),
        rule="must be an array of int64",
        remedy="give those that max_pool2d returned",
    )
    if indices.shape != dy.shape or dy.shape[:2] != (n, c):
        raise ShapeError(
            operation,
            "dy, indices and input_shape",
            "must be (N, C, OH, OW), the same, and (N, C, H, W), of one N and C",
            (dy.shape, indices.shape, (n, c, h, w)),
            shown=f"{dy.shape}, {indices.shape} and {(n, c, h, w)}",
        )
    if indices.size and not (0 <= indices.min() and indices.max() < h * w):
        ends = int(indices.min()), int(indices.max())
        raise ArgumentError(
            operation,
            "indices",
            f"must lie between 0 and H * W - 1 (= {h * w - 1})",
            ends,
            "give those that max_pool2d returned",
            shown=f"{ends[0]} to {ends[1]}",
        )
    dx = memory.empty((n, c, h, w), dy.dtype)
    if dx.size:
        indices = _native(indices)
        flat = (n * c, *dy.shape[2:])
        threads.run(
            kernels.module(dy.dtype).scatter,
            checks.contiguous(dy).reshape(flat),
            indices.reshape(flat),
            dx.reshape(n * c, h, w),
            work=threads.MOVE * dx.size,
        )
    return dx


def _native(indices: np.ndarray) -> np.ndarray:
    """Return `indices` as kernels read them."""
    return checks.contiguous(indices) if indices.dtype.isnative else memory.copied(indices)


def max_pool2d_argmax(
    x: Any,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    activation: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return maxima and, for training, where in its window each was.

    Parameters
    ----------
    activation : None or "relu"
        Applied to the maxima. One that it makes zero passes no gradient on: the position is
        that after the last, of which there is none.

    Returns
    -------
    y : ndarray (N, C, OH, OW)
    argmax : ndarray (N, C, OH, OW), uint8, or int32 beyond 256 positions
        Position in the window, row-major.

    Examples
    --------
    >>> import numpy as np
    >>> y, argmax = max_pool2d_argmax(np.arange(4.0).reshape(1, 1, 2, 2), 2)
    >>> argmax.dtype, argmax.item()
    (dtype('uint8'), 3)
    """
    operation = "max_pool2d"
    x = checks.as_floats(operation, "x", x)
    pool = make_pool(operation, x.shape, pool_size, stride, padding, dilation, ceil_mode)
    as_choice(operation, "activation", activation, ACTIVATIONS)
    y = memory.empty(pool.shape, x.dtype)
    argmax = _max(pool, x, y, True, activation == "relu")
    assert argmax is not None
    return y, argmax


def max_pool2d_argmax_backward(
    dy: Any,
    argmax: np.ndarray,
    input_shape: Any,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Return dx (N, C, H, W) from the argmax that `max_pool2d_argmax` returned.

    Raises
    ------
    ShapeError
        If `dy` or `argmax` has not the shape of the output.
    """
    operation = "max_pool2d_backward"
    dy = checks.as_floats(operation, "dy", dy)
    shape = as_shape(operation, "input_shape", input_shape, "NCHW")
    pool = make_pool(operation, shape, pool_size, stride, padding, dilation, ceil_mode)
    pool.check_gradient(dy)
    argmax = as_plain_array(
        operation,
        "argmax",
        argmax,
        (np.uint8, np.int32),
        rule="must be an array of uint8 or int32",
        remedy="give that which max_pool2d_argmax returned",
        shape=pool.shape,
    )
    dx = memory.empty(shape, dy.dtype)
    if dx.size:
        window = pool.window
        threads.run(
            kernels.module(dy.dtype).max_pool2d_backward,
            checks.contiguous(dy).reshape(pool.outputs),
            _native(argmax).reshape(pool.outputs),
            dx.reshape(pool.maps),
            window.kernel,
            window.stride,
            pool.pad,
            window.dilation,
            work=pool.work,
        )
    return dx
