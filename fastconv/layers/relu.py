"""The rectifier."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context

__all__ = ["ReLU"]


@register_layer("fastconv.ReLU.v1")
class ReLU(Activation):
    """Let what is positive through and make the rest zero: max(x, 0); NaN stays NaN.

    Examples
    --------
    >>> ReLU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0., 0., 2.]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = "values"
    acts_as = "relu"
    overwrites_input = True

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.relu(x)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x."""
        (x,) = xs
        y = functional.relu(x, out=ctx.reusable(x))
        ctx.save(y)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        if not ctx.needs(0):
            return None
        (y,) = ctx.saved
        return functional.relu_backward(dy, y, out=ctx.reusable(dy))
