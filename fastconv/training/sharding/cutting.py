"""How a batch is cut into pieces, and which rank computes which of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fastconv.errors import ArgumentError, MemoryLimitError
from fastconv.training.trainable import Trainable

__all__ = ["Cutter", "Piece", "cut", "owned", "shards_of"]

#: How many pieces there are where several processes train, and nobody says.
SHARDS = 16


class Piece(NamedTuple):
    """Some neighbouring rows of a batch.

    Attributes
    ----------
    number : int
        The key of its random numbers.
    begin, end : int
        Its rows.
    """

    number: int
    begin: int
    end: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.end - self.begin


def cut(rows: int, shards: int, least: int = 1) -> list[Piece]:
    """Return the pieces of a batch of `rows` rows that have any.

    Piece i of n has the rows from ``rows * i // n`` to ``rows * (i + 1) // n``. There are `shards`
    of them; but where a piece needs `least` rows, no more than all have so many.

    Examples
    --------
    >>> [(piece.begin, piece.end) for piece in cut(7, 3)]
    [(0, 2), (2, 4), (4, 7)]
    >>> [piece.number for piece in cut(2, 4)]  # the others are empty
    [1, 3]
    >>> [piece.rows for piece in cut(7, 4, least=2)]
    [2, 2, 3]
    """
    count = shards if least == 1 else max(1, min(shards, rows // least))
    bounds = [rows * i // count for i in range(count + 1)]
    pieces = (Piece(i, bounds[i], bounds[i + 1]) for i in range(count))
    return [piece for piece in pieces if piece.rows]


def owned(pieces: int, rank: int, ranks: int) -> range:
    """Return the places of the pieces that `rank` computes, of `pieces` pieces in a row.

    Examples
    --------
    >>> [len(owned(16, rank, 3)) for rank in range(3)]
    [5, 5, 6]
    """
    return range(pieces * rank // ranks, pieces * (rank + 1) // ranks)


@dataclass(frozen=True)
class Cutter:
    """Cuts the batches of one ``fit``, and tells what is this rank's.

    Attributes
    ----------
    shards : int
    synchronised : bool
        Whether BatchNorm takes the statistics of whole batches, so that pieces may be small.
    rank, ranks : int
    """

    shards: int
    synchronised: bool = False
    rank: int = 0
    ranks: int = 1

    def cut(self, model: Trainable, rows: int) -> tuple[list[Piece], range]:
        """Return the pieces of a batch of `rows` rows, and the places of this rank's."""
        least, _ = model.least_rows()
        if self.synchronised:
            least = model.least_rows_of_piece()
        pieces = cut(rows, self.shards, least)
        return pieces, owned(len(pieces), self.rank, self.ranks)

    def largest(self, model: Trainable, batches: Iterable[int]) -> int:
        """Return how many rows run at a time at the most, of batches of so many rows.

        Where BatchNorm takes statistics of whole batches, the pieces of a batch run together.
        """
        if self.synchronised:
            return max(batches)
        return max(piece.rows for rows in batches for piece in self.cut(model, rows)[0])

    def limited(self, error: MemoryLimitError, rows: int, running: int) -> MemoryLimitError:
        """Return the error of a limit too small for pieces, so that it says how a batch is cut.

        A batch has `rows` rows, of which `running` run at a time.
        """
        rule = (
            f"must be at least {error.least} bytes for training on a batch of {rows} in "
            f"{self.shards} pieces, of which {running} row{'s run' if running > 1 else ' runs'} at "
            "a time"
        )
        remedy = "take a smaller batch_size" + ("" if running > 1 else " and fewer shards")
        return MemoryLimitError("fit", "memory_limit", rule, error.value, remedy, least=error.least)

    def check(self, model: Trainable, batch_size: int, operation: str = "fit") -> None:
        """Raise ArgumentError if a layer cannot learn from the pieces of a full batch.

        They are too small for it, or its statistics cannot be those of the whole batch.
        """
        if self.synchronised:
            model.least_rows_of_piece(operation)
            return
        least, layer = model.least_rows()
        most = batch_size // least
        if least > 1 and self.shards > most:
            raise ArgumentError(
                operation,
                "shards",
                f"must be at most {most} for a batch_size of {batch_size}, as {layer} needs "
                f"{least} rows of a piece to learn",
                self.shards,
                'take a larger batch_size, or batch_norm="synchronised"',
            )


def shards_of(given: int | None, comm: object, ranks: int) -> int | None:
    """Return in how many pieces batches are cut, or None if they are not.

    Raises
    ------
    ArgumentError
        If nobody says, and there are more ranks than the usual number of pieces.
    """
    if given is not None or comm is None:
        return given
    if ranks > SHARDS:
        raise ArgumentError(
            "fit",
            "shards",
            f"must be given for more than {SHARDS} ranks",
            None,
            f"such as shards={1 << (ranks - 1).bit_length()}; with other pieces, training gives "
            "other bits",
        )
    return SHARDS
