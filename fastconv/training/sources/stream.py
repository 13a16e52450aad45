"""Batches as an iterable gives them."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any

from fastconv.batches import Stream, Use, ahead, count_rows
from fastconv.errors import ShapeError
from fastconv.training.batch import Batch, Position
from fastconv.training.compiled import Compiled
from fastconv.training.settings import Settings
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
        held: int = 0,
    ) -> None:
        self.model, self.compiled, self.stream, self.settings = model, compiled, stream, settings
        self.once = stream.once
        self._untried = untried(settings, y_serves=classes is not None)
        self.classes, self._maker = classes, Maker(model, settings, classes)
        self._held = held

    def plan(self) -> int | None:
        """Return how many batches the iterable says that it has; see `Source`."""
        return self.stream.count

    def program(self, batch: Batch) -> Any:
        """Return how the step on this batch keeps within the limit; see `Source`."""
        limit, inputs = self.settings.memory_limit, batch.inputs
        if limit is None:
            return None
        rows = count_rows(inputs, self.model.layout)
        copies = 2 if self.settings.transform is None else 3
        targets = [array for array in batch.targets if array.ndim > 1]  # one number does not count
        held = self._held + copies * sum(array.nbytes for array in (*inputs, *targets))
        if self.classes is not None:
            held += rows * self.classes.row_bytes(batch.targets[0])
        return self.model.program("fit", limit, rows, inputs, use=Use(training=True), held=held)

    def batches(self, position: Position, key: int) -> Generator[Batch]:
        """Yield the batches of an epoch from `position` on; see `Source`."""
        return ahead(lambda: self._made(position, key))

    def _made(self, position: Position, key: int) -> Generator[Batch]:
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

    def _batch(self, triple: Any, position: Position, key: int) -> Batch:
        with naming(*position):
            x, y, weights = triple
            table = as_table("fit", self.model, self.compiled, x, y, weights, self._untried)
            some = table.take(slice(0, len(table)))
            return self._maker.batch(some._replace(rows=slice(0, None)), position, key)
