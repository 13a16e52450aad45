"""Local response normalisation, and its gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_int, as_real, check_rounding
from fastconv.errors import ShapeError
from fastconv.functional import checks

__all__ = ["LocalResponse", "local_response", "local_response_norm", "local_response_norm_backward"]

#: The most channels of a window: a thread keeps as many vectors on its stack.
LARGEST_WINDOW = 1024


class LocalResponse(NamedTuple):
    """The settings of the normalisation."""

    size: int
    alpha: float
    beta: float
    k: float


def local_response(operation: str, size: Any, alpha: Any, beta: Any, k: Any) -> LocalResponse:
    """Return the settings, checked.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Naming the parameter, the rule and the value.
    """
    size = as_int(operation, "size", size, 1, LARGEST_WINDOW)
    alpha = as_real(operation, "alpha", alpha, "at least 0 and finite", 0.0, math.inf)
    beta = as_real(operation, "beta", beta, "at least 0 and finite", 0.0, math.inf)
    k = as_real(operation, "k", k, "positive and finite", math.ulp(0.0), math.inf)
    return LocalResponse(size, alpha, beta, k)


def _run(operation: str, settings: LocalResponse, *arrays: np.ndarray) -> np.ndarray:
    """Run a kernel over arrays of one shape (N, C, ...), of which the last is x."""
    x = arrays[-1]
    if x.ndim < 2:
        raise ShapeError(operation, "x", "must have shape (N, C, ...)", x.shape)
    for name, value in zip(("alpha", "beta", "k"), settings[1:], strict=True):
        check_rounding(operation, name, value, x.dtype)
    out = memory.empty(x.shape, x.dtype)
    if out.size:
        planes = (*x.shape[:2], math.prod(x.shape[2:]))
        views = (checks.contiguous(array).reshape(planes) for array in arrays)
        work = (threads.MOVE + min(settings.size, x.shape[1])) * x.size
        kernel = getattr(kernels.module(x.dtype), operation)
        threads.run(kernel, *views, out.reshape(planes), *settings, work=work)
    return out


def local_response_norm(
    x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """Divide each element by a power of the squares around it, over neighbouring channels.

    Parameters
    ----------
    x : ndarray (N, C, ...), float32 or float64
    size : int
        The channels of a window, from 1 to 1024: ``size // 2`` before the element's own and
        ``(size - 1) // 2`` after it.  Those beyond the first and last channel count as zeros.
    alpha : float
        The weight of the mean square, at least 0.  It is divided by `size`.
    beta : float
        The power, at least 0.
    k : float
        What is added to the weighted mean square, above 0.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        ``x / (k + alpha / size * (sum of x**2 over the window)) ** beta``, whose error is within
        ``8 + beta * (min(size, 32) + 4 + 2 * abs(log(scale)))`` units roundoff (2**-24 in
        float32), where scale is what is raised to `beta`.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        Naming the parameter, the rule and the value; `alpha`, `beta` and `k` must not round to 0
        in the dtype.

    Notes
    -----
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3, with `alpha` divided by `size` as
    PyTorch and ONNX have it; the paper's alpha is ``alpha / size`` here.  Where `size` is even, the
    window is PyTorch's; that of ONNX has its larger side after the element.  For a `beta` of 0.5,
    0.75 or 1 the power is made of square roots, else of `exp` and `log`.  Squares beyond the
    largest number are infinite, and the element then is 0.  No temporary bytes.

    Examples
    --------
    >>> x = np.array([[[1.0], [2.0], [0.0]]])
    >>> local_response_norm(x, 3, alpha=3.0, beta=1.0, k=1.0).ravel().round(4).tolist()
    [0.1667, 0.3333, 0.0]
    """
    operation = "local_response_norm"
    settings = local_response(operation, size, alpha, beta, k)
    return _run(operation, settings, checks.as_array(operation, "x", x))


def local_response_norm_backward(
    dy: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """Return the gradient of `local_response_norm` by its input `x`.

    Parameters
    ----------
    dy, x : ndarray (N, C, ...) of one shape and dtype, float32 or float64
    size, alpha, beta, k
        As of `local_response_norm`.

    Returns
    -------
    dx : ndarray of that shape and dtype

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        As `local_response_norm`; also if dtypes or shapes do not fit.

    Notes
    -----
    ``dx = dy / scale**beta - 2 * alpha * beta / size * x * t``, where t is the sum of
    ``dy * x / scale**(beta + 1)`` over the elements whose windows hold this one.  No temporary
    bytes: the scales are computed again.

    Examples
    --------
    >>> x, dy = np.array([[[1.0], [2.0]]]), np.array([[[1.0], [0.0]]])
    >>> local_response_norm_backward(dy, x, 3, alpha=3.0, beta=1.0).ravel().round(4).tolist()
    [0.1111, -0.1111]
    """
    operation = "local_response_norm_backward"
    settings = local_response(operation, size, alpha, beta, k)
    x, dy = checks.as_array(operation, "x", x), checks.as_array(operation, "dy", dy)
    if not checks.are_of_one_dtype(x, dy):
        checks.of_one_dtype(operation, x=x, dy=dy)
    if dy.shape != x.shape:
        raise ShapeError(operation, "dy", f"must have the shape of x, {x.shape}", dy.shape)
    return _run(operation, settings, dy, x)
