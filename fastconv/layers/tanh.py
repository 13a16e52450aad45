"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer

__all__ = ["Tanh"]


@register_layer("fastconv.Tanh.v1")
class Tanh(Activation):
    """Squeeze every number into -1 to 1.

    Examples
    --------
    >>> Tanh().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.762,  0.   ,  0.964]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = "bounded"

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.tanh(x)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for dy and y."""
        return functional.tanh_backward(dy, y)
