"""Scores to probabilities."""

from __future__ import annotations

import numpy as np

from fastconv import functional
from fastconv.errors import ShapeError
from fastconv.layers.activation import Activation
from fastconv.layers.catalogue import register_layer
from fastconv.layers.spec import Spec

__all__ = ["Softmax"]


@register_layer("fastconv.Softmax.v1")
class Softmax(Activation):
    """Make axis 1 (classes, or channels) positive with sum 1: exp(x) / sum(exp(x)).

    Examples
    --------
    >>> Softmax().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.042, 0.114, 0.844]])
    """

    new_gradients = True
    gives = "probabilities"

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the function of x."""
        return functional.softmax(x)

    def gradient(self, dy: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return dx for dy and y."""
        return functional.softmax_backward(dy, y)

    def least_rows(self, *specs: Spec) -> int:
        """Return 1; raise ShapeError for a single class, whose share is 1 and has no gradient."""
        (spec,) = specs
        if spec.shape[0] < 2:
            raise ShapeError(
                type(self).__name__,
                "input",
                "must have at least 2 classes on axis 1 to learn",
                spec.shape,
                "leave the layer out: one share alone is always 1",
                shown=f"shape (N, {', '.join(map(str, spec.shape))})",
            )
        return 1
