"""The rectifier that learns its slopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["PReLU"]


@register_layer("fastconv.PReLU.v1")
class PReLU(Layer):
    """Let what is positive through, and multiply the rest by a learned slope of its channel.

    Notes
    -----
    Parameter: ``weight`` (C,), the slopes, at first 0.25 (He et al. 2015, "Delving Deep into
    Rectifiers", section 2.1). No temporary bytes beside C float64 numbers.

    Examples
    --------
    >>> PReLU().infer(Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    example_shapes = ((16, 8, 8),)
    new_gradients = True
    gives = "values"

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the slopes."""
        self.add_param("weight", specs[0].shape[:1], ("constant", {"value": 0.25}))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x (N, C, ...)."""
        (x,) = xs
        ctx.save(x)
        return functional.prelu(x, self.param("weight").value)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        (x,) = ctx.saved
        dx, dweight = functional.prelu_backward(dy, x, self.param("weight").value, ctx.needs(0))
        ctx.add_grad("weight", dweight)
        return dx

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads the input."""
        return LayerCosts(multiply_adds=batch * specs[0].size, keeps=frozenset({"inputs"}))
