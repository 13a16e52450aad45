"""Weights of rows: how much each example of a batch counts in losses and metrics.

A weighted figure is the sum of weight times figure over the sum of weights. A row of weight 0 adds
nothing, even where its figure is infinite or NaN. Without weights, every row counts as 1.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import ArgumentError, ShapeError
from fastconv.floating import quietly

__all__ = ["Shares", "as_weights", "sum_of"]

Array = np.ndarray[Any, Any]


@quietly
def as_weights(operation: str, weights: Any, rows: int, parameter: str = "weights") -> Array | None:
    """Return the weights of `rows` rows as float64 (N,), or None if every row counts as 1.

    Raises
    ------
    ArgumentTypeError
        If they are no numbers.
    ShapeError
        If they are not one number for each row.
    ArgumentError
        If one of them is negative, infinite or NaN, or their sum is infinite.
    """
    if weights is None:
        return None
    array = as_plain_array(operation, parameter, weights)
    if array.shape != (rows,):
        rule = f"must be one number for each row, an array ({rows},)"
        shown = f"shape {array.shape}"
        raise ShapeError(operation, parameter, rule, array.shape, shown=shown)
    array = array.astype(np.float64, copy=False)
    wrong = array[~((array >= 0) & (array < np.inf))]
    if wrong.size:
        raise ArgumentError(
            operation, parameter, "must be finite and at least 0", wrong[0].item(), "0 leaves out"
        )
    if not array.sum() < np.inf:
        raise ArgumentError(operation, parameter, "must have a finite sum", np.inf)
    return array


@quietly
def sum_of(figures: Array, weights: Array | None) -> float:
    """Return the sum of `figures` (N, ...), each times the weight of its row, in float64."""
    if weights is None:
        return float(figures.sum(dtype=np.float64))
    rows = figures.sum(axis=tuple(range(1, figures.ndim)), dtype=np.float64)
    counts = weights != 0
    return float((rows[counts] * weights[counts]).sum())


class Shares:
    """What the figures of one batch are multiplied by so that their sum is the mean.

    Parameters
    ----------
    operation : str
        The name that errors begin with.
    weights : array-like (N,), or None
    outputs : ndarray (N, ...)
    figures : int
        How many figures all rows have together.
    whole : float, optional
        The rows are part of a batch, whose rows weigh so much: the mean is of its figures.

    Attributes
    ----------
    weights : ndarray (N,) or None
    count : float
        The sum of the weights of all figures, at least 1 where there are none; without weights
        the number of figures.
    """

    def __init__(
        self, operation: str, weights: Any, outputs: Array, figures: int, whole: float | None = None
    ) -> None:
        rows = len(outputs) if outputs.ndim else 1
        self.weights = as_weights(operation, weights, rows)
        self.count: float = max(1, figures)
        if whole is not None:
            self.count = whole * (figures // max(1, rows)) or 1.0
        elif self.weights is not None:
            self.count = float(self.weights.sum()) * (figures // max(1, rows)) or 1.0

    def of_rows(self, rows: slice) -> Shares:
        """Return the shares that some of the rows have in the mean of all."""
        if self.weights is None:
            return self
        part = copy.copy(self)
        part.weights = self.weights[rows]
        return part

    def sum(self, figures: Array) -> float:
        """Return the sum of `figures` (N, ...), each times the weight of its row."""
        return sum_of(figures, self.weights)

    def of(self, gradient: Array, factor: float = 1.0) -> Any:
        """Return what an array like `gradient` (N, ...) is multiplied by for the mean's gradient.

        It is `factor` times the share of each figure: one number, or one for each row.
        """
        if self.weights is None:
            return factor / self.count
        shares = factor * (self.weights / self.count)
        return shares.astype(gradient.dtype).reshape((-1,) + (1,) * (gradient.ndim - 1))

    def apply(self, gradient: Array, factor: float = 1.0) -> Array:
        """Multiply `gradient` (N, ...) by `of` it, in place; return it."""
        gradient *= self.of(gradient, factor)
        return self.without_idle(gradient)

    def without_idle(self, gradient: Array) -> Array:
        """Set the rows of `gradient` whose weight is 0 to zero, even where it is not finite."""
        if self.weights is not None:
            gradient[self.weights == 0] = 0
        return gradient
