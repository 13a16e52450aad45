"""The rectifier."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer

__all__ = ["ReLU"]


@register_layer("fastconv.ReLU.v1")
class ReLU(Activation):
    """Let what is positive through and make the rest zero: max(x, 0); NaN stays NaN.

    Examples
    --------
    >>> ReLU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0., 0., 2.]])
    """

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.relu(x)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for dy and y."""
        return functional.relu_backward(dy, y)
