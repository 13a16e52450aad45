"""Max and average pooling."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import kernels, memory, threads
from ..errors import ArgumentError, ArgumentTypeError, ShapeError, shorten
from ..geometry import Window2D, as_shape, check_axes
from . import checks

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_argmax",
    "max_pool2d_argmax_backward",
    "max_pool2d_backward",
]


class _Pool:
    """One checked pooling: the window, the resolved padding, the output, and how to run it."""

    def __init__(
        self, operation: str, shape: tuple, pool_size: Any, stride: Any, padding: Any,
        dilation: Any = 1, ceil_mode: bool = False,
    ):  # fmt: skip
        check_axes(operation, "x", shape, "NCHW")
        self.operation = operation
        stride = pool_size if stride is None else stride
        self.window = window = Window2D.make(
            operation, pool_size, stride, padding, dilation, ceil_mode, "pool_size"
        )
        n, c, h, w = shape
        self.planes, self.size = n * c, (h, w)
        self.output = window.output_size(operation, (h, w))
        self.shape = (n, c, *self.output)
        self.pads = window.resolve((h, w))
        for axis in (0, 1):
            self._check_windows_see_the_map(axis)

    def _check_windows_see_the_map(self, axis: int) -> None:
        """The first and the last window, and with them all, must reach an element of the map.

        With dilation a window may step over a small map; then each is looked at.
        """
        size, taps, before = self.size[axis], self.window.kernel[axis], self.pads[axis][0]
        stride, dilation = self.window.stride[axis], self.window.dilation[axis]
        count = self.output[axis]
        positions = (0, count - 1) if dilation <= size else range(min(count, before + size + 1))
        for i in positions:
            start = i * stride - before
            first = max(0, -(start // dilation)) if start < 0 else 0  # first tap at or after 0
            if first >= taps or start + first * dilation >= size:
                raise ArgumentError(
                    f"{self.operation}: padding must leave an element of the input in every "
                    f"window, got padding {self.pads} for pool_size {self.window.kernel} on a "
                    f"map of {self.size[0]}x{self.size[1]}"
                )

    @property
    def pad(self) -> tuple[int, int]:
        return self.pads[0][0], self.pads[1][0]

    def run(self, kernel: Any, *args: Any) -> None:
        outputs = self.planes * self.output[0] * self.output[1]
        work = outputs * (self.window.taps + threads.MOVE)
        threads.run(kernel, *args, work=work)

    def flat(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.planes, *array.shape[2:])


@lru_cache(maxsize=4096, typed=True)
def _checked(operation: str, shape: tuple, *window: Any) -> _Pool:
    return _Pool(operation, shape, *window)


def _resolve(
    operation: str, shape: tuple, pool_size: Any, stride: Any, padding: Any,
    dilation: Any = 1, ceil_mode: Any = False,
) -> _Pool:  # fmt: skip
    """Return the checked pooling; plain integers and words, the usual case, are cached."""
    plain = (int, str, type(None))
    if (
        type(pool_size) in plain and type(stride) in plain and type(padding) in plain
        and type(dilation) in plain and type(ceil_mode) is bool
    ):  # fmt: skip
        return _checked(operation, shape, pool_size, stride, padding, dilation, ceil_mode)
    return _Pool(operation, shape, pool_size, stride, padding, dilation, ceil_mode)


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
    x = checks.as_array(operation, "x", x)
    pool = _resolve(operation, x.shape, pool_size, stride, padding, dilation, ceil_mode)
    if not isinstance(return_indices, bool):
        raise ArgumentTypeError(
            f"{operation}: return_indices must be True or False, got {shorten(return_indices)}"
        )
    y = checks.as_output(operation, out, pool.shape, x.dtype, x)
    argmax = _max(pool, x, y, return_indices)
    return y if argmax is None else (y, _flat_indices(pool, argmax))


def _max(pool: _Pool, x: np.ndarray, y: np.ndarray, wants_argmax: bool) -> np.ndarray | None:
    argmax = None
    if wants_argmax:
        argmax = memory.empty(pool.shape, np.uint8 if pool.window.taps <= 256 else np.int32)
    if y.size:
        window = pool.window
        pool.run(
            kernels.module(x.dtype).max_pool2d, pool.flat(checks.contiguous(x)), pool.flat(y),
            None if argmax is None else pool.flat(argmax), window.kernel, window.stride,
            pool.pad, window.dilation,
        )  # fmt: skip
    return argmax


def _flat_indices(pool: _Pool, argmax: np.ndarray) -> np.ndarray:
    """Positions in the window to flat positions in the map."""
    window = pool.window
    taps = np.arange(window.taps)
    rows, columns = taps // window.kernel[1], taps % window.kernel[1]
    offsets = (rows * window.dilation[0] - pool.pad[0]) * pool.size[1]
    offsets += columns * window.dilation[1] - pool.pad[1]
    indices = memory.empty(argmax.shape, np.int64)
    np.take(offsets, argmax, out=indices, mode="clip")
    indices += (np.arange(pool.output[0]) * window.stride[0] * pool.size[1])[:, None]
    indices += np.arange(pool.output[1]) * window.stride[1]
    return indices


def max_pool2d_backward(dy: Any, indices: Any, input_shape: Any) -> np.ndarray:
    """Send each gradient to the position its maximum came from.

    Parameters
    ----------
    dy : ndarray (N, C, OH, OW), float32 or float64
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
    dy = checks.as_array(operation, "dy", dy)
    check_axes(operation, "dy", dy.shape, "NCHW")
    n, c, h, w = as_shape(operation, "input_shape", input_shape, "NCHW")
    if not isinstance(indices, np.ndarray) or isinstance(indices, np.ma.MaskedArray):
        raise ArgumentTypeError(f"{operation}: indices must be a NumPy array of int64")
    if indices.dtype.newbyteorder("=") != np.int64:
        raise ArgumentTypeError(f"{operation}: indices must be int64, got {indices.dtype}")
    if indices.shape != dy.shape or dy.shape[:2] != (n, c):
        raise ShapeError(
            f"{operation}: dy, indices and input_shape must agree, got {dy.shape}, "
            f"{indices.shape} and {(n, c, h, w)}"
        )
    if indices.size and not (0 <= indices.min() and indices.max() < h * w):
        raise ArgumentError(
            f"{operation}: indices must lie between 0 and H * W - 1 (= {h * w - 1}), got "
            f"{indices.min()} to {indices.max()}"
        )
    dx = memory.empty((n, c, h, w), dy.dtype)
    if dx.size:
        indices = checks.contiguous(indices)
        if not indices.dtype.isnative:
            indices = memory.copied(indices)
        flat = (n * c, *dy.shape[2:])
        threads.run(
            kernels.module(dy.dtype).scatter, checks.contiguous(dy).reshape(flat),
            indices.reshape(flat), dx.reshape(n * c, h, w), work=threads.MOVE * dx.size,
        )  # fmt: skip
    return dx


