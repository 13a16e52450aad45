"""Branches side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_int
from fastconv.errors import ShapeError
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.merge import Merge
from fastconv.layers.spec import DTYPES, LayerCosts, Spec

__all__ = ["Concatenate"]


@register_layer("fastconv.Concatenate.v1")
class Concatenate(Merge):
    """Put two or more inputs side by side.

    Parameters
    ----------
    axis : int
        Along which axis, the batch being 0; 1 is the channels.

    Examples
    --------
    >>> Concatenate().infer(Spec((16, 8, 8)), Spec((32, 8, 8))).shape
    (48, 8, 8)
    """

    example_shapes = ((16, 8, 8), (32, 8, 8))
    takes = DTYPES
    gives = "values"

    def __init__(self, axis: int = 1) -> None:
        self.axis = as_int("Concatenate", "axis", axis, 1)

    def infer(self, *specs: Spec) -> Spec:
        """Return the shape that is the sum of all along `axis`."""
        first = self.at_least_two(specs)
        place = self.axis - 1  # shapes here are without the batch
        if self.axis > len(first.shape):
            rule = f"must be at most {len(first.shape)} for shape {first.shape}"
            raise ShapeError("Concatenate", "axis", rule, self.axis)
        for spec in specs[1:]:
            alike = (*spec.shape[:place], first.shape[place], *spec.shape[self.axis :])
            if alike != first.shape:
                raise ShapeError(
                    "Concatenate",
                    "inputs",
                    f"must agree on all axes but {self.axis}",
                    (first.shape, spec.shape),
                    shown=f"{first.shape} and {spec.shape}",
                )
        total = sum(spec.shape[place] for spec in specs)
        return Spec((*first.shape[:place], total, *first.shape[self.axis :]), first.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return xs joined along `axis`."""
        sizes = [x.shape[self.axis] for x in xs]
        shape = list(xs[0].shape)
        shape[self.axis] = sum(sizes)
        y = ctx.empty(tuple(shape), xs[0].dtype)
        np.concatenate(xs, axis=self.axis, out=y)
        ctx.save(sizes)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Return each input's part of dy, as a copy in one piece."""
        (sizes,) = ctx.saved
        parts = np.split(dy, np.cumsum(sizes[:-1]), axis=self.axis)
        return tuple(
            self._copy(ctx, part) if ctx.needs(i) else None for i, part in enumerate(parts)
        )

    def _copy(self, ctx: Context, part: np.ndarray) -> np.ndarray:
        copy = ctx.empty(part.shape, part.dtype)
        np.copyto(copy, part)
        return copy

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros."""
        return LayerCosts()
