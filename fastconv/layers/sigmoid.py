"""The logistic function."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer

__all__ = ["Sigmoid"]


@register_layer("fastconv.Sigmoid.v1")
class Sigmoid(Activation):
    """Squeeze every number into 0 to 1: 1 / (1 + exp(-x)).

    Examples
    --------
    >>> Sigmoid().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.269, 0.5  , 0.881]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = "chances"

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.sigmoid(x)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for dy and y."""
        return functional.sigmoid_backward(dy, y)
