"""What activations have in common: the shape stays, the gradient follows from the output."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers.base import Layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Activation"]


class Activation(Layer):
    """The base of layers that apply a function; a subclass gives it and its gradient."""

    example_shapes = ((16, 8, 8),)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return f(x), a new array."""
        raise NotImplementedError(f"{type(self).__name__}: apply must be defined")

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the gradient of the input, given the output `y` and its gradient `dy`."""
        raise NotImplementedError(f"{type(self).__name__}: gradient must be defined")

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x."""
        y = self.apply(*xs)
        ctx.save(y)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        return self.gradient(dy, *ctx.saved) if ctx.needs(0) else None

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads the output."""
        return LayerCosts(keeps=frozenset({"output"}))
