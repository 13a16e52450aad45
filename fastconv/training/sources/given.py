"""What ``fit`` was given, as a source of batches and as what is held out for validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastconv.batches import Stream, as_inputs, check_alone
from fastconv.errors import ArgumentError, FastconvError, ShapeError
from fastconv.training.compiled import Compiled
from fastconv.training.data import as_parts
from fastconv.training.settings import Settings
from fastconv.training.sharding.cutting import Cutter
from fastconv.training.sources.classes import as_class_weights
from fastconv.training.sources.making import untried
from fastconv.training.sources.rows import RowSource
from fastconv.training.sources.source import Source
from fastconv.training.sources.splitting import split
from fastconv.training.sources.stream import StreamSource
from fastconv.training.sources.table import Table, as_table
from fastconv.training.trainable import Trainable

__all__ = ["IN_BATCHES", "Given", "HeldOut", "opened"]

#: What the model is measured on after every epoch.
HeldOut = Table | Stream

#: What to do instead of a sample_weight beside an iterable of batches.
IN_BATCHES = "give batches (x, y, sample_weight)"
_ONCE = "give an iterable that begins anew each time: a list, or an object with __iter__"


@dataclass(frozen=True)
class Given:
    """The data of one ``fit``: see there.

    `x`, or the first of `validation_data`, is a tuple with one thing for each input, or a `Stream`;
    `validation_data` may also be a `Stream` itself.
    """

    x: Any
    y: Any = None
    validation_data: Any = None
    validation_split: Any = None
    class_weight: Any = None
    sample_weight: Any = None


def opened(
    model: Trainable,
    compiled: Compiled,
    given: Given,
    settings: Settings,
    epochs: int,
    cutter: Cutter | None = None,
) -> tuple[Source, HeldOut | None]:
    """Return where the batches come from, and the rows or batches for validation, if any.

    Everything is checked that can be before the first step. Of objects that are read, that is all
    of y, some rows at a time, and one row of x.
    """
    held_out: HeldOut | None = None
    if given.validation_data is not None:
        if given.validation_split is not None:
            rule = "must be None where validation_data is given"
            raise ArgumentError("fit", "validation_split", rule, given.validation_split)
        held_out = _validation(model, compiled, given.validation_data, epochs)
    if isinstance(given.x, Stream):
        return _stream(model, compiled, given, settings, epochs, held_out, cutter), held_out
    splits = given.validation_split is not None
    before = untried(settings, y_serves=splits or given.class_weight is not None)
    table = as_table("fit", model, compiled, given.x, given.y, given.sample_weight, before)
    if splits:
        if before:
            _check_as_given(model, table)
        table, held_out = split(table, given.validation_split, settings.seed)
    elif isinstance(held_out, Table):
        table, held_out = _beside(table, held_out)
    if isinstance(held_out, Table):
        kept = compiled.count_bytes([spec.shape for spec in model.output_specs()], len(table))[0]
        held_out = replace(held_out, held=held_out.held + kept)
    classes = as_class_weights(model, compiled, given.class_weight, table)
    return RowSource(model, table, settings, classes, cutter), held_out


def _beside(table: Table, other: Table) -> tuple[Table, Table]:
    """Return two tables that are there at one time, each with what is held for both."""
    held = table.held + other.held
    return replace(table, held=held), replace(other, held=held)


def _stream(
    model: Trainable,
    compiled: Compiled,
    given: Given,
    settings: Settings,
    epochs: int,
    held_out: HeldOut | None,
    cutter: Cutter | None,
) -> StreamSource:
    check_alone("fit", "y", given.y)
    check_alone("fit", "validation_split", given.validation_split, "give validation_data")
    check_alone("fit", "sample_weight", given.sample_weight, IN_BATCHES)
    _check_once(given.x, epochs, "x")
    classes = as_class_weights(model, compiled, given.class_weight, None)
    held = held_out.held if isinstance(held_out, Table) else 0
    return StreamSource(model, compiled, given.x, settings, classes, cutter, held)


def _check_as_given(model: Trainable, table: Table) -> None:
    """Raise if the model cannot be measured on rows as they are, before a transform."""
    try:
        as_inputs("fit", model, table.inputs)
    except ShapeError as error:
        remedy = "rows that validation_split holds out are not transformed: give validation_data"
        parts = error.operation, error.parameter, error.rule, error.value
        raise ShapeError(*parts, error.remedy or remedy, shown=error.shown) from None


def _check_once(stream: Stream, epochs: int, name: str) -> None:
    if stream.once and epochs > 1:
        rule = f"must be 1 where {name} is an iterator, which can run only once"
        raise ArgumentError("fit", "epochs", rule, epochs, _ONCE)


def _validation(model: Trainable, compiled: Compiled, data: Any, epochs: int) -> HeldOut:
    if isinstance(data, Stream):
        _check_once(data, epochs, "validation_data")
        return data
    parts = as_parts(data)
    try:
        return as_table("fit", model, compiled, *parts)
    except FastconvError as error:  # which speaks of x and y
        place = ": ".join(dict.fromkeys(("fit", "validation_data", error.operation)))
        said = error.parameter, error.rule, error.value, error.remedy
        raise type(error)(place, *said, shown=error.shown) from None
