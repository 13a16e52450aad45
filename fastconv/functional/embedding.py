"""Rows of a table by their numbers, and the gradient of the table."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_int, as_plain_array, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks

__all__ = ["embedding", "embedding_backward", "embedding_workspace"]

INTEGERS: tuple[type[np.generic], ...] = (np.int64, np.int32, np.uint8)
NATIVE = frozenset(map(np.dtype, INTEGERS))


def _numbers(operation: str, indices: Any, entries: int) -> np.ndarray:
    """Return the indices as a contiguous array in native byte order, each of them in range."""
    if type(indices) is np.ndarray and indices.dtype in NATIVE:
        array = indices  # the usual case, quickly
    else:
        array = as_plain_array(
            operation,
            "indices",
            indices,
            INTEGERS,
            rule="must be an array of int64, int32 or uint8",
            remedy="cast it, for example with indices.astype(np.int64)",
        )
        if not array.dtype.isnative:
            array = memory.copied(array)
    if array.size and not (array.min() >= 0 and array.max() < entries):
        place = tuple(np.argwhere((array < 0) | (array >= entries))[0].tolist())
        wrong = int(array[place])
        raise ArgumentError(
            operation,
            "indices",
            f"must be from 0 to {entries - 1}",
            wrong,
            "take more entries, or other numbers",
            shown=f"{wrong} at {place}" if place else str(wrong),
        )
    return checks.contiguous(array)


def _bytes(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the bytes of an array of integers, and how many each of them has."""
    return numbers.reshape(-1).view(np.uint8), numbers.itemsize


def embedding(indices: Any, weight: Any) -> np.ndarray:
    """Return the row of `weight` for each of the `indices`.

    Parameters
    ----------
    indices : ndarray, any shape, int64, int32 or uint8
        Numbers of rows, the first of which is 0.
    weight : ndarray (E, U), float32 or float64

    Returns
    -------
    ndarray (..., U), of the dtype of `weight`
        The shape of `indices`, and behind it an axis for the elements of a row.

    Raises
    ------
    ArgumentError
        If an index is not from 0 to E - 1; it names the first such index and its place.
    ArgumentTypeError, ShapeError
        If the indices are no such integers, or `weight` has other axes.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> embedding(np.array([2, 0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).tolist()
    [[5.0, 6.0], [1.0, 2.0]]
    """
    operation = "embedding"
    weight = checks.as_array(operation, "weight", weight)
    check_axes(operation, "weight", weight.shape, "EU")
    numbers = _numbers(operation, indices, weight.shape[0])
    y = memory.empty((*numbers.shape, weight.shape[1]), weight.dtype)
    if y.size:
        threads.run(
            kernels.module(weight.dtype).embedding,
            *_bytes(numbers),
            checks.contiguous(weight),
            y.reshape(-1, weight.shape[1]),
            work=threads.MOVE * y.size,
        )
    return y


def embedding_workspace(count: int, entries: int) -> int:
    """Return the bytes of the order in which `embedding_backward` adds up `count` rows."""
    return 8 * (count + entries + 1)


def embedding_backward(dy: Any, indices: Any, entries: int) -> np.ndarray:
    """Return the gradient of the `weight` of `embedding`: for each row the sum of its `dy`.

    Parameters
    ----------
    dy : ndarray (..., U), float32 or float64
    indices : ndarray (...), int64, int32 or uint8
    entries : int
        The rows of `weight`.

    Returns
    -------
    dweight : ndarray (E, U), of the dtype of `dy`
        Rows are added in the order of their places, so no bit depends on the number of threads.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        As `embedding`; also if shapes do not fit.

    Notes
    -----
    Workspace: 8 bytes for each index, and for each entry and one more.

    Examples
    --------
    >>> embedding_backward(np.array([[1.0], [2.0], [4.0]]), np.array([1, 0, 1]), 3).tolist()
    [[2.0], [5.0], [0.0]]
    """
    operation = "embedding_backward"
    dy = checks.as_array(operation, "dy", dy)
    entries = as_int(operation, "entries", entries, 1)
    numbers = _numbers(operation, indices, entries)
    if dy.ndim != numbers.ndim + 1 or dy.shape[:-1] != numbers.shape:
        rule = f"must have the shape of the indices, {numbers.shape}, and one axis more"
        raise ShapeError(operation, "dy", rule, dy.shape)
    dweight = memory.empty((entries, dy.shape[-1]), dy.dtype)
    if not dy.size:
        dweight[...] = 0
        return dweight
    dy, module = checks.contiguous(dy), kernels.module(dy.dtype)
    with memory.workspace(embedding_workspace(numbers.size, entries)) as block:
        order, starts = np.split(block.view(np.int64), [numbers.size])
        module.embedding_order(*_bytes(numbers), order, starts)
        threads.run(
            module.embedding_backward,
            dy.reshape(-1, dy.shape[-1]),
            order,
            starts,
            dweight,
            work=threads.MOVE * (dy.size + dweight.size),
        )
    return dweight
