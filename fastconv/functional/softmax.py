"""Softmax, its logarithm and its gradient, along any axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import LARGEST, as_int
from fastconv.errors import ShapeError
from fastconv.functional import checks

__all__ = ["log_softmax", "softmax", "softmax_backward"]


def _run(operation: str, axis: Any, *arrays: np.ndarray) -> np.ndarray:
    """Run a kernel over arrays of one shape, seen as (N, K, P) with K along `axis`."""
    shape, ndim = arrays[0].shape, arrays[0].ndim
    axis = as_int(operation, "axis", axis, -LARGEST)
    if not -ndim <= axis < ndim:
        last = arrays[-1]
        row = ndim == 1 and axis == 1
        raise ShapeError(
            operation,
            "x" if len(arrays) == 1 else "y",
            f"must have an axis {axis}",
            last.shape,
            "for a single row take axis=0" if row else f"it has the axes {-ndim} to {ndim - 1}",
            shown=f"shape {last.shape}",
        )
    axis %= ndim
    out = memory.empty(shape, arrays[0].dtype)
    if out.size:
        planes = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        views = (checks.contiguous(array).reshape(planes) for array in arrays)
        kernel = getattr(kernels.module(out.dtype), operation)
        threads.run(kernel, *views, out.reshape(planes), work=threads.MOVE * out.size)
    return out


def softmax(x: Any, axis: int = 1) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along `axis`, computed without overflow.

    Parameters
    ----------
    x : ndarray, any shape with that axis, float32 or float64
    axis : int
        That of the classes, which sum up to 1.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 4 units roundoff (of 2**-24 in float32) of the exact value, or twice the smallest
        subnormal number.  A row that holds a NaN or plus infinity, or nothing but minus
        infinity, is NaN, as the formula has it.  The same bits for every number of threads,
        batch split, layout and place of the axis.

    Raises
    ------
    ArgumentTypeError, ShapeError
        If `x` is no array of float32 or float64, or has no such axis.

    Notes
    -----
    No temporary bytes.  The largest of a row is subtracted without an error, and the sum keeps
    what its additions round away (Knuth, "The Art of Computer Programming" 2, section 4.2.2).

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    return _run("softmax", axis, checks.as_array("softmax", "x", x))


def log_softmax(x: Any, axis: int = 1) -> np.ndarray:
    """Return the logarithm of `softmax`, exact in both tails: near 0, and where it would be -inf.

    Parameters
    ----------
    x : ndarray, any shape with that axis, float32 or float64
    axis : int

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 4 units roundoff of the exact value, NaN where `softmax` is.

    Raises
    ------
    ArgumentTypeError, ShapeError
        As `softmax`.

    Notes
    -----
    ``x - most - log1p(s)``, where s is the sum of exp(x - most) over all classes but one that is
    the largest: no digits cancel.  No temporary bytes.

    Examples
    --------
    >>> log_softmax(np.array([[0.0, -800.0]])).tolist()
    [[0.0, -800.0]]
    >>> f"{log_softmax(np.array([[0.0, -40.0]]))[0, 0]:.4g}"
    '-4.248e-18'
    """
    return _run("log_softmax", axis, checks.as_array("log_softmax", "x", x))


def softmax_backward(dy: Any, y: Any, axis: int = 1) -> np.ndarray:
    """Return y (dy - sum(dy y)) along `axis`, the gradient of `softmax` by its output `y`.

    Parameters
    ----------
    dy, y : ndarray of one shape and dtype, float32 or float64
    axis : int

    Returns
    -------
    dx : ndarray of that shape and dtype
        Within 4 units roundoff of y times the largest abs(dy) of the row.

    Raises
    ------
    ArgumentTypeError, ShapeError
        If dtypes or shapes do not fit, or there is no such axis.

    Notes
    -----
    No temporary bytes; the sum is that of `softmax`.

    Examples
    --------
    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])).tolist()
    [[0.25, -0.25]]
    """
    return _run("softmax_backward", axis, *checks.as_gradient("softmax_backward", dy, y))
