"""The rectifier and dropout; new arrays, unless `out` says where."""

from __future__ import annotations

import math
import sys

import numpy as np

from fastconv import kernels, threads
from fastconv.arguments import as_plain_array, as_real, check_rounding
from fastconv.floating import quietly
from fastconv.functional import checks

__all__ = ["add_relu", "dropout", "relu", "relu_backward", "run_elements"]


def run_elements(kernel: str, out: np.ndarray, *arrays: object) -> None:
    """Run a kernel over arrays in a row; `arrays` come first, then what is written to."""
    if out.size:
        rows = [
            checks.contiguous(a).reshape(-1) if isinstance(a, np.ndarray) else a for a in arrays
        ]
        module = kernels.module(out.dtype)
        threads.run(getattr(module, kernel), *rows, work=threads.MOVE * out.size)


def relu(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the larger of `x` and 0, element by element; NaN stays NaN.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = checks.as_array("relu", "x", x)
    y = checks.as_output("relu", out, x.shape, x.dtype, x, over=True)
    run_elements("relu", y, x, y)
    return y


@quietly
def add_relu(x: np.ndarray, other: np.ndarray, out: np.ndarray) -> None:
    """Write to `out` the larger of ``x + other`` and 0, in one pass if all lie in a row.

    Parameters
    ----------
    x, other, out : ndarray
        Of one shape and dtype, float32 or float64. `out` may be one of the others.
    """
    if x.flags.c_contiguous and other.flags.c_contiguous:
        run_elements("add_relu", out, x, other, out)
    else:  # without a copy
        np.add(x, other, out=out)
        run_elements("relu", out, out, out)


def relu_backward(dy: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` is positive, 0 elsewhere (where `y` is NaN too).

    `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> relu_backward(np.array([3.0, np.inf]), np.array([1.0, 0.0])).tolist()
    [3.0, 0.0]
    """
    operation = "relu_backward"
    dy, y = checks.as_gradient(operation, dy, y)
    dx = checks.as_output(operation, out, y.shape, y.dtype, dy, y, over=True)
    run_elements(operation, dx, dy, y, dx)
    return dx


def dropout(
    x: np.ndarray, kept: np.ndarray, scale: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Return ``scale x`` where `kept` (bool, of the shape of `x`), elsewhere 0, even for NaN.

    Examples
    --------
    >>> dropout(np.array([1.0, np.inf]), np.array([True, False]), 2.0).tolist()
    [2.0, 0.0]
    """
    operation = "dropout"
    x = checks.as_array(operation, "x", x)
    mask = as_plain_array(
        operation, "kept", kept, (np.bool_,), rule="must be an array of bool", shape=x.shape
    )
    scale = as_real(operation, "scale", scale, "finite", -sys.float_info.max, math.inf)
    check_rounding(operation, "scale", scale, x.dtype)
    y = checks.as_output(operation, out, x.shape, x.dtype, x, mask, over=True)
    run_elements(operation, y, x, checks.contiguous(mask).view(np.uint8), y, scale)
    return y
