"""Zeros around maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.functional.zero_padding import as_sides
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["ZeroPadding2D"]


@register_layer("fastconv.ZeroPadding2D.v1")
class ZeroPadding2D(Layer):
    """Put zeros around maps.

    A convolution pads by itself, without a copy: give the padding to `Conv2D` where you can.

    Parameters
    ----------
    padding : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns of zeros.

    Examples
    --------
    >>> ZeroPadding2D(((0, 1), (0, 1))).infer(Spec((3, 224, 224))).shape
    (3, 225, 225)
    """

    example_config = {"padding": 1}
    example_shapes = ((3, 8, 8),)
    new_gradients = True
    gives = "values"
    output_may_be_overwritten = True

    def __init__(self, padding: int | tuple[Any, Any]) -> None:
        self.padding = as_sides("ZeroPadding2D", padding)

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, top + H + bottom, left + W + right) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        sizes = zip(spec.shape[1:], self.padding, strict=True)
        return Spec((spec.shape[0], *(n + sum(sides) for n, sides in sizes)), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, top + H + bottom, left + W + right) for x (N, C, H, W)."""
        return functional.zero_padding2d(xs[0], self.padding)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W): dy without what fell on the zeros."""
        return functional.zero_padding2d_backward(dy, self.padding) if ctx.needs(0) else None

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: the backward pass needs no array but `dy`."""
        return LayerCosts()
