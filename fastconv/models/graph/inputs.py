"""Makes what is given to a network into arrays of its shapes and dtypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastconv.arguments import CHANNELS_FIRST, as_integers, as_plain_array
from fastconv.batches import Layout, Stream, as_stream, is_read
from fastconv.errors import ArgumentTypeError, ShapeError, did_you_mean
from fastconv.floating import quietly
from fastconv.layers.spec import Spec
from fastconv.models.graph.graph import Graph

__all__ = ["bytes_gathered", "bytes_made", "cast", "layout", "reshaped", "split", "stream"]

Array = np.ndarray[Any, Any]


def split(x: Any, graph: Graph) -> Sequence[Any]:
    """Return one thing for each input from `x`: one thing, a sequence, or a mapping by id."""
    ids = graph.input_ids
    if len(ids) == 1 and type(x) is np.ndarray:  # the usual case, quickly
        return (x,)
    if isinstance(x, Mapping):
        known = set(ids)  # of which a network may have thousands
        for name in x:
            if name not in known:
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


def stream(x: Any, graph: Graph, *, alone: bool = False) -> Stream | None:
    """Return `x` as an iterable of batches for the inputs, or None if it is none.

    `alone` says whether x comes without y, and must bring it; see `as_stream`.
    """
    return as_stream(x, partial(split, graph=graph), len(graph.input_ids), alone=alone)


def cast(x: Any, graph: Graph) -> list[Array]:
    """Return the inputs as arrays (N, ...) of the network's dtypes, copied only if need be.

    Raises
    ------
    ArgumentTypeError
        If something is not made of real numbers, or has floats where an input takes integers.
    ArgumentError
        If an integer is out of the range of its input.
    ShapeError
        If a shape does not fit; the message says how to reshape.
    """
    usual = graph.usual_input
    if usual is not None and type(x) is np.ndarray:
        shape, dtype = usual
        if x.shape[1:] == shape and x.dtype == dtype:  # the usual case, quickly
            return [x]
    arrays = []
    for given, name, spec in zip(split(x, graph), graph.input_ids, graph.input_specs, strict=True):
        array = as_plain_array("Model", name, given)
        _check_shape(name, array.shape, spec)
        if not spec.is_float and array.dtype.kind not in "iub":
            raise ArgumentTypeError(
                "Model",
                name,
                f"must be of integers, as an Input of {spec.dtype} takes",
                array.dtype,
                f"if they are whole numbers, {name}.astype({spec.dtype!r}) casts them",
                shown=str(array.dtype),
            )
        arrays.append(array)
    counts = [
        str(array.shape[spec.batch_axis])
        for array, spec in zip(arrays, graph.input_specs, strict=True)
        if spec.batch_axis is not None
    ]
    if len(set(counts)) > 1:
        shown = ", ".join(counts)
        raise ShapeError("Model", "inputs", "must hold equally many examples", shown=shown)
    return [
        _cast(array, spec.dtype)
        if spec.is_float
        else as_integers("Model", name, array, spec.numpy_dtype)
        for array, name, spec in zip(arrays, graph.input_ids, graph.input_specs, strict=True)
    ]


def _check_shape(name: str, shape: tuple[int, ...], spec: Spec) -> None:
    axis, rows = spec.batch_axis, 0
    if axis is not None and axis < len(shape):
        rows = shape[axis]
    if shape == spec.whole_shape(rows):
        return
    remedy = reshaped(shape, spec.shape) if axis == 0 else ""
    if axis and len(shape) == len(spec.shape) + 1 and shape[1:] == spec.shape:
        remedy = f"the batch is axis {axis} here: np.moveaxis({name}, 0, {axis})"
    raise ShapeError("Model", name, f"must have shape {spec.letters}", shape, remedy)


@quietly  # numbers that float32 cannot hold become infinite, as IEEE says
def _cast(array: Array, dtype: str) -> Array:
    return array.astype(dtype, copy=False)


def layout(graph: Graph) -> Layout | None:
    """Return where rows are, and what else batches must know; None if all is as usual."""
    specs = graph.specs
    inputs, outputs = graph.input_specs, [specs[output] for output in graph.outputs]
    if all(spec.is_plain for spec in inputs) and all(spec.batch_axis == 0 for spec in outputs):
        return None
    whole = tuple(None if spec.is_float else spec.numpy_dtype for spec in inputs)
    axes = tuple(tuple(spec.batch_axis for spec in ends) for ends in (inputs, outputs))
    return Layout(graph.input_ids, axes[0], axes[1], whole)


def bytes_made(arrays: Sequence[Array], graph: Graph, gathered: bool) -> tuple[int, ...]:
    """Return for each input the bytes that a row takes which is cast or gathered for a run.

    For an input without a batch, which is never gathered, it is the bytes of the whole array.
    """
    return tuple(
        (0 if array.dtype == spec.numpy_dtype else spec.nbytes)
        + (array.itemsize * spec.size if _is_gathered(array, spec, gathered) else 0)
        for array, spec in zip(arrays, graph.input_specs, strict=True)
    )


def _is_gathered(array: Any, spec: Spec, gathered: bool) -> bool:
    return spec.batch_axis is not None and (gathered or is_read(array))


def bytes_gathered(graph: Graph, gathered: bool) -> tuple[int, ...]:
    """Return what `bytes_made` would for arrays that need no cast."""
    return tuple(
        spec.nbytes if gathered and spec.batch_axis is not None else 0 for spec in graph.input_specs
    )


def reshaped(shape: Sequence[int], want: Sequence[int]) -> str:
    """Return how a batch of `shape` becomes one whose examples have the shape `want`, or "".

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
