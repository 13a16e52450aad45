"""The product of branches, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.merge import Merge
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Multiply"]


@register_layer("fastconv.Multiply.v1")
class Multiply(Merge):
    """Multiply two or more inputs of one shape, from the first to the last.

    Examples
    --------
    >>> Multiply().infer(Spec((16, 8, 8)), Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    any_batch_axis = True
    gives = "values"

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec that all inputs have."""
        return self.all_equal(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return the product of xs."""
        ctx.save(*xs)
        return self._product(ctx, xs)

    def backward(self, ctx: Context, dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Return, for each input, dy times all the others."""
        # The product of the others is computed anew and not as y / x: an input may be zero.
        return tuple(
            self._product(ctx, (dy, *ctx.saved[:i], *ctx.saved[i + 1 :])) if ctx.needs(i) else None
            for i in range(len(ctx.saved))
        )

    @quietly
    def _product(self, ctx: Context, factors: tuple[np.ndarray, ...]) -> np.ndarray:
        y = ctx.empty(factors[0].shape, factors[0].dtype)
        np.multiply(factors[0], factors[1], out=y)
        for factor in factors[2:]:
            y *= factor
        return y

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads the inputs."""
        return LayerCosts(
            multiply_adds=batch * specs[0].size * (len(specs) - 1), keeps=frozenset({"inputs"})
        )
