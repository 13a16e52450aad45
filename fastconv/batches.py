"""Runs a network on rows, batch by batch: what is given becomes arrays, is cut, cast and run.

It knows of a network what the protocol `Runnable` has, which trained and frozen ones share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastconv.arguments import as_int, as_plain_array, check_range, parse_bytes
from fastconv.errors import ShapeError

__all__ = [
    "Layout",
    "Runnable",
    "as_array",
    "as_inputs",
    "as_tuple",
    "cast",
    "count_rows",
    "empty_like",
    "following",
    "held",
    "predict",
    "rows_at_a_time",
    "rows_of",
    "slices",
    "take",
]

Array = np.ndarray[Any, Any]


class Layout(NamedTuple):
    """Where the rows of inputs and outputs are, and which inputs are of integers.

    Attributes
    ----------
    names : tuple of str
        Of the inputs.
    inputs, outputs : tuple of (int or None)
        The axis that counts rows; None where an array has none and serves all of them.
    integers : tuple of (dtype or None)
        What inputs of integers are of; None for floats.
    """

    names: tuple[str, ...]
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    integers: tuple[np.dtype[Any] | None, ...]


class Runnable(Protocol):
    """What runs on batches.

    Attributes
    ----------
    layout : Layout or None
        None where all inputs are of floats, and rows are on axis 0 everywhere.
    """

    layout: Layout | None

    def cast_inputs(self, x: Any) -> tuple[Array, ...]:
        """Return one array for each input, cast; raise where shape or dtype does not fit."""

    def predict_batch(self, xs: tuple[Array, ...], program: Any = None) -> Any:
        """Return the output of one batch, or a tuple of several outputs, as in inference."""

    def program(
        self,
        operation: str,
        memory_limit: int,
        batch_size: int,
        arrays: Sequence[Array],
        *,
        training: bool = False,
        gathered: bool = False,
        results: int | None = None,
        held: int = 0,
    ) -> Any:
        """Return how batches of the rows of `arrays` keep within `memory_limit` bytes.

        Its ``rows`` is how many are to be given to `predict_batch` at a time. `held` bytes of
        the arrays are copies made of lists.
        """


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return `value` as a tuple, of one if it is none."""
    return value if isinstance(value, tuple) else (value,)


