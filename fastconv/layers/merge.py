"""What layers of several inputs have in common."""

from __future__ import annotations

from fastconv.errors import ShapeError
from fastconv.layers.base import Layer
from fastconv.layers.spec import Spec

__all__ = ["Merge"]


class Merge(Layer):
    """The base of layers that make one array from two or more."""

    example_shapes: tuple[tuple[int, ...], ...] = ((16, 8, 8), (16, 8, 8))

    def at_least_two(self, specs: tuple[Spec, ...]) -> Spec:
        """Return the first Spec; raise ShapeError unless there are others, and all of one dtype."""
        owner = type(self).__name__
        if len(specs) < 2:
            raise ShapeError(owner, "inputs", "must be at least 2", len(specs))
        self.check_inputs(specs)
        dtypes = [spec.dtype for spec in specs]
        if len(set(dtypes)) > 1:
            shown = " and ".join(dtypes)
            raise ShapeError(owner, "inputs", "must have one dtype", tuple(dtypes), shown=shown)
        return specs[0]

    def all_equal(self, specs: tuple[Spec, ...]) -> Spec:
        """Return the first Spec; raise ShapeError unless there are others, and all equal it."""
        first = self.at_least_two(specs)
        for spec in specs[1:]:
            if spec != first:
                shown = f"{first.shape} and {spec.shape}"
                if spec.batch_axis != first.batch_axis:
                    shown = f"{first.letters} and {spec.letters}"
                raise ShapeError(
                    type(self).__name__,
                    "inputs",
                    "must have one shape",
                    (first.shape, spec.shape),
                    "nothing is broadcast",
                    shown=shown,
                )
        return first
