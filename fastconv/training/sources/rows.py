"""Batches of rows: of arrays, and of objects whose rows are read as they are needed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from fastconv.batches import Rows, Use, ahead, slices
from fastconv.errors import MemoryLimitError
from fastconv.training.batch import Batch, Pieces, Position
from fastconv.training.data import check_rows, count_batches
from fastconv.training.settings import Settings
from fastconv.training.sharding.cutting import Cutter
from fastconv.training.sharding.sums import bytes_of_sums
from fastconv.training.sources.classes import ClassWeights
from fastconv.training.sources.making import Maker, naming
from fastconv.training.sources.table import Table
from fastconv.training.trainable import Array, Trainable

__all__ = ["RowSource"]


class RowSource:
    """A table of which an epoch takes every row once.

    A thread makes the next batch where that takes time: where rows are read, or transformed. It
    takes the memory of one batch more; under a limit that has no room for it there is no thread.
    """

    once = False

    def __init__(
        self,
        model: Trainable,
        table: Table,
        settings: Settings,
        classes: ClassWeights | None = None,
        cutter: Cutter | None = None,
    ) -> None:
        self.model, self.table, self.settings = model, table, settings
        self.classes, self._cutter = classes, cutter
        self._maker = Maker(model, settings, classes, cutter)
        self._gathers = settings.shuffle or table.gathers
        self._early = settings.transform is not None or table.is_slow(self._gathers)
        self._least, self._count, self._program = 1, 0, None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.table)

    @property
    def known(self) -> tuple[Array, ...] | None:
        """The inputs as steps will have them; see `Source`."""
        return self.table.inputs if self.settings.transform is None else None

    def plan(self) -> int:
        """Return the number of batches of an epoch; see `Source`."""
        size = self.settings.batch_size
        self._least = check_rows("fit", "batch_size", self.model, size)
        check_rows("fit", "x", self.model, self.rows)
        if self._cutter is not None:
            self._cutter.check(self.model, size)
        self._count, largest = count_batches(self.rows, size, self._least)
        if self.settings.memory_limit is not None:
            self._program = self._planned(largest)
        return self._count

    def _planned(self, rows: int) -> Any:
        """Return the program of batches of `rows` rows, with one more ahead if there is room."""
        table, transforms = self.table, self.settings.transform is not None
        self._early = transforms or table.is_slow(self._gathers)
        most = max([a.copies if isinstance(a, Rows) else 1 for a in table.inputs])
        beside = rows * table.row_bytes() * most
        if transforms:  # what it makes is as large as its rows, or as the model takes them
            taken = sum(s.nbytes for s in self.model.input_specs() if s.batch_axis is not None)
            beside += rows * max(table.row_bytes(), taken)
        if self._early:
            try:
                return self._within(rows, beside)
            except MemoryLimitError:
                self._early = False
        return self._within(rows, 0)

    def _within(self, rows: int, beside: int) -> Any:
        gathered = self._gathers or self.settings.transform is not None
        targets = rows * self.table.target_bytes(gathered) * (2 if beside else 1)
        if self.classes is not None:
            targets += rows * self.classes.row_bytes(self.table.targets[0])
        running, more = self._running(rows, gathered)
        try:
            return self.model.program(
                "fit",
                self.settings.memory_limit,
                running,
                self.table.inputs,
                use=Use(training=True, gathered=gathered, counted=self.rows),
                held=self.table.held + beside + targets + more,
            )
        except MemoryLimitError as error:
            if self._cutter is None:
                raise
            raise self._cutter.limited(error, rows, running) from None

    def _running(self, rows: int, gathered: bool) -> tuple[int, int]:
        """Return how many rows of a batch run at a time, and the bytes that the others take.

        They do not depend on how many processes there are, for algorithms depend on them.
        """
        if self._cutter is None:
            return rows, 0
        last = self.rows - (self._count - 1) * self.settings.batch_size
        running = self._cutter.largest(self.model, {rows, last})
        others = (rows - running) * self.table.row_bytes() if gathered else 0
        return running, others + bytes_of_sums(self.model, self._cutter.shards)

    def program(self, batch: Batch | Pieces) -> Any:
        """Return the program of all batches; see `Source`."""
        return self._program

    def batches(self, position: Position, key: int) -> Generator[Batch | Pieces]:
        """Yield the batches of an epoch from `position` on; see `Source`."""
        if self._early:
            return ahead(lambda: self._made(position, key))
        return self._made(position, key)

    def _made(self, position: Position, key: int) -> Generator[Batch | Pieces]:
        rows, size, order = self.rows, self.settings.batch_size, None
        if self.settings.shuffle:
            order = np.random.default_rng((self.settings.seed, key)).permutation(rows)
        # after the last batch there is none, also where that batch has more than `size` rows
        begin = position.batch * size if position.batch < self._count else rows
        parts = slices(rows, size, order, begin=begin, least=self._least)
        for number, chosen in enumerate(parts, position.batch):
            yield self._batch(chosen, position._replace(batch=number), key)

    def _batch(self, chosen: Any, position: Position, key: int) -> Batch | Pieces:
        with naming(*position):
            return self._maker.of(self.table, chosen, position, key)
