"""Activations that are x times a share of it, fall and then rise: their gradients need the input.

`fastconv.functional.activations` has those whose gradients follow from the output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_choice
from fastconv.functional.activation_kernels import activated, activation_gradient

__all__ = ["gelu", "gelu_backward", "hard_swish", "hard_swish_backward", "silu", "silu_backward"]


def hard_swish(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``x relu6(x + 3) / 6`` of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2.5 ulp, and exact from 3 on; -0 for minus infinity.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    No temporary bytes, here and in the functions below.  Howard et al., "Searching for MobileNetV3"
    (2019), section 5.2.

    Examples
    --------
    >>> hard_swish(np.array([-1.0, 3.0])).round(6).tolist()
    [-0.333333, 3.0]
    """
    return activated("hard_swish", x, out)


def hard_swish_backward(dy: Any, x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `hard_swish` by its input `x`: ``dy (x / 3 + 1/2)`` within -3 and 3.

    It is 0 from -3 down and `dy` from 3 up.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> hard_swish_backward(np.array([6.0, 6.0, 6.0]), np.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return activation_gradient("hard_swish", dy, out, x=x)


def silu(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return x times `sigmoid` of x, also known as Swish, for each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 3.5 ulp, also where it is small; -0 for minus infinity.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    With ``t = abs(x) / (1 + exp(abs(x)))`` it is ``x - t``, and ``-t`` for negative x.  Elfwing,
    Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning" (2018).

    Examples
    --------
    >>> silu(np.array([-1000.0, 0.0, 2.0])).round(6).tolist()
    [-0.0, 0.0, 1.761594]
    """
    return activated("silu", x, out)


def silu_backward(dy: Any, x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `silu` by its input `x`.

    It is within two units roundoff of abs(dy) of ``dy s (1 + x (1 - s))``, where s is
    `sigmoid` of x.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> silu_backward(np.array([2.0, 2.0]), np.array([0.0, 1000.0])).tolist()
    [1.0, 2.0]
    """
    return activation_gradient("silu", dy, out, x=x)


def _gelu(operation: str, approximate: Any) -> str:
    """Return the name of the kernel."""
    as_choice(operation, "approximate", approximate, ("none", "tanh"))
    return "gelu" if approximate == "none" else "gelu_tanh"


def gelu(x: Any, approximate: str = "none", out: np.ndarray | None = None) -> np.ndarray:
    """Return x times the share of the normal distribution that lies below x, for each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    approximate : {"none", "tanh"}
        ``"tanh"`` computes ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, which differs
        by up to 5e-4, as networks have it that were trained so.
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 6 ulp, also where it is small; of the approximation, within two units
        roundoff of abs(x).  -0 for minus infinity.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise; if `approximate`
        is another word.

    Notes
    -----
    With ``t = a erfc(a / sqrt(2)) / 2``, a = abs(x), it is ``x - t``, and ``-t`` for negative x.
    ``erfc(a / sqrt(2)) exp(a**2 / 2)`` is a polynomial of degree 10 (float32) or 22 in
    ``(a - c) / (a + c)``, over ``a + c``, as Shepherd and Laframboise have it, "Chebyshev
    Approximation of (1 + 2x) exp(x**2) erfc(x)" (1981).  Hendrycks and Gimpel, "Gaussian Error
    Linear Units" (2016).

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 2.0])).round(6).tolist()
    [-0.158655, 0.0, 1.9545]
    >>> gelu(np.array([-1.0]), "tanh").round(6).tolist()
    [-0.158808]
    """
    return activated("gelu", x, out, kernel=_gelu("gelu", approximate))


def gelu_backward(
    dy: Any, x: Any, approximate: str = "none", out: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of `gelu` by its input `x`.

    It is within four units roundoff of abs(dy) of the exact one.  `out`, C-contiguous, may
    be `dy` itself.

    Examples
    --------
    >>> gelu_backward(np.array([2.0, 2.0]), np.array([0.0, 100.0])).tolist()
    [1.0, 2.0]
    """
    return activation_gradient("gelu", dy, out, x=x, kernel=_gelu("gelu_backward", approximate))
