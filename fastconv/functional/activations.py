"""Activations whose gradients follow from the output, so that nothing else need be kept.

`fastconv.functional.gated` has those that need the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional.activation_kernels import FINITE, activated, activation_gradient

__all__ = [
    "elu",
    "elu_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu6",
    "relu6_backward",
    "softplus",
    "softplus_backward",
]


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
    return activated("relu6", x, out)


def relu6_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` is above 0 and below 6, elsewhere 0, for NaN too.

    `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> relu6_backward(np.array([3.0, 3.0, np.inf]), np.array([0.5, 0.0, 6.0])).tolist()
    [3.0, 0.0, 0.0]
    """
    return activation_gradient("relu6", dy, out, y=y)


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
    return activated("leaky_relu", x, out, ("negative_slope", negative_slope, 0.0))


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
    return activation_gradient("leaky_relu", dy, out, ("negative_slope", negative_slope, 0.0), y=y)


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
    return activated("elu", x, out, ("alpha", alpha, 0.0))


def elu_backward(dy: Any, y: Any, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` of `elu` is positive, elsewhere ``dy (y + alpha)``.

    It is within two units roundoff of ``alpha abs(dy)`` of the exact gradient: `y` has rounded what
    is less.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> elu_backward(np.array([2.0, 2.0]), np.array([-0.5, 2.0])).tolist()
    [1.0, 2.0]
    """
    return activation_gradient("elu", dy, out, ("alpha", alpha, 0.0), y=y)


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
    return activated("softplus", x, out)


def softplus_backward(dy: Any, y: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``dy (1 - exp(-y))``, the gradient of `softplus` by its output `y`.

    ``1 - exp(-y)`` is `sigmoid` of the input.  It is within four units roundoff of that,
    relative to it, also where it is small.  `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> softplus_backward(np.array([4.0]), softplus(np.array([0.0]))).round(14).tolist()
    [2.0]
    """
    return activation_gradient("softplus", dy, out, y=y)


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
    return activated("hard_sigmoid", x, out, *settings)


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
    return activation_gradient("hard_sigmoid", dy, out, *settings, y=y)
