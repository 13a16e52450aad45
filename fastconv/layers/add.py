"""The sum of branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.merge import Merge
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Add"]


@register_layer("fastconv.Add.v1")
class Add(Merge):
    """Add two or more inputs of one shape, from the first to the last.

    Examples
    --------
    >>> Add().infer(Spec((16, 8, 8)), Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    any_batch_axis = True
    gives = "values"
    passes_gradient = True
    output_may_be_overwritten = True

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec that all inputs have."""
        return self.all_equal(specs)

    @quietly
    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return the sum of xs."""
        y = ctx.empty(xs[0].shape, xs[0].dtype)
        np.add(xs[0], xs[1], out=y)
        for x in xs[2:]:
            y += x
        ctx.save(len(xs))
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Return dy itself for every input."""
        return tuple(dy if ctx.needs(i) else None for i in range(ctx.saved[0]))

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros."""
        return LayerCosts()