def max_pool2d_argmax(
    x: Any, pool_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return maxima and, for training, where in its window each was.

    Returns
    -------
    y : ndarray (N, C, OH, OW)
    argmax : ndarray (N, C, OH, OW), uint8, or int32 beyond 256 taps
        Position in the window, row-major.

    Examples
    --------
    >>> import numpy as np
    >>> y, argmax = max_pool2d_argmax(np.arange(4.0).reshape(1, 1, 2, 2), 2)
    >>> argmax.dtype, argmax.item()
    (dtype('uint8'), 3)
    """
    x = checks.as_array("max_pool2d", "x", x)
    pool = _resolve("max_pool2d", x.shape, pool_size, stride, padding, dilation, ceil_mode)
    y = memory.empty(pool.shape, x.dtype)
    argmax = _max(pool, x, y, True)
    assert argmax is not None
    return y, argmax


def max_pool2d_argmax_backward(
    dy: Any, argmax: np.ndarray, input_shape: Any, pool_size: Any, *, stride: Any = None,
    padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return dx (N, C, H, W) from the argmax that `max_pool2d_argmax` returned.

    Raises
    ------
    ShapeError
        If `dy` or `argmax` has not the shape of the output.
    """
    operation = "max_pool2d_backward"
    dy = checks.as_array(operation, "dy", dy)
    shape = as_shape(operation, "input_shape", input_shape, "NCHW")
    pool = _resolve(operation, shape, pool_size, stride, padding, dilation, ceil_mode)
    _check_gradient(pool, dy)
    if argmax.shape != pool.shape or argmax.dtype not in (np.uint8, np.int32):
        raise ShapeError(
            f"{operation}: argmax must be uint8 or int32 of shape {pool.shape}, "
            f"got {argmax.dtype} of {argmax.shape}"
        )
    dx = memory.empty(shape, dy.dtype)
    if dx.size:
        window = pool.window
        pool.run(
            kernels.module(dy.dtype).max_pool2d_backward, pool.flat(checks.contiguous(dy)),
            pool.flat(checks.contiguous(argmax)), pool.flat(dx), window.kernel, window.stride,
            pool.pad, window.dilation,
        )  # fmt: skip
    return dx


def _check_gradient(pool: _Pool, dy: np.ndarray) -> None:
    if dy.shape != pool.shape:
        raise ShapeError(
            f"{pool.operation}: dy must have the shape of the output, {pool.shape}, "
            f"got {dy.shape}"
        )


def _check_flag(operation: str, count_include_pad: Any) -> None:
    if not isinstance(count_include_pad, bool):
        raise ArgumentTypeError(
            f"{operation}: count_include_pad must be True or False, "
            f"got {shorten(count_include_pad)}"
        )


def avg_pool2d(
    x: Any,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Take the average of each window.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
    pool_size, stride, padding, ceil_mode
        As in `max_pool2d`.
    count_include_pad : bool
        Whether padded zeros count as elements; cells beyond the stated padding never do.
    out : ndarray (N, C, OH, OW), optional

    Returns
    -------
    ndarray (N, C, OH, OW)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `max_pool2d`.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    operation = "avg_pool2d"
    x = checks.as_array(operation, "x", x)
    _check_flag(operation, count_include_pad)
    pool = _resolve(operation, x.shape, pool_size, stride, padding, 1, ceil_mode)
    y = checks.as_output(operation, out, pool.shape, x.dtype, x)
    if y.size:
        pool.run(
            kernels.module(x.dtype).avg_pool2d, pool.flat(checks.contiguous(x)), pool.flat(y),
            pool.window.kernel, pool.window.stride, pool.pads, count_include_pad,
        )  # fmt: skip
    return y


def avg_pool2d_backward(
    dy: Any,
    input_shape: Any,
    pool_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> np.ndarray:
    """Share each gradient equally among the elements of its window.

    Parameters
    ----------
    dy : ndarray (N, C, OH, OW), float32 or float64
    input_shape : (N, C, H, W)
    pool_size, stride, padding, ceil_mode, count_include_pad
        As given to `avg_pool2d`.

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    ShapeError
        If `dy` has not the shape of the output.

    Examples
    --------
    >>> import numpy as np
    >>> avg_pool2d_backward(np.ones((1, 1, 1, 1)), (1, 1, 2, 2), 2)[0, 0].tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    operation = "avg_pool2d_backward"
    dy = checks.as_array(operation, "dy", dy)
    shape = as_shape(operation, "input_shape", input_shape, "NCHW")
    _check_flag(operation, count_include_pad)
    pool = _resolve(operation, shape, pool_size, stride, padding, 1, ceil_mode)
    _check_gradient(pool, dy)
    dx = memory.empty(shape, dy.dtype)
    if dx.size:
        pool.run(
            kernels.module(dy.dtype).avg_pool2d_backward, pool.flat(checks.contiguous(dy)),
            pool.flat(dx), pool.window.kernel, pool.window.stride, pool.pads, count_include_pad,
        )  # fmt: skip
    return dx
