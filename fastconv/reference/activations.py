"""Activations of one number and their gradients."""

from __future__ import annotations

import math

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.elementwise import in_float64
from fastconv.reference.taps import Array


def sigmoid(x: Array) -> Array:
    """Return the logistic function of each element."""
    return in_float64(lambda wide: 1 / (1 + np.exp(-wide)), x)


@quietly
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `sigmoid`, computed from its output."""
    return dy * (y * (1 - y))


@quietly
def tanh_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `tanh`, computed from its output."""
    return dy * ((1 - y) * (1 + y))


@quietly
def relu6(x: Array) -> Array:
    """Return each element kept within 0 and 6."""
    return np.minimum(np.maximum(x, 0), 6)


@quietly
def relu6_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `relu6`, computed from its output."""
    return np.where((y > 0) & (y < 6), dy, 0)


@quietly
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """Return x where it is positive, elsewhere the slope times it."""
    return np.where(x > 0, x, negative_slope * x)


@quietly
def leaky_relu_backward(dy: Array, y: Array, negative_slope: float = 0.01) -> Array:
    """Return the gradient of the input of `leaky_relu`, computed from its output."""
    return np.where(y > 0, dy, negative_slope * dy)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where it is positive, elsewhere alpha (exp(x) - 1)."""
    return in_float64(lambda wide: np.where(wide > 0, wide, alpha * np.expm1(wide)), x)


@quietly
def elu_backward(dy: Array, y: Array, alpha: float = 1.0) -> Array:
    """Return the gradient of the input of `elu`, computed from its output."""
    return np.where(y > 0, dy, dy * (y + alpha))


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return in_float64(lambda wide: np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))), x)


def softplus_backward(dy: Array, y: Array) -> Array:
    """Return the gradient of the input of `softplus`, computed from its output."""
    return in_float64(lambda wide: dy * -np.expm1(-wide), y)


@quietly
def hard_sigmoid(x: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    """Return alpha x + beta, kept within 0 and 1."""
    return np.minimum(np.maximum(alpha * x + beta, 0), 1)


@quietly
def hard_sigmoid_backward(dy: Array, y: Array, alpha: float = 1 / 6, beta: float = 0.5) -> Array:
    """Return the gradient of the input of `hard_sigmoid`, computed from its output."""
    return np.where((y > 0) & (y < 1), alpha * dy, 0)


@quietly
def hard_swish(x: Array) -> Array:
    """Return x relu6(x + 3) / 6, and -0 for minus infinity."""
    return np.maximum(x, -3) * (relu6(x + 3) / 6)


@quietly
def hard_swish_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of the input of `hard_swish`, computed from it."""
    return np.where(x <= -3, 0, np.where(x >= 3, dy, dy * (x / 3 + 0.5)))


def silu(x: Array) -> Array:
    """Return x times the logistic function of x, and -0 for minus infinity."""
    return in_float64(lambda wide: np.where(wide == -np.inf, -0.0, wide / (1 + np.exp(-wide))), x)


@quietly
def silu_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of the input of `silu`, computed from it."""

    def slope(wide: Array) -> Array:
        share = 1 / (1 + np.exp(-wide))
        return np.where(np.isinf(wide), wide > 0, share * (1 + wide * (1 - share)))

    return dy * in_float64(slope, x)


def gelu(x: Array, approximate: str = "none") -> Array:
    """Return x times the share of the normal distribution below x, and -0 for minus infinity."""
    return in_float64(
        lambda wide: np.where(wide == -np.inf, -0.0, wide * _below(wide, approximate)), x
    )


@quietly
def gelu_backward(dy: Array, x: Array, approximate: str = "none") -> Array:
    """Return the gradient of the input of `gelu`, computed from it."""

    def slope(wide: Array) -> Array:
        share = _below(wide, approximate)
        density = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
        if approximate == "tanh":
            density = share * (1 - share) * math.sqrt(8 / math.pi) * (1 + 0.134145 * wide**2)
        return np.where(np.isinf(wide), wide > 0, share + wide * density)

    return dy * in_float64(slope, x)


def _below(wide: Array, approximate: str) -> Array:
    """Return the share of the normal distribution below each number, or its approximation."""
    if approximate == "tanh":
        return 1 / (1 + np.exp(-math.sqrt(8 / math.pi) * (wide + 0.044715 * wide**3)))
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    share: Array = erfc(-wide / math.sqrt(2)) / 2
    return share
