"""Functions of one number: exponentials, logarithms and their like, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastconv.reference.taps import Array


def activate(y: Array, activation: str | None) -> Array:
    """Return y, or its positive part where `activation` is "relu"."""
    return np.maximum(y, np.zeros((), y.dtype)) if activation == "relu" else y


def in_float64(function: Callable[[Array], Array], x: Array) -> Array:
    """Return what a function of NumPy makes of x in float64, without its warnings."""
    with np.errstate(all="ignore"):
        return function(np.asarray(x, np.float64))


def exp(x: Array) -> Array:
    """Return e to the power of each element."""
    return in_float64(np.exp, x)


def expm1(x: Array) -> Array:
    """Return exp(x) - 1."""
    return in_float64(np.expm1, x)


def log(x: Array) -> Array:
    """Return the natural logarithm of each element."""
    return in_float64(np.log, x)


def log1p(x: Array) -> Array:
    """Return log(1 + x)."""
    return in_float64(np.log1p, x)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of each element."""
    return in_float64(np.tanh, x)


def erf(x: Array) -> Array:
    """Return the error function of each element."""
    return in_float64(np.vectorize(math.erf, otypes=[np.float64]), x)
