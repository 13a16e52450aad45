"""What is given to a network, as arrays of its shapes and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fastconv.arguments import CHANNELS_FIRST, as_plain_array
from fastconv.errors import ArgumentTypeError, ShapeError, did_you_mean
from fastconv.floating import quietly
from fastconv.models.graph.graph import Graph

__all__ = ["bytes_made", "cast", "reshaped", "split"]

Array = np.ndarray[Any, Any]


def split(x: Any, graph: Graph) -> Sequence[Any]:
    """Return one thing for each input: `x` is one, a sequence of them or a mapping by id."""
    ids = graph.input_ids
    if len(ids) == 1 and type(x) is np.ndarray:  # the usual case, quickly
        return (x,)
    if isinstance(x, Mapping):
        for name in x:
            if name not in ids:
                remedy = did_you_mean(name, ids) or f"they are {', '.join(ids[:8])}"
                raise ArgumentTypeError("Model", "x", "must have the inputs' ids", name, remedy)
        missing = [name for name in ids if name not in x]
        if missing:
            given, shown = [str(name) for name in x], f"none for {missing[0]!r}"
            raise ArgumentTypeError("Model", "x", "must have every input", given, shown=shown)
        return [x[name] for name in ids]
    if len(ids) == 1:
        alone = isinstance(x, tuple) and len(x) == 1 and isinstance(x[0], np.ndarray)
        return x if alone else (x,)
    if not isinstance(x, (tuple, list)) or len(x) != len(ids):
        got = f"{len(x)} things" if isinstance(x, (tuple, list)) else type(x).__name__
        named = ", ".join(ids[:8])
        rule = f"must be a tuple of {len(ids)} arrays, {named}{', ...' * (len(ids) > 8)}"
        raise ArgumentTypeError("Model", "x", rule, got, shown=got)
    return x


def cast(x: Any, graph: Graph) -> list[Array]:
    """Return the inputs as arrays (N, ...) of the network's dtype; no copy where none is due.

    Raises
    ------
    ArgumentTypeError
        If something is not made of real numbers.
    ShapeError
        If a shape does not fit; the message says how to reshape.
    """
    if len(graph.input_specs) == 1 and type(x) is np.ndarray:
        (spec,) = graph.input_specs
        if x.shape[1:] == spec.shape and x.dtype == spec.numpy_dtype:  # the usual case, quickly
            return [x]
    arrays = []
    for given, name, spec in zip(split(x, graph), graph.input_ids, graph.input_specs, strict=True):
        array = as_plain_array("Model", name, given)
        if array.shape[1:] != spec.shape or array.ndim == 0:
            rule = f"must have shape ({', '.join(['N', *map(str, spec.shape)])})"
            raise ShapeError("Model", name, rule, array.shape, reshaped(array.shape, spec.shape))
        arrays.append(array)
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(map(str, (len(array) for array in arrays)))
        raise ShapeError("Model", "inputs", "must hold equally many examples", shown=counts)
    dtypes = [spec.dtype for spec in graph.input_specs]
    return [_cast(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]


@quietly  # what float32 cannot hold is infinite, as IEEE has it
def _cast(array: Array, dtype: str) -> Array:
    return array.astype(dtype, copy=False)


def bytes_made(arrays: Sequence[Array], graph: Graph, gathered: bool) -> tuple[int, ...]:
    """Return for each input the bytes of a row that is cast, or gathered with others, for a run."""
    return tuple(
        (0 if array.dtype == spec.numpy_dtype else spec.nbytes)
        + (array.itemsize * spec.size if gathered else 0)
        for array, spec in zip(arrays, graph.input_specs, strict=True)
    )


def reshaped(shape: Sequence[int], want: Sequence[int]) -> str:
    """Return how a batch of `shape` becomes one of examples of shape `want`, if it can.

    Examples
    --------
    >>> reshaped((100, 28, 28, 3), (3, 28, 28))
    'the channels come first here: x.transpose(0, 3, 1, 2)'
    """
    shape, want = tuple(shape), tuple(want)
    if shape == want:
        return "one example needs a batch of its own: x[None]"
    if len(want) == 3 and want[0] == 1 and shape[1:] == want[1:]:
        return "add the channel: x[:, None]"
    if len(want) == 3 and len(shape) == 4 and shape[1:] == (*want[1:], want[0]):
        return CHANNELS_FIRST
    if len(shape) >= 2 and prod(shape[1:]) == prod(want):
        return f"x.reshape(-1, {', '.join(map(str, want))}) has it"
    return ""
