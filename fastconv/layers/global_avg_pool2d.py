"""Average pooling over whole maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["GlobalAvgPool2D"]


@register_layer("fastconv.GlobalAvgPool2D.v1")
class GlobalAvgPool2D(Layer):
    """Take the mean of each channel, which leaves a vector that `Dense` takes.

    Examples
    --------
    >>> GlobalAvgPool2D().infer(Spec((64, 7, 7))).shape
    (64,)
    """

    example_shapes = ((64, 7, 7),)
    new_gradients = True
    gives = "input"
    output_may_be_overwritten = True

    def infer(self, *specs: Spec) -> Spec:
        """Return (C,) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        return Spec(spec.shape[:1], spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C) for x (N, C, H, W)."""
        (x,) = xs
        ctx.save(x.shape)
        return functional.avg_pool2d(x, x.shape[2:]).reshape(x.shape[:2])  # (N, C, 1, 1) before

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C)."""
        if not ctx.needs(0):
            return None
        (shape,) = ctx.saved
        return functional.avg_pool2d_backward(dy.reshape(*dy.shape, 1, 1), shape, shape[2:])

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: the backward pass needs the shape alone."""
        return LayerCosts()
