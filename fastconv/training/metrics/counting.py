"""Metrics that are no mean over rows: they keep counts of all rows, and one figure of those."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fastconv.errors import ShapeError
from fastconv.training.labels import as_outputs
from fastconv.training.named import Named
from fastconv.training.weighting import as_weights

__all__ = ["CountingMetric"]

Array = np.ndarray[Any, Any]


class CountingMetric(Named, ABC):
    """A metric whose figure follows from counts, which batches of any sizes add up to.

    Examples
    --------
    >>> class Largest(CountingMetric):
    ...     name = "largest"
    ...     def counts(self, outputs, targets, weights=None):
    ...         return np.array([outputs.max()])
    ...     def added(self, counts, more):
    ...         return np.maximum(counts, more)
    ...     def figure(self, counts):
    ...         return float(counts[0])
    >>> Largest()(np.array([[1.0], [7.0]]), np.array([0, 1]))
    7.0
    """

    def __call__(self, outputs: Any, targets: Any, weights: Any = None) -> float:
        """Return the figure of all rows of `outputs` (N, ...), each counted as its weight."""
        outputs = as_outputs(self.name, outputs)
        if not outputs.ndim:
            rule = "must have shape (N, ...)"
            raise ShapeError(self.name, "outputs", rule, (), shown="shape ()")
        weights = as_weights(self.name, weights, len(outputs))
        return float(self.figure(self.counts(outputs, targets, weights)))

    @abstractmethod
    def counts(self, outputs: Array, targets: Array, weights: Array | None = None) -> Array:
        """Return what is counted in some rows, as an array of float64.

        `weights` (N,) say how much each row counts; None means 1 each.
        """

    def added(self, counts: Array, more: Array) -> Array:
        """Return the counts of the rows of `counts` and of `more` together: their sum."""
        return counts + more

    def count_bytes(self, shape: tuple[int, ...], rows: int) -> tuple[int, int]:
        """Return the bytes that counts take: (those that stay, the most that is taken besides).

        Parameters
        ----------
        shape : tuple of int
            Of the outputs of one row.
        rows : int
            How many rows there are in all.

        Notes
        -----
        What stays is there from batch to batch; what is taken besides is to count a batch, and to
        add its counts to the others. Limits of memory hold for both. Counts that are a few numbers,
        as most are, need not be stated: they are (0, 0).
        """
        return 0, 0

    @abstractmethod
    def figure(self, counts: Array) -> float:
        """Return the figure that follows from the counts of all rows."""
