"""Loss and metrics over all rows, without learning from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from fastconv.batches import Stream, Use, ahead, as_tuple, cast, following, rows_at_a_time, slices
from fastconv.errors import MemoryLimitError, ShapeError
from fastconv.floating import quietly
from fastconv.training.compiled import Compiled
from fastconv.training.sharding.iterables import check_batches
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.sources import HeldOut, Table, as_table
from fastconv.training.sources.table import Some
from fastconv.training.totals import Totals
from fastconv.training.trainable import Array, Trainable

__all__ = ["check_limit", "measure"]


def measure(
    operation: str,
    model: Trainable,
    compiled: Compiled,
    data: HeldOut,
    batch_size: int,
    memory_limit: int | None,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Return the figures of all rows of a table, or of an iterable of batches.

    Of several ranks, each computes some of the batches, and all have the figures of all.
    """
    rounds = _Rounds(compiled, ranks or Ranks())
    if not isinstance(data, Stream):
        _add(operation, model, data, batch_size, memory_limit, rounds)
        return rounds.totals().means()
    with closing(ahead(lambda: data.triples(operation))) as triples:
        for triple in triples:
            table = as_table(operation, model, compiled, *triple)
            del triple
            rounds.given(table)
            _add(operation, model, table, len(table), memory_limit, rounds)
            del table
    figures = rounds.end().means()
    if not figures:
        raise ShapeError(operation, "x", "must give at least one batch", 0, shown="none")
    return figures


class _Rounds:
    """Adds up figures in the order of the batches, of which in each round every rank computes one.

    Parameters
    ----------
    compiled : Compiled
    ranks : Ranks
    """

    def __init__(self, compiled: Compiled, ranks: Ranks) -> None:
        self.compiled, self._ranks, self._totals = compiled, ranks, compiled.totals()
        self._own: dict[str, Any] | None = None
        self._place = 0  # in the round
        self._fingerprints: list[Any] = []

    def mine(self, later: int = 0) -> bool:
        """Whether this rank computes the next batch, or one so many batches later."""
        return (self._place + later) % self._ranks.ranks == self._ranks.rank

    def given(self, table: Table) -> None:
        """Note the next batch of an iterable, of which each rank has its own."""
        if self._ranks.ranks > 1:
            self._fingerprints.append(table.fingerprint())

    def end(self) -> Totals:
        """Return the figures, where the iterable of no rank may go on."""
        self._fingerprints.append(None)
        return self._merged()

    def done(self, figures: Totals | None) -> None:
        """Go on to the next batch; `figures` are of the one before, if it was this rank's."""
        if figures is not None:
            self._own = figures.state()
        self._place += 1
        if self._place == self._ranks.ranks:
            self.totals()

    def totals(self) -> Totals:
        """Return the figures of all batches so far; all ranks call it at the same time."""
        return self._merged() if self._place else self._totals

    def _merged(self) -> Totals:
        name = "validation_data"
        for state in check_batches(name, self._fingerprints, self._ranks, self._own):
            self._totals.merge(state or {}, self.compiled.by_name)
        self._own, self._place, self._fingerprints = None, 0, []
        return self._totals


def _add(
    operation: str,
    model: Trainable,
    table: Table,
    batch_size: int,
    memory_limit: int | None,
    rounds: _Rounds,
) -> None:
    compiled = rounds.compiled
    batch_size, program = _rows_at_a_time(operation, model, table, batch_size, memory_limit)
    run = following(program, model.predict_batch)
    early = program is None and table.is_slow(table.gathers)
    batches = list(slices(len(table), batch_size))
    own = [rows for number, rows in enumerate(batches) if rounds.mine(number)]
    with closing(_parts(table, own, early)) as parts:
        for _ in batches:
            if not rounds.mine():
                rounds.done(None)
                continue
            inputs, targets, weights, _ = next(parts)
            outputs = as_tuple(run(cast(model, inputs)))
            del inputs
            losses, totals = _losses(compiled, outputs, targets, weights), compiled.totals()
            compiled.measure(totals, losses, outputs, targets, weights)
            del outputs
            rounds.done(totals)


def _parts(table: Table, batches: list[slice], early: bool) -> Any:
    def made() -> Iterator[Some]:
        for rows in batches:
            yield table.take(rows)

    return ahead(made) if early else made()


def check_limit(
    model: Trainable, data: HeldOut | None, batch_size: int, memory_limit: int | None
) -> None:
    """Raise now if `measure` could not keep within the limit later."""
    if isinstance(data, Table):
        _rows_at_a_time("fit", model, data, batch_size, memory_limit)


def _rows_at_a_time(
    operation: str, model: Trainable, table: Table, batch_size: int, memory_limit: int | None
) -> tuple[int, Any]:
    """Return how many rows are measured at once, and as what program."""
    size = min(batch_size, len(table))
    use = Use(gathered=table.gathers, measured=True, counted=len(table))
    while True:
        held = table.held + size * table.target_bytes(table.gathers)
        try:
            return rows_at_a_time(
                operation, model, table.inputs, size, memory_limit, held=held, use=use
            )
        except MemoryLimitError:
            if size <= 1:
                raise
        size //= 2  # fewer rows have fewer targets, and outputs of which figures are computed


@quietly
def _losses(
    compiled: Compiled,
    outputs: tuple[Array, ...],
    targets: tuple[Array, ...],
    weights: Array | None,
) -> dict[str, float]:
    return compiled.figures(outputs, targets, weights)
