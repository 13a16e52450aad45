"""One batch of training, and the place in the data that a run has come to."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.batches import Array

__all__ = ["Batch", "Position"]


class Position(NamedTuple):
    """Where a run of ``fit`` stands: the next batch is number `batch` of epoch `epoch`.

    Both count from 0.
    """

    epoch: int = 0
    batch: int = 0


class Batch:
    """The rows of one step, and where they come from.

    Parameters
    ----------
    inputs, targets : tuple of ndarray
        Inputs before they are cast.
    weights : ndarray (rows,) of float64, optional
        What each row counts; None if all count alike.
    rows : slice or ndarray
        The numbers of these rows among all rows.
    epoch : int, optional
    number : int
        The epoch, and the number of the batch in it, both counted from 0.
    """

    __slots__ = ("epoch", "inputs", "number", "rows", "targets", "weights")

    def __init__(
        self,
        inputs: tuple[Array, ...],
        targets: tuple[Array, ...],
        weights: Array | None = None,
        rows: Any = slice(0, None),
        epoch: int | None = None,
        number: int = 0,
    ) -> None:
        self.inputs, self.targets, self.weights, self.rows = inputs, targets, weights, rows
        self.epoch, self.number = epoch, number

    @property
    def place(self) -> str:
        """Epoch and batch as text, counted from 1 as in what is printed of epochs."""
        if self.epoch is None:
            return ""
        return f" in epoch {self.epoch + 1}, batch {self.number + 1}"

    def row(self, index: int) -> int:
        """Return the number that row `index` of the batch has among all rows."""
        return self.rows.start + index if isinstance(self.rows, slice) else int(self.rows[index])
