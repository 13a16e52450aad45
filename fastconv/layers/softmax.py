"""Scores to probabilities."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.arguments import LARGEST, as_int
from fastconv.errors import ArgumentError, ShapeError
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer
from fastconv.layers.spec import Spec

__all__ = ["Softmax"]


@register_layer("fastconv.Softmax.v1")
class Softmax(Activation):
    """Make an axis (classes, or channels) positive with sum 1: exp(x) / sum(exp(x)).

    Parameters
    ----------
    axis : int
        The axis whose elements sum up to 1; the batch is axis 0, and -1 is the last.

    Examples
    --------
    >>> Softmax().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.042, 0.114, 0.844]])
    """

    new_gradients = True

    def __init__(self, axis: int = 1) -> None:
        self.axis = as_int("Softmax", "axis", axis, -LARGEST)
        if self.axis == 0:
            rule = "must not be 0, the axis of the batch"
            raise ArgumentError("Softmax", "axis", rule, axis)

    @property
    def gives(self) -> str:  # type: ignore[override]
        """Shares of classes where the axis is 1, else numbers from 0 to 1."""
        shape = self._specs[0].shape if self._specs else ()
        first = self.axis == 1 or (self.axis == -1 and len(shape) == 1)
        return "probabilities" if first else "chances"

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        spec = self.one_input(specs)
        self._classes(spec)
        return spec

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.softmax(x, self.axis)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for dy and y."""
        return functional.softmax_backward(dy, y, self.axis)

    def least_rows(self, *specs: Spec) -> int:
        """Return 1; raise ShapeError for a single class, whose share is 1 and has no gradient."""
        (spec,) = specs
        if self._classes(spec) < 2:
            raise ShapeError(
                type(self).__name__,
                "input",
                f"must have at least 2 classes on axis {self.axis} to learn",
                spec.shape,
                "leave the layer out: one share alone is always 1",
                shown=f"shape (N, {', '.join(map(str, spec.shape))})",
            )
        return 1

    def _classes(self, spec: Spec) -> int:
        """Return how many elements the axis has."""
        last = len(spec.shape)
        if not -last <= self.axis <= last:
            rule = f"must be from 1 to {last}, or from {-last} to -1"
            raise ShapeError("Softmax", "axis", rule, self.axis)
        return spec.shape[self.axis - (self.axis > 0)]
