"""Batches as an iterable gives them."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any

from fastconv.batches import Stream, Use, ahead, count_rows
from fastconv.errors import MemoryLimitError, ShapeError
from fastconv.training.batch import Batch, Pieces, Position
from fastconv.training.compiled import Compiled
from fastconv.training.settings import Settings
from fastconv.training.sharding.cutting import Cutter
from fastconv.training.sharding.sums import bytes_of_sums
from fastconv.training.sources.classes import ClassWeights
from fastconv.training.sources.making import Maker, naming, untried
from fastconv.training.sources.table import as_table
from fastconv.training.trainable import Array, Trainable

__all__ = ["StreamSource"]


class StreamSource:
    """An iterable of batches, whose sizes and order are its own.

    A thread runs it, and makes the next batch while one is computed. Under a limit, that batch
    counts, and so do `held` bytes that are there besides.
    """

    known: tuple[Array, ...] | None = None
    rows: int | None = None

    def __init__(
        self,
        model: Trainable,
        compiled: Compiled,
        stream: Stream,
        settings: Settings,
        classes: ClassWeights | None = None,
        cutter: Cutter | None = None,
        held: int = 0,
    ) -> None:
        self.model, self.compiled, self.stream, self.settings = model, compiled, stream, settings
        self.once = stream.once
        self._untried = untried(settings, y_serves=classes is not None)
        self.classes, self._cutter = classes, cutter
        self._maker = Maker(model, settings, classes, cutter)
        self._held = held

    def plan(self) -> int | None:
        """Return how many batches the iterable says that it has; see `Source`."""
        return self.stream.count

    def program(self, batch: Batch | Pieces) -> Any:
        """Return how the step on this batch keeps within the limit; see `Source`."""
        limit = self.settings.memory_limit
        part = next(iter(batch.parts), None) if isinstance(batch, Pieces) else batch
        if limit is None or part is None:
            return None
        inputs, rows = part.inputs, count_rows(part.inputs, self.model.layout)
        whole = rows
        copies = 2 if self.settings.transform is None else 3
        targets = [array for array in part.targets if array.ndim > 1]  # one number does not count
        held = copies * sum(array.nbytes for array in (*inputs, *targets))
        if self.classes is not None:
            held += rows * self.classes.row_bytes(part.targets[0])
        if isinstance(batch, Pieces):
            assert self._cutter is not None
            whole = sum(batch.rows)
            held = -(-held * whole // rows) + bytes_of_sums(self.model, len(batch.rows))
            rows = self._cutter.largest(self.model, [whole])
        held += self._held
        try:
            return self.model.program("fit", limit, rows, inputs, use=Use(training=True), held=held)
        except MemoryLimitError as error:
            if self._cutter is None:
                raise
            raise self._cutter.limited(error, whole, rows) from None

    def batches(self, position: Position, key: int) -> Generator[Batch | Pieces]:
        """Yield the batches of an epoch from `position` on; see `Source`."""
        return ahead(lambda: self._made(position, key))

    def _made(self, position: Position, key: int) -> Generator[Batch | Pieces]:
        triples, number = self.stream.triples("fit"), 0
        for number in count():
            here = position._replace(batch=number)
            with naming(*here):
                triple = next(triples, None)
            if triple is None:
                break
            if number >= position.batch:
                made = [self._batch(triple, here, key)]
                del triple
                yield made.pop()  # so that nothing of it is kept here
        if not number:
            raise ShapeError("fit", "x", "must give at least one batch", 0, shown="none")

    def _batch(self, triple: Any, position: Position, key: int) -> Batch | Pieces:
        with naming(*position):
            x, y, weights = triple
            table = as_table("fit", self.model, self.compiled, x, y, weights, self._untried)
            made = self._maker.of(table, slice(0, len(table)), position, key)
            several = self._cutter is not None and self._cutter.ranks > 1
            if several and isinstance(made, Pieces):
                made = made._replace(fingerprint=table.fingerprint())
            return made
