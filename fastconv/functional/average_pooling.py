"""Average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_bool, as_shape
from fastconv.functional import checks
from fastconv.functional.pool_window import make_pool

__all__ = ["avg_pool2d", "avg_pool2d_backward"]


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
        Lists and integers are right too: integers as float64, where that has them exactly.
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
    x = checks.as_floats(operation, "x", x)
    as_bool(operation, "count_include_pad", count_include_pad)
    pool = make_pool(operation, x.shape, pool_size, stride, padding, 1, ceil_mode)
    y = checks.as_output(operation, out, pool.shape, x.dtype, x)
    if y.size:
        threads.run(
            kernels.module(x.dtype).avg_pool2d,
            checks.contiguous(x).reshape(pool.maps),
            y.reshape(pool.outputs),
            pool.window.kernel,
            pool.window.stride,
            pool.pads,
            count_include_pad,
            work=pool.work,
        )
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
    dy : ndarray (N, C, OH, OW), float32, float64 or integers
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
    dy = checks.as_floats(operation, "dy", dy)
    shape = as_shape(operation, "input_shape", input_shape, "NCHW")
    as_bool(operation, "count_include_pad", count_include_pad)
    pool = make_pool(operation, shape, pool_size, stride, padding, 1, ceil_mode)
    pool.check_gradient(dy)
    dx = memory.empty(shape, dy.dtype)
    if dx.size:
        threads.run(
            kernels.module(dy.dtype).avg_pool2d_backward,
            checks.contiguous(dy).reshape(pool.outputs),
            dx.reshape(pool.maps),
            pool.window.kernel,
            pool.window.stride,
            pool.pads,
            count_include_pad,
            work=pool.work,
        )
    return dx
