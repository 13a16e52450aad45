"""Loss and metrics over all rows, without learning from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from fastconv.batches import Stream, Use, ahead, as_tuple, cast, following, rows_at_a_time, slices
from fastconv.errors import ShapeError
from fastconv.floating import quietly
from fastconv.training.compiled import Compiled
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
) -> dict[str, float]:
    """Return the figures of all rows of a table, or of an iterable of batches."""
    totals = compiled.totals()
    if not isinstance(data, Stream):
        _add(operation, model, compiled, data, batch_size, memory_limit, totals)
        return totals.means()
    with closing(ahead(lambda: data.triples(operation))) as triples:
        for triple in triples:
            table = as_table(operation, model, compiled, *triple)
            del triple
            _add(operation, model, compiled, table, len(table), memory_limit, totals)
            del table
    figures = totals.means()
    if not figures:
        raise ShapeError(operation, "x", "must give at least one batch", 0, shown="none")
    return figures


def _add(
    operation: str,
    model: Trainable,
    compiled: Compiled,
    table: Table,
    batch_size: int,
    memory_limit: int | None,
    totals: Totals,
) -> None:
    batch_size, program = _rows_at_a_time(operation, model, table, batch_size, memory_limit)
    run = following(program, model.predict_batch)
    early = program is None and table.is_slow(table.gathers)
    with closing(_parts(table, batch_size, early)) as parts:
        for inputs, targets, weights, _ in parts:
            outputs = as_tuple(run(cast(model, inputs)))
            del inputs
            losses = _losses(compiled, outputs, targets, weights)
            compiled.measure(totals, losses, outputs, targets, weights)


def _parts(table: Table, size: int, early: bool) -> Any:
    def made() -> Iterator[Some]:
        for rows in slices(len(table), size):
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
    return rows_at_a_time(
        operation,
        model,
        table.inputs,
        size,
        memory_limit,
        held=table.held + size * table.target_bytes(table.gathers),
        use=Use(gathered=table.gathers, measured=True, counted=len(table)),
    )


@quietly
def _losses(
    compiled: Compiled,
    outputs: tuple[Array, ...],
    targets: tuple[Array, ...],
    weights: Array | None,
) -> dict[str, float]:
    return compiled.figures(outputs, targets, weights)
