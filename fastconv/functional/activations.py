"""Activations: functions of each element, and what they make of the gradient of their output.

Gradients follow from the output where that says enough, so that nothing else need be kept; those of
`gelu`, `silu` and `hard_swish`, which fall and then rise, need the input.  All are kernels of our
own, as in `fastconv.functional.functions`, which says how errors are counted; those stated here
held for every 127th of all float32 numbers, and for some thousand float64.
"""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import numpy as np

from fastconv import kernels
from fastconv.arguments import as_choice, as_real, check_rounding
from fastconv.functional import checks
from fastconv.functional.elementwise import run_elements

__all__ = [
    "as_setting",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu6",
    "relu6_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
]

FINITE = -sys.float_info.max


def as_setting(operation: str, name: str, value: Any, dtype: Any, low: float = FINITE) -> float:
    """Return a finite setting that is at least `low`, and that `dtype` does not round to 0.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Naming the setting, the rule and the value.
    """
    check = _checked if type(value) is float else _checked.__wrapped__
    return check(operation, name, value, dtype, low)


@functools.lru_cache(maxsize=256)
def _checked(operation: str, name: str, value: Any, dtype: Any, low: float) -> float:
    rule = "finite" if low == FINITE else f"at least {low:g} and finite"
    number = as_real(operation, name, value, rule, low, math.inf)
    check_rounding(operation, name, number, dtype)
    return number


def _number(name: str, dtype: np.dtype) -> int:
    """Return the number by which the kernels know a function."""
    known: tuple[str, ...] = kernels.module(dtype).activations
    return known.index(name)


def _of(
    name: str, x: Any, out: Any, *settings: tuple[str, Any, float], kernel: str = ""
) -> np.ndarray:
    """Return the function `name` of every element; settings are (name, value, least value)."""
    x = checks.as_array(name, "x", x)
    a, b, *_ = (*(as_setting(name, s, v, x.dtype, low) for s, v, low in settings), 0.0, 0.0)
    y = checks.as_output(name, out, x.shape, x.dtype, x, over=True)
    run_elements("activate", y, x, y, _number(kernel or name, x.dtype), a, b)
    return y


def _slope(
    name: str, dy: Any, out: Any, *settings: tuple[str, Any, float], kernel: str = "", **kept: Any
) -> np.ndarray:
    """Return the gradient of the input; `kept` is the output ``y=`` or the input ``x=``."""
    operation = f"{name}_backward"
    ((word, array),) = kept.items()
    dy, array = checks.as_gradient(operation, dy, array, word)
    a, *_ = (*(as_setting(operation, s, v, dy.dtype, low) for s, v, low in settings), 0.0)
    dx = checks.as_output(operation, out, dy.shape, dy.dtype, dy, array, over=True)
    run_elements("activate_backward", dx, dy, array, dx, _number(kernel or name, dy.dtype), a)
    return dx


