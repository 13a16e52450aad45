"""Runs a network on rows, batch by batch: what is given becomes arrays, is cut, cast and run.

It knows of a network what the protocol `Runnable` has, which trained and frozen ones share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from fastconv.arguments import as_int, as_plain_array, parse_bytes
from fastconv.errors import ShapeError

__all__ = [
    "Runnable", "as_array", "as_inputs", "as_tuple", "cast", "following", "held", "predict",
    "rows_at_a_time", "slices",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class Runnable(Protocol):
    """What runs on batches."""

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
    total = len(inputs[0])
    batch_size, program = rows_at_a_time(
        operation, model, x, inputs, batch_size or max(1, total), memory_limit, results=total
    )
    run = following(program, model.predict_batch)
    if total <= batch_size:
        return run(cast(model, inputs))
    found: Any = run(cast(model, tuple(a[:batch_size] for a in inputs)))
    first = as_tuple(found)
    whole = tuple(np.empty((total, *part.shape[1:]), part.dtype) for part in first)
    for out, part in zip(whole, first, strict=True):
        out[:batch_size] = part
    several = isinstance(found, tuple)
    del found, first, part
    for rows in slices(total, batch_size, begin=batch_size):
        parts = as_tuple(run(cast(model, tuple(a[rows] for a in inputs))))
        for out, part in zip(whole, parts, strict=True):
            out[rows] = part
        del parts, part
    return whole if several else whole[0]


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
    batch_size = max(1, min(batch_size, len(inputs[0])))
    program = model.program(
        operation, limit, batch_size, inputs, results=results, held=held(x, inputs)
    )
    return program.rows, program
