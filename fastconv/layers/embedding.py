"""A learned vector for each of some numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int
from fastconv.functional.embedding import embedding_workspace
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, PassCosts, Spec

__all__ = ["Embedding"]


@register_layer("fastconv.Embedding.v1")
class Embedding(Layer):
    """Replace each number by the row of a learned table that has it.

    The input is of int64, int32 or uint8 and has any shape; the output has one more axis, of
    `units`, and is float32. A number below 0, or of no row, is an error that names it.

    Parameters
    ----------
    entries : int
        How many numbers there are: 0 to ``entries - 1``.
    units : int
        The elements of a row.

    Notes
    -----
    Parameter: ``weight``, (entries, units), at first normal random numbers of deviation 1. Its
    gradient adds rows in the order of their places, so no bit depends on the number of threads;
    it takes 8 bytes of workspace for each number, and for each entry and one more.

    Examples
    --------
    >>> Embedding(1000, 16).infer(Spec((50,), "int64")).shape
    (50, 16)
    """

    example_config = {"entries": 10, "units": 4}
    example_shapes = ((8,),)
    takes = ("int64", "int32", "uint8")
    any_batch_axis = True
    gives = "values"
    output_may_be_overwritten = True

    def __init__(self, entries: int, units: int) -> None:
        self.entries = as_int("Embedding", "entries", entries, 1)
        self.units = as_int("Embedding", "units", units, 1)

    def infer(self, *specs: Spec) -> Spec:
        """Return the shape with one more axis."""
        spec = self.one_input(specs)
        return Spec((*spec.shape, self.units), batch_axis=spec.batch_axis)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make the table."""
        self.add_param("weight", (self.entries, self.units), ("gaussian", {"std": 1.0}))

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x and one axis more."""
        (x,) = xs
        ctx.save(x)
        return functional.embedding(x, self.param("weight").value)

    def backward(self, ctx: Context, dy: np.ndarray) -> None:
        """Give the gradient of the table; numbers have none."""
        (x,) = ctx.saved
        if ctx.needs_param("weight"):
            ctx.add_grad("weight", functional.embedding_backward(dy, x, self.entries))

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return what the order of the gradient's sums takes; the backward pass reads the input."""
        (spec,) = specs
        count = spec.size * (1 if spec.batch_axis is None else batch)
        learns = training and not self.frozen and count > 0
        order = embedding_workspace(count, self.entries) if learns else 0
        return LayerCosts(keeps=frozenset({"inputs"}), backward=PassCosts(workspace=order))
