"""One batch of training, and the place in the data that a run has come to."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.batches import Array

__all__ = ["Batch", "Pieces", "Position", "place_of"]


class Position(NamedTuple):
    """Where a run of ``fit`` stands: the next batch is number `batch` of epoch `epoch`.

    Both count from 0.
    """

    epoch: int = 0
    batch: int = 0


def place_of(epoch: int | None, number: int) -> str:
    """Return epoch and batch as text, counted from 1 as in what is printed of epochs."""
    return "" if epoch is None else f" in epoch {epoch + 1}, batch {number + 1}"


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

    Attributes
    ----------
    piece : int or None
        If it is a piece of a batch, its number in that.
    """

    __slots__ = ("epoch", "inputs", "number", "piece", "rows", "targets", "weights")

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
        self.piece: int | None = None

    def row(self, index: int) -> int:
        """Return the number that row `index` of the batch has among all rows."""
        return self.rows.start + index if isinstance(self.rows, slice) else int(self.rows[index])


class Pieces(NamedTuple):
    """The pieces of one batch that this process computes, and how many there are in all.

    Attributes
    ----------
    parts : tuple of Batch
    own : range
        Their places among all pieces of the batch that have rows.
    rows : tuple of int
        How many rows each of all those pieces has.
    weighted : bool
        Whether rows count differently.
    number : int
    epoch : int
    fingerprint : object
        Of a batch of an iterable, what tells it from others; see `Table.fingerprint`.
    """

    parts: tuple[Batch, ...]
    own: range
    rows: tuple[int, ...]
    weighted: bool
    number: int
    epoch: int
    fingerprint: Any = None