def cast(model: Runnable, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the inputs of one batch as the model takes them."""
    return model.cast_inputs(arrays if len(arrays) > 1 else arrays[0])


def as_inputs(operation: str, model: Runnable, x: Any) -> tuple[Array, ...]:
    """Return the inputs as arrays of equal length, not yet cast; one row tries shape and dtype."""
    arrays = tuple([as_array(operation, "x", part) for part in as_tuple(x)])
    if model.layout is not None:
        return _as_laid_out(operation, model, model.layout, arrays)
    counts = [len(a) if a.ndim else None for a in arrays]
    if not counts or None in counts:
        raise ShapeError(operation, "x", "must be a batch (N, ...)", (), shown="shape ()")
    if len(set(counts)) > 1:
        raise ShapeError(operation, "inputs", "must have equally many rows", counts)
    try:
        cast(model, tuple([a[:1] for a in arrays]))
    except ShapeError:
        cast(model, arrays)  # fails as well, and speaks of the shape that was given
        raise
    return arrays


def _as_laid_out(
    operation: str, model: Runnable, layout: Layout, arrays: tuple[Array, ...]
) -> tuple[Array, ...]:
    axes = layout.inputs
    if any(axis is not None and a.ndim <= axis for a, axis in zip(arrays, axes, strict=True)):
        cast(model, arrays)  # says which shape it must be
    counts = [a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None]
    if len(set(counts)) > 1:
        raise ShapeError(operation, "inputs", "must have equally many rows", counts)
    cast(model, take(arrays, slice(1), layout))
    for name, array, dtype in zip(layout.names, arrays, layout.integers, strict=True):
        if dtype is not None:  # here, and not in the middle of an epoch
            check_range("Model", name, array, dtype)
    return arrays


def count_rows(arrays: Sequence[Array], layout: Layout | None) -> int:
    """Return how many rows inputs have; 1 where none has any."""
    if layout is None:
        return len(arrays[0])
    counts = zip(arrays, layout.inputs, strict=True)
    return next((array.shape[axis] for array, axis in counts if axis is not None), 1)


def take(arrays: Sequence[Array], rows: Any, layout: Layout | None) -> tuple[Array, ...]:
    """Return some rows, a slice or their numbers, of each input; what has no rows as it is."""
    if layout is None:
        return tuple([array[rows] for array in arrays])
    return tuple(
        [rows_of(array, rows, axis) for array, axis in zip(arrays, layout.inputs, strict=True)]
    )


def rows_of(array: Array, rows: Any, axis: int | None) -> Array:
    """Return some rows of an array that counts them on `axis`: a view if `rows` is a slice."""
    if axis is None:
        return array
    if isinstance(rows, slice):
        return array[(*[slice(None)] * axis, rows)]
    return np.take(array, rows, axis)


def empty_like(part: Array, rows: int, axis: int | None, empty: Callable[..., Array]) -> Array:
    """Return an array for `rows` rows such as `part` has, which `empty` makes.

    Where there are none, `part` itself.
    """
    if axis is None:
        return part
    return empty((*part.shape[:axis], rows, *part.shape[axis + 1 :]), part.dtype)


def as_array(operation: str, name: str, value: Any) -> Array:
    """Return `value`, or what an array (N, ...) makes of it, of any dtype."""
    if type(value) is np.ndarray and value.ndim:  # the usual case, quickly
        return value
    # of any dtype: the model and the losses say which they take, and what to do with others
    return as_plain_array(operation, name, value, None, rule="must be an array (N, ...)")


def held(x: Any, arrays: tuple[Array, ...]) -> int:
    """Return the bytes of `arrays` that were made here, of lists."""
    given = {id(part) for part in as_tuple(x)}
    return sum(array.nbytes for array in arrays if id(array) not in given)


def slices(
    rows: int, batch_size: int, order: Array | None = None, *, begin: int = 0, least: int = 1
) -> Iterator[Any]:
    """Indices of one batch after the other: slices, or parts of `order`.

    A last batch of fewer than `least` rows joins the one before.
    """
    while begin < rows:
        end = min(begin + batch_size, rows)
        if rows - end < least:
            end = rows
        part = slice(begin, end)
        yield part if order is None else order[part]
        begin = end


def predict(
    model: Runnable,
    x: Any,
    *,
    batch_size: int | None = 100,
    memory_limit: int | str | None = None,
    operation: str = "predict",
) -> Any:
    """Return what the network returns, for any number of rows, none included.

    Parameters
    ----------
    batch_size : int or None
        None is all rows at once.
    operation : str
        What errors name.

    Returns
    -------
    ndarray (N, ...), or a tuple of them for several outputs
    """
    if batch_size is not None:
        batch_size = as_int(operation, "batch_size", batch_size, 1)
    inputs = as_inputs(operation, model, x)
    layout = model.layout
    total = len(inputs[0]) if layout is None else count_rows(inputs, layout)
    batch_size, program = rows_at_a_time(
        operation, model, x, inputs, batch_size or max(1, total), memory_limit, results=total
    )
    run = following(program, model.predict_batch)
    if total <= batch_size:
        return run(cast(model, inputs))
    found: Any = run(cast(model, take(inputs, slice(batch_size), layout)))
    first = as_tuple(found)
    axes = (0,) * len(first) if layout is None else layout.outputs
    whole = tuple(
        [empty_like(part, total, axis, np.empty) for part, axis in zip(first, axes, strict=True)]
    )
    _put(first, whole, slice(batch_size), axes)
    several = isinstance(found, tuple)
    del found, first
    for rows in slices(total, batch_size, begin=batch_size):
        parts = as_tuple(run(cast(model, take(inputs, rows, layout))))
        _put(parts, whole, rows, axes)
        del parts
    return whole if several else whole[0]


def _put(
    parts: Sequence[Array], whole: Sequence[Array], rows: slice, axes: Sequence[int | None]
) -> None:
    """Copy the outputs of some rows to where they belong; without rows the first stays."""
    for out, part, axis in zip(whole, parts, axes, strict=True):
        if axis is not None:
            rows_of(out, rows, axis)[...] = part


def following(program: Any, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method` as it runs by `program`."""
    return method if program is None else partial(method, program=program)


def rows_at_a_time(
    operation: str,
    model: Runnable,
    x: Any,
    inputs: tuple[Array, ...],
    batch_size: int,
    memory_limit: int | str | None,
    results: int | None = None,
) -> tuple[int, Any]:
    """Return how many rows to compute at once within `memory_limit`, and as what program."""
    limit = parse_bytes(operation, "memory_limit", memory_limit)
    if limit is None:
        return batch_size, None
    batch_size = max(1, min(batch_size, count_rows(inputs, model.layout)))
    program = model.program(
        operation, limit, batch_size, inputs, results=results, held=held(x, inputs)
    )
    return program.rows, program
