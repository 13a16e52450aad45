"""Inputs, targets and weights with equally many rows, and some of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastconv.batches import Layout, Rows, as_array, count_rows, held, is_mapped, is_read, take
from fastconv.errors import ArgumentError
from fastconv.training.checksum import checksum
from fastconv.training.compiled import Compiled
from fastconv.training.data import as_data
from fastconv.training.trainable import Array, Trainable
from fastconv.training.weighting import as_weights

__all__ = ["Some", "Table", "as_table"]


class Some(NamedTuple):
    """Some rows of a table."""

    inputs: tuple[Array, ...]
    targets: tuple[Array, ...]
    weights: Array | None
    rows: Any  # their numbers among all rows


@dataclass(frozen=True)
class Table:
    """Rows to learn from, or to be measured on.

    Attributes
    ----------
    inputs, targets : tuple of (ndarray or Rows)
    weights : ndarray (N,) of float64, or None
    layout : Layout or None
        Where the rows of the inputs are.
    held : int
        Bytes of inputs, targets and weights that were made of lists or of other dtypes.
    chosen : slice, ndarray of int64, or None
        Which rows of the arrays are those of the table; None for all.
    """

    inputs: tuple[Array, ...]
    targets: tuple[Array, ...]
    weights: Array | None
    layout: Layout | None
    held: int
    chosen: Any = None

    def __len__(self) -> int:
        if self.chosen is None:
            return count_rows(self.inputs, self.layout)
        if isinstance(self.chosen, slice):
            return self.chosen.stop - self.chosen.start
        return len(self.chosen)

    @property
    def gathers(self) -> bool:
        """Whether rows that follow each other here are apart in the arrays."""
        return isinstance(self.chosen, np.ndarray)

    def is_slow(self, gathers: bool) -> bool:
        """Whether a batch is read from somewhere, for what is mapped only where it `gathers`."""
        arrays = (*self.inputs, *self.targets)
        return any(isinstance(a, Rows) or (gathers and is_mapped(a)) for a in arrays)

    def part(self, chosen: Any) -> Table:
        """Return the table of some rows of this whole one, which shares its arrays."""
        return replace(self, chosen=chosen)

    def take(self, rows: slice | Array) -> Some:
        """Return some rows, a slice or their numbers in the table."""
        if isinstance(self.chosen, slice):
            first = self.chosen.start
            if isinstance(rows, slice):
                rows = slice(rows.start + first, rows.stop + first)
            else:
                rows = rows + first
        elif self.chosen is not None:
            rows = self.chosen[rows]
        return Some(
            take(self.inputs, rows, self.layout),
            tuple([target[rows] for target in self.targets]),
            None if self.weights is None else self.weights[rows],
            rows,
        )

    def fingerprint(self) -> list[Any]:
        """Return what tells the table from others, cheaply: how many rows, and checksums of some.

        These are of all labels and weights, and of the first and the last row of what is larger.
        Of what is read nothing is looked at.
        """
        arrays = (*self.inputs, *self.targets, *(() if self.weights is None else (self.weights,)))
        known = [array for array in arrays if not isinstance(array, Rows)]
        parts = [a if a.ndim < 2 else a[:: max(1, len(a) - 1)] for a in known]
        return [len(self), *(checksum(part) for part in parts)]

    def row_bytes(self) -> int:
        """Return the bytes of the inputs of one row, as they are given."""
        axes = (0,) * len(self.inputs) if self.layout is None else self.layout.inputs
        return sum(
            a.itemsize * int(np.prod(a.shape, dtype=object)) // max(1, a.shape[axis])
            for a, axis in zip(self.inputs, axes, strict=True)
            if axis is not None
        )

    def target_bytes(self, gathered: bool) -> int:
        """Return the bytes that the targets of one row take where they are read or `gathered`.

        A single number for a row does not count.
        """
        return sum(
            a.itemsize * int(np.prod(a.shape[1:], dtype=object))
            for a in self.targets
            if a.ndim > 1 and (gathered or is_read(a))
        )

    def blocks(self, most: int = 1 << 20) -> Iterator[Some]:
        """Yield all rows without their inputs, at most some `most` bytes of targets at a time."""
        size = sum(a.itemsize * int(np.prod(a.shape[1:], dtype=object)) for a in self.targets)
        step = max(1, most // max(1, size))
        alone = replace(self, inputs=(), layout=None)
        for begin in range(0, len(self), step):
            yield alone.take(slice(begin, min(begin + step, len(self))))


def as_table(
    operation: str,
    model: Trainable,
    compiled: Compiled,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    untried: str = "",
) -> Table:
    """Return what was given as a table; raise if something does not fit, as `as_data` does."""
    inputs, targets = as_data(operation, model, compiled, x, y, untried)
    rows = count_rows(inputs, model.layout)
    weights = _weights(operation, compiled, sample_weight, rows)
    made = held(x, inputs) + held(y, targets)
    made += 0 if weights is None else held(sample_weight, (weights,))
    return Table(inputs, targets, weights, model.layout, made)


def _weights(operation: str, compiled: Compiled, given: Any, rows: int) -> Array | None:
    if given is None:
        return None
    compiled.check_weights(operation, "sample_weight")
    array = as_array(operation, "sample_weight", given)
    if isinstance(array, Rows):
        array = array[:]
    weights = as_weights(operation, array, rows, "sample_weight")
    if weights is not None and not weights.any():
        raise ArgumentError(operation, "sample_weight", "must not be 0 for every row", 0)
    return weights
