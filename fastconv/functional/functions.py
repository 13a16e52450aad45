"""Functions of one number: exp, log, the logistic function, tanh, erf, and two gradients.

They are kernels of our own, so that their bits depend neither on NumPy's version nor on the C
library.  The bits of an element depend on its argument and on the instruction set, and on no other
element.

Errors are stated in units in the last place (ulp) of the exact result, also where that is
subnormal.  Those of float32 are the largest over all 2**32 arguments; those of float64 are the
largest that was found for some millions of arguments.  Each polynomial is a minimax fit of our own,
made for this purpose (``kernels/simd/polynomials.h``); the reductions of the argument are the usual
ones (Muller, "Elementary Functions", 3rd edition, chapters 3 and 11).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional import checks
from fastconv.functional.elementwise import run_elements

__all__ = [
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]


def _of(function: str, x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the kernel `function` of every element, in `out` if that is given."""
    x = checks.as_array(function, "x", x)
    y = checks.as_output(function, out, x.shape, x.dtype, x, over=True)
    run_elements(function, y, x, y)
    return y


def _slope(operation: str, dy: Any, y: Any, out: np.ndarray | None) -> np.ndarray:
    """Return the gradient `operation` for that of the output, `dy`, and the output, `y`."""
    dy, y = checks.as_gradient(operation, dy, y)
    dx = checks.as_output(operation, out, y.shape, y.dtype, dy, y, over=True)
    run_elements(operation, dx, dy, y, dx)
    return dx


def exp(x: Any) -> np.ndarray:
    """Return e to the power of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 1.1 ulp; infinite beyond the largest number, 0 below half of the smallest, NaN
        for NaN.

    Raises
    ------
    ArgumentTypeError
        If `x` is no array of float32 or float64.

    Notes
    -----
    No temporary bytes, here and in the functions below.  With x = n ln 2 + r it is
    ``2**n * (1 + (r + r**2 P(r)))``, where P is a polynomial of degree 4 (float32) or 9.

    Examples
    --------
    >>> exp(np.array([0.0, 1.0, -np.inf])).round(14).tolist()
    [1.0, 2.71828182845905, 0.0]
    """
    return _of("exp", x)


def expm1(x: Any) -> np.ndarray:
    """Return exp(x) - 1, which keeps its digits where x is near 0; within 2.2 ulp.

    Parameters, errors and method are those of `exp`.

    Examples
    --------
    >>> expm1(np.array([1e-30, -40.0])).tolist()
    [1e-30, -1.0]
    """
    return _of("expm1", x)


def log(x: Any) -> np.ndarray:
    """Return the natural logarithm of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 0.8 ulp; minus infinity for 0, NaN below it and for NaN.

    Raises
    ------
    ArgumentTypeError
        If `x` is no array of float32 or float64.

    Notes
    -----
    With x = 2**k (1 + f), 1 + f between the roots of 1/2 and of 2, and s = f / (2 + f) it is
    ``k ln 2 + f - s (f - s**2 L(s**2))``, where L is a polynomial of degree 2 (float32) or 6.

    Examples
    --------
    >>> log(np.array([1.0, 2.0, 0.0])).round(14).tolist()
    [0.0, 0.69314718055995, -inf]
    """
    return _of("log", x)


def log1p(x: Any) -> np.ndarray:
    """Return log(1 + x), which keeps its digits where x is near 0; within 0.8 ulp.

    Parameters, errors and method are those of `log`; what rounding 1 + x has lost is added.

    Examples
    --------
    >>> log1p(np.array([1e-30, -1.0])).tolist()
    [1e-30, -inf]
    """
    return _of("log1p", x)


def sigmoid(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the logistic function, 1 / (1 + exp(-x)), of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2.3 ulp, also where it is small.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no array of float32 or float64, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    With e = exp(-abs(x)) it is ``e / (1 + e)`` for negative x, and 1 less that for others.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    >>> f"{sigmoid(np.float32([-20.0]))[0]:.4g}"
    '2.061e-09'
    """
    return _of("sigmoid", x, out)


def sigmoid_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy y (1 - y), the gradient of `sigmoid` by its output `y`.

    Parameters
    ----------
    dy, y : ndarray of one shape and dtype, float32 or float64
    out : ndarray of that shape and dtype, optional
        C-contiguous; may be `dy` itself.

    Returns
    -------
    dx : ndarray of that shape and dtype
        Within one unit roundoff (2**-24 in float32) of abs(dy) of the exact gradient: `y` has
        rounded what is less.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If dtypes or shapes do not fit, or `out` is no such array.

    Examples
    --------
    >>> sigmoid_backward(np.array([4.0]), np.array([0.5])).tolist()
    [1.0]
    """
    return _slope("sigmoid_backward", dy, y, out)


def tanh(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the hyperbolic tangent of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2.5 ulp.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no array of float32 or float64, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    With t = exp(2 abs(x)) - 1 it is ``t / (t + 2)``, or ``1 - 2 / (t + 2)`` where that is nearer.

    Examples
    --------
    >>> tanh(np.array([0.0, -1000.0])).tolist()
    [0.0, -1.0]
    """
    return _of("tanh", x, out)


def tanh_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (1 - y**2), the gradient of `tanh` by its output `y`.

    Parameters
    ----------
    dy, y : ndarray of one shape and dtype, float32 or float64
    out : ndarray of that shape and dtype, optional
        C-contiguous; may be `dy` itself.

    Returns
    -------
    dx : ndarray of that shape and dtype
        Within two units roundoff of abs(dy) of the exact gradient: `y` has rounded what is less.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If dtypes or shapes do not fit, or `out` is no such array.

    Notes
    -----
    Computed as ``dy ((1 - y) (1 + y))``.

    Examples
    --------
    >>> tanh_backward(np.array([4.0]), np.array([0.5])).tolist()
    [3.0]
    """
    return _slope("tanh_backward", dy, y, out)


def erf(x: Any) -> np.ndarray:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2 ulp.

    Raises
    ------
    ArgumentTypeError
        If `x` is no array of float32 or float64.

    Notes
    -----
    ``1 - exp(-g)`` with g = x + x E(x), where E is a polynomial of degree 8 (float32) or 24.

    Examples
    --------
    >>> erf(np.array([0.0, 10.0])).tolist()
    [0.0, 1.0]
    """
    return _of("erf", x)
