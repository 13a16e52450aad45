"""Softmax, its logarithm and its gradient."""

from __future__ import annotations

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.elementwise import exp, log1p
from fastconv.reference.taps import Array


@quietly
def softmax(x: Array, axis: int = 1) -> Array:
    """Return exp(x) / sum(exp(x)) along `axis`."""
    powers = exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@quietly
def log_softmax(x: Array, axis: int = 1) -> Array:
    """Return the logarithm of `softmax`; log1p of the sum without the largest term keeps digits."""
    below = x - x.max(axis=axis, keepdims=True)
    others = np.delete(np.sort(exp(below), axis=axis), -1, axis=axis)
    return below - log1p(others.sum(axis=axis, keepdims=True))


@quietly
def softmax_backward(dy: Array, y: Array, axis: int = 1) -> Array:
    """Return the gradient of the input of `softmax`, computed from its output."""
    return y * (dy - (dy * y).sum(axis=axis, keepdims=True))
