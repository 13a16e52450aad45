"""From an image to a vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import DTYPES, LayerCosts, Spec

__all__ = ["Flatten"]


@register_layer("fastconv.Flatten.v1")
class Flatten(Layer):
    """Put the channels, rows and columns of each sample one after the other.

    Notes
    -----
    Nothing is copied: the output is a view of the input.

    Examples
    --------
    >>> Flatten().infer(Spec((16, 4, 4))).shape
    (256,)
    """

    example_shapes = ((16, 4, 4),)
    takes = DTYPES
    new_gradients = True
    gives = "elements"
    output_is_view = True
    passes_gradient = True

    def infer(self, *specs: Spec) -> Spec:
        """Return (C H W,) for (C, H, W), or any other shape."""
        spec = self.one_input(specs)
        return Spec((spec.size,), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return x (N, ...) as (N, elements)."""
        (x,) = xs
        ctx.save(x.shape)
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dy in the shape of x."""
        return dy.reshape(ctx.saved[0]) if ctx.needs(0) else None

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: views take nothing."""
        return LayerCosts()