def relu6(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return each element kept within 0 and 6; NaN stays NaN.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Exact.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    No temporary bytes, here and in the functions below.  Krizhevsky, "Convolutional Deep Belief
    Networks on CIFAR-10" (2010).

    Examples
    --------
    >>> relu6(np.array([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    """
    return _of("relu6", x, out)


def relu6_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` is above 0 and below 6, elsewhere 0, for NaN too.

    `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> relu6_backward(np.array([3.0, 3.0, np.inf]), np.array([0.5, 0.0, 6.0])).tolist()
    [3.0, 0.0, 0.0]
    """
    return _slope("relu6", dy, out, y=y)


def leaky_relu(x: Any, negative_slope: float = 0.01, out: np.ndarray | None = None) -> np.ndarray:
    """Return each element that is positive, and `negative_slope` times each other one.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    negative_slope : float
        At least 0, so that the output tells the sign of the input.
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Rounded once.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise; if the slope is
        negative, not finite, or rounds to 0 or infinity.

    Notes
    -----
    Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models" (2013).
    A slope of 0 times minus infinity is NaN; `relu` gives 0 there.

    Examples
    --------
    >>> leaky_relu(np.array([-2.0, 2.0]), 0.25).tolist()
    [-0.5, 2.0]
    """
    return _of("leaky_relu", x, out, ("negative_slope", negative_slope, 0.0))


def leaky_relu_backward(
    dy: Any, y: Any, negative_slope: float = 0.01, out: np.ndarray | None = None
) -> np.ndarray:
    """Return `dy` where the output `y` of `leaky_relu` is positive, elsewhere the slope times it.

    `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> leaky_relu_backward(np.array([2.0, 2.0]), np.array([-0.5, 2.0]), 0.25).tolist()
    [0.5, 2.0]
    """
    return _slope("leaky_relu", dy, out, ("negative_slope", negative_slope, 0.0), y=y)


def elu(x: Any, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return each element that is positive, and ``alpha (exp(x) - 1)`` for each other one.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    alpha : float
        At least 0: minus the limit for minus infinity.
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2.2 ulp for an `alpha` of 1, which multiplies without an error; for another one
        rounded once more.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise; if `alpha` is
        negative, not finite, or rounds to 0 or infinity.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential
    Linear Units" (2016), equation 15.

    Examples
    --------
    >>> elu(np.array([-np.inf, -1e-30, 2.0])).tolist()
    [-1.0, -1e-30, 2.0]
    """
    return _of("elu", x, out, ("alpha", alpha, 0.0))


def elu_backward(dy: Any, y: Any, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` of `elu` is positive, elsewhere ``dy (y + alpha)``.

    It is within two units roundoff of ``alpha abs(dy)`` of the exact gradient: `y` has rounded what
    is less.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> elu_backward(np.array([2.0, 2.0]), np.array([-0.5, 2.0])).tolist()
    [1.0, 2.0]
    """
    return _slope("elu", dy, out, ("alpha", alpha, 0.0), y=y)


def softplus(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``log(1 + exp(x))``, a smooth `relu`, of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within 2 ulp, also where it is small; infinite for infinity alone.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Notes
    -----
    Computed as ``max(x, 0) + log1p(exp(-abs(x)))``.  Dugas et al., "Incorporating Second-Order
    Functional Knowledge for Better Option Pricing" (2000).

    Examples
    --------
    >>> softplus(np.array([0.0, 1000.0])).round(6).tolist()
    [0.693147, 1000.0]
    """
    return _of("softplus", x, out)


def softplus_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``dy (1 - exp(-y))``, the gradient of `softplus` by its output `y`.

    ``1 - exp(-y)`` is `sigmoid` of the input.  It is within four units roundoff of that,
    relative to it, also where it is small.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> softplus_backward(np.array([4.0]), softplus(np.array([0.0]))).round(14).tolist()
    [2.0]
    """
    return _slope("softplus", dy, out, y=y)


def hard_sigmoid(
    x: Any, alpha: float = 1 / 6, beta: float = 0.5, out: np.ndarray | None = None
) -> np.ndarray:
    """Return ``alpha x + beta`` kept within 0 and 1, for each element; NaN stays NaN.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    alpha, beta : float
        By default those of PyTorch and Keras 3; ONNX and Keras 2 have an `alpha` of 0.2.
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Within one unit roundoff of ``abs(alpha x)`` and one of the result.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise; if a setting is
        not finite, or rounds to 0 or infinity.

    Examples
    --------
    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5, 4.0])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    settings = ("alpha", alpha, FINITE), ("beta", beta, FINITE)
    return _of("hard_sigmoid", x, out, *settings)


def hard_sigmoid_backward(
    dy: Any, y: Any, alpha: float = 1 / 6, beta: float = 0.5, out: np.ndarray | None = None
) -> np.ndarray:
    """Return ``alpha dy`` where the output `y` is above 0 and below 1, elsewhere 0, for NaN too.

    It does not depend on `beta`.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> hard_sigmoid_backward(np.array([3.0, 3.0]), np.array([0.5, 1.0])).tolist()
    [0.5, 0.0]
    """
    settings = ("alpha", alpha, FINITE), ("beta", beta, FINITE)
    return _slope("hard_sigmoid", dy, out, *settings, y=y)


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
    Howard et al., "Searching for MobileNetV3" (2019), section 5.2.

    Examples
    --------
    >>> hard_swish(np.array([-1.0, 3.0])).round(6).tolist()
    [-0.333333, 3.0]
    """
    return _of("hard_swish", x, out)


def hard_swish_backward(dy: Any, x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `hard_swish` by its input `x`: ``dy (x / 3 + 1/2)`` within -3 and 3.

    It is 0 from -3 down and `dy` from 3 up.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> hard_swish_backward(np.array([6.0, 6.0, 6.0]), np.array([-3.0, 0.0, 3.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return _slope("hard_swish", dy, out, x=x)


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
    return _of("silu", x, out)


def silu_backward(dy: Any, x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return the gradient of `silu` by its input `x`.

    It is within two units roundoff of abs(dy) of ``dy s (1 + x (1 - s))``, where s is
    `sigmoid` of x.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> silu_backward(np.array([2.0, 2.0]), np.array([0.0, 1000.0])).tolist()
    [1.0, 2.0]
    """
    return _slope("silu", dy, out, x=x)


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
    return _of("gelu", x, out, kernel=_gelu("gelu", approximate))


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
    return _slope("gelu", dy, out, x=x, kernel=_gelu("gelu_backward", approximate))
