"""What is given as arrays, or as rows to be read; and batches of it: cut, gathered, cast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, call_it, check_range
from fastconv.batches.protocol import Array, Layout, Runnable
from fastconv.batches.rows import Rows, reads
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = [
    "as_array",
    "as_inputs",
    "as_tuple",
    "cast",
    "count_rows",
    "empty_like",
    "held",
    "rows_of",
    "slices",
    "take",
]


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return `value` as a tuple, of one if it is none."""
    return value if isinstance(value, tuple) else (value,)


def cast(model: Runnable, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the inputs of one batch as the model takes them."""
    return model.cast_inputs(arrays if len(arrays) > 1 else arrays[0])


def as_inputs(operation: str, model: Runnable, x: Any, *, tried: bool = True) -> tuple[Array, ...]:
    """Return the inputs as arrays of equal length, not yet cast; one row tries shape and dtype.

    Objects whose rows are to be read are `Rows`. Without `tried` the model may take something else,
    which is made of these rows later.
    """
    arrays = tuple([as_array(operation, "x", part) for part in as_tuple(x)])
    if model.layout is not None:
        return _as_laid_out(operation, model, model.layout, arrays, tried)
    counts = [len(a) if a.ndim else None for a in arrays]
    if not counts or None in counts:
        raise ShapeError(operation, "x", "must be a batch (N, ...)", (), shown="shape ()")
    if len(set(counts)) > 1:
        raise ShapeError(operation, "inputs", "must have equally many rows", counts)
    if not tried:
        return arrays
    try:
        cast(model, tuple([a[:1] for a in arrays]))
    except ShapeError:
        cast(model, _outlines(arrays))  # fails as well, and speaks of the shape that was given
        raise
    return arrays


def _outlines(arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return the arrays; for what is read, one of its shape that nothing is read for."""
    return tuple([a.outline if isinstance(a, Rows) else a for a in arrays])


def _as_laid_out(
    operation: str, model: Runnable, layout: Layout, arrays: tuple[Array, ...], tried: bool
) -> tuple[Array, ...]:
    axes = layout.inputs
    for name, axis, array in zip(layout.names, axes, arrays, strict=True):
        if isinstance(array, Rows) and axis != 0:
            rule = "must be an array, for its rows are not on axis 0"
            raise ArgumentTypeError(operation, name, rule, shown="an object that is read")
    if any(axis is not None and a.ndim <= axis for a, axis in zip(arrays, axes, strict=True)):
        cast(model, _outlines(arrays))  # says which shape it must be
    counts = [a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None]
    if len(set(counts)) > 1:
        raise ShapeError(operation, "inputs", "must have equally many rows", counts)
    if not tried:
        return arrays
    cast(model, take(arrays, slice(1), layout))
    for name, array, dtype in zip(layout.names, arrays, layout.integers, strict=True):
        if dtype is not None and not isinstance(array, Rows):  # here, and not in an epoch's middle
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
    if isinstance(array, Rows):
        return array[rows]
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
    """Return `value`, or what an array (N, ...) makes of it, of any dtype.

    An object whose rows are to be read becomes `Rows`, which serves as an array does.
    """
    if type(value) is np.ndarray and value.ndim:  # the usual case, quickly
        return value
    if isinstance(value, Rows) or reads(value):
        return value if isinstance(value, Rows) else Rows(operation, name, value)  # type: ignore[return-value]
    if remedy := call_it(value):
        rule, shown = "must be an array (N, ...)", type(value).__name__
        raise ArgumentTypeError(operation, name, rule, type(value), remedy, shown=shown)
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
