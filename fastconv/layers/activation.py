"""What activations have in common: the shape stays, and no parameter is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.activations import Act, Function
from fastconv.layers.base import Layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Activation", "Elementwise", "acts_as"]


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


def acts_as(layer: Elementwise) -> Act:
    """Return the name of the function of `layer`, with settings that are no defaults."""
    return layer.function.act


class Elementwise(Activation):
    """The base of layers that apply a function of each element, which `activation=` can name too.

    If the gradient follows from the output, both passes may write over what they read; a subclass
    says so by `overwrites_input`.
    """

    function: Function

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return f(x), a new array."""
        return self.function(x)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for `dy` and what the function's gradient reads."""
        return self.function.gradient(dy, y)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x."""
        (x,) = xs
        # a subclass that defines `apply` anew does not overwrite unless it says so
        over = ctx.reusable(x) if ctx.may_overwrite and self.overwrites_input else None
        y = self.apply(x) if over is None else self.function(x, out=over)
        ctx.save(y if self.function.reads == "output" else x)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        if not ctx.needs(0):
            return None
        (kept,) = ctx.saved
        over = ctx.reusable(dy) if self.overwrites_input else None
        if over is None:
            return self.gradient(dy, kept)
        return self.function.gradient(dy, kept, out=over)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads the output or the input."""
        reads = "output" if self.function.reads == "output" else "inputs"
        return LayerCosts(keeps=frozenset({reads}))
