"""The outputs of a network for any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from fastconv.arguments import as_int, parse_bytes
from fastconv.batches.ahead import ahead
from fastconv.batches.arrays import (
    as_inputs,
    as_tuple,
    cast,
    count_rows,
    empty_like,
    held,
    rows_of,
    slices,
    take,
)
from fastconv.batches.protocol import PREDICTED, Array, Layout, Runnable, Use
from fastconv.batches.rows import Rows
from fastconv.batches.streams import BATCH_SIZE, Stream, check_unsized
from fastconv.errors import ArgumentError, ShapeError

__all__ = ["following", "predict", "rows_at_a_time", "taken"]


def predict(
    model: Runnable,
    x: Any,
    batch_size: int | None = BATCH_SIZE,
    memory_limit: int | str | None = None,
    operation: str = "predict",
) -> Any:
    """Return what the network returns, for any number of rows, none included.

    Parameters
    ----------
    x : array (N, ...), object whose rows are read, tuple of them, or Stream
    batch_size : int or None
        None is all rows at once. Beside a Stream it must be left out.
    operation : str
        What errors name.

    Returns
    -------
    ndarray (N, ...), or a tuple of them for several outputs
    """
    asked = batch_size
    if batch_size is not None and batch_size is not BATCH_SIZE:  # which is as it must be
        batch_size = as_int(operation, "batch_size", batch_size, 1)
    if isinstance(x, Stream):
        check_unsized(operation, asked, x)
        return _of_stream(model, x, memory_limit, operation)
    inputs = as_inputs(operation, model, x)
    layout = model.layout
    total = len(inputs[0]) if layout is None else count_rows(inputs, layout)
    size = batch_size or max(1, total)
    kept = 0 if memory_limit is None else held(x, inputs)
    batch_size, program = rows_at_a_time(
        operation, model, inputs, size, memory_limit, held=kept, results=total
    )
    run = following(program, model.predict_batch)
    if total <= batch_size:
        alone = len(inputs) == 1 and type(inputs[0]) is np.ndarray
        return run(cast(model, inputs if alone else take(inputs, slice(total), layout)))
    with taken(inputs, slices(total, batch_size), layout, program is None) as parts:
        found: Any = run(cast(model, next(parts)))
        first = as_tuple(found)
        axes = (0,) * len(first) if layout is None else layout.outputs
        # a zip that outlives its loop would keep the last of these parts alive
        whole = tuple(
            [
                empty_like(part, total, axis, np.empty)
                for part, axis in zip(first, axes, strict=True)
            ]
        )
        _put(first, whole, slice(batch_size), axes)
        several = isinstance(found, tuple)
        del found, first
        for rows in slices(total, batch_size, begin=batch_size):
            outputs = as_tuple(run(cast(model, next(parts))))
            _put(outputs, whole, rows, axes)
            del outputs
    return whole if several else whole[0]


def taken(
    inputs: Sequence[Array], rows: Iterator[Any], layout: Layout | None, early: bool
) -> closing[Generator[tuple[Array, ...]]]:
    """Return a context of the rows of the inputs, some after others; nothing is kept of them.

    If they must be read, a thread does so `early`, and ends with the context.
    """
    parts = (take(inputs, chosen, layout) for chosen in rows)
    early = early and any(isinstance(array, Rows) for array in inputs)
    return closing(ahead(lambda: parts) if early else parts)


def _put(
    parts: Sequence[Array], whole: Sequence[Array], rows: slice, axes: Sequence[int | None]
) -> None:
    """Copy the outputs of some rows to where they belong; without rows the first stays."""
    for out, part, axis in zip(whole, parts, axes, strict=True):
        if axis is not None:
            rows_of(out, rows, axis)[...] = part


def _of_stream(model: Runnable, stream: Stream, memory_limit: Any, operation: str) -> Any:
    """Return the outputs for all batches of a stream, joined when the last one is there."""
    if memory_limit is not None:
        rule = "must be None for an iterable of batches, whose results have no end that is known"
        raise ArgumentError(operation, "memory_limit", rule, remedy="give x as rows")
    found: list[tuple[Array, ...]] = []
    several = False
    with closing(ahead(stream.inputs)) as batches:
        for x in batches:
            inputs = as_inputs(operation, model, x)
            rows = slice(count_rows(inputs, model.layout))
            outputs = model.predict_batch(cast(model, take(inputs, rows, model.layout)))
            several = isinstance(outputs, tuple)
            found.append(as_tuple(outputs))
            del x, inputs, outputs
    if not found:
        raise ShapeError(operation, "x", "must give at least one batch", 0, shown="none")
    axes = (0,) * len(found[0]) if model.layout is None else model.layout.outputs
    whole = tuple(
        [
            parts[0] if axis is None else np.concatenate(parts, axis)
            for parts, axis in zip(zip(*found, strict=True), axes, strict=True)
        ]
    )
    return whole if several else whole[0]


def following(program: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method` as it runs by `program`."""
    return method if program is None else partial(method, program=program)


def rows_at_a_time(
    operation: str,
    model: Runnable,
    inputs: tuple[Array, ...],
    batch_size: int,
    memory_limit: int | str | None,
    *,
    held: int,
    use: Use = PREDICTED,
    results: int | None = None,
) -> tuple[int, Any]:
    """Return how many rows to compute at once within `memory_limit`, and as what program."""
    limit = parse_bytes(operation, "memory_limit", memory_limit)
    if limit is None:
        return batch_size, None
    batch_size = max(1, min(batch_size, count_rows(inputs, model.layout)))
    program = model.program(
        operation, limit, batch_size, inputs, use=use, results=results, held=held
    )
    return program.rows, program
