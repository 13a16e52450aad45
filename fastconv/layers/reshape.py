"""Another shape of the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.arguments import as_int, is_sequence
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import DTYPES, LayerCosts, Spec

__all__ = ["Reshape"]


@register_layer("fastconv.Reshape.v1")
class Reshape(Layer):
    """Give each sample another shape; its numbers stay in their order.

    Parameters
    ----------
    shape : sequence of int
        The shape of a sample, without the batch. One size may be -1: it follows from the others.

    Notes
    -----
    Nothing is copied: the output is a view of the input.

    Examples
    --------
    >>> Reshape((16, -1)).infer(Spec((16, 4, 4))).shape
    (16, 16)
    """

    example_config = {"shape": [4, -1]}
    example_shapes = ((2, 4, 3),)
    takes = DTYPES
    new_gradients = True
    gives = "elements"
    output_is_view = True
    passes_gradient = True

    def __init__(self, shape: Sequence[int]) -> None:
        if not is_sequence(shape):
            rule = "must be a sequence of sizes, without the batch"
            raise ArgumentTypeError("Reshape", "shape", rule, shape)
        self.shape = tuple(as_int("Reshape", "shape", size, -1) for size in shape)
        if not self.shape or 0 in self.shape or self.shape.count(-1) > 1:
            rule = "must hold sizes of at least 1, of which one may be -1"
            raise ArgumentError("Reshape", "shape", rule, self.shape)

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the same elements in the other shape."""
        spec = self.one_input(specs)
        return Spec(self._sizes(spec.shape), spec.dtype)

    def _sizes(self, given: tuple[int, ...]) -> tuple[int, ...]:
        known, elements = math.prod(size for size in self.shape if size > 0), math.prod(given)
        open_ = -1 in self.shape
        if elements % known or (not open_ and elements != known):
            remedy = "it is the shape of a sample, without the batch"
            rule = f"must hold the {elements} elements of {given}"
            raise ShapeError("Reshape", "shape", rule, self.shape, remedy)
        return tuple(elements // known if size < 0 else size for size in self.shape)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return x (N, ...) as (N, *shape)."""
        (x,) = xs
        ctx.save(x.shape)
        return x.reshape(len(x), *self._sizes(x.shape[1:]))

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dy in the shape of x."""
        return dy.reshape(ctx.saved[0]) if ctx.needs(0) else None

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: views take nothing."""
        return LayerCosts()
