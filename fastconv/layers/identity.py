"""The layer that does nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import DTYPES, LayerCosts, Spec

__all__ = ["Identity"]


@register_layer("fastconv.Identity.v1")
class Identity(Layer):
    """Pass the input on as it is; it takes no memory, and `for_inference` leaves it out.

    It gives a place in a network a name, or stands in for a layer that is left out.

    Examples
    --------
    >>> Identity().infer(Spec((16, 8, 8), "uint8")).dtype
    'uint8'
    """

    example_shapes = ((16, 8, 8),)
    takes = DTYPES
    any_batch_axis = True
    gives = "input"
    new_gradients = True
    passes_gradient = True

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return x itself."""
        (x,) = xs
        return x

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray:
        """Return dy itself."""
        return dy

    def idle(self, training: bool) -> bool:
        """Return True."""
        return True

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return nothing: the output is the input."""
        return LayerCosts()
