"""Predictions of arrays of Dask: a network as one node of the graph, a task for each chunk.

Dask is imported by the function, and not with this module.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from itertools import count, islice
from operator import getitem
from types import ModuleType
from typing import Any

import numpy as np

from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FastconvError,
    MissingExtraError,
    ShapeError,
)
from fastconv.layers.spec import Spec
from fastconv.models.graph import reshaped
from fastconv.serving import Predictor

__all__ = ["predict"]

OPERATION = "dask.predict"


def predict(net: Any, array: Any, *, memory_limit: int | str | None = None) -> Any:
    """Return what a network returns for the rows of an array of Dask, as such an array.

    Nothing is computed yet.  The network is one node of the graph, of which every worker gets the
    result once; a task predicts a chunk.  A task that is done again, since its worker died, gives
    the same bits: those of ``net.predict``.

    Parameters
    ----------
    net : Model, Predictor, str, path or bytes
        A network as it is now, or what `fastconv.Predictor` takes.  The file of a path is read
        here too, for shapes and dtypes, and must be there on every worker.
    array : dask.array.Array (N, ...), or a tuple of them, one for each input
        Its chunks must not cut an example, and be alike along the rows; numbers of rows may be
        unknown.  Examples may have one axis with all their numbers.
    memory_limit : int or str, optional
        The most bytes, also as in ``"20 MB"``, that the task of a chunk may take, as of
        `fastconv.Model.predict`; left out beside a Predictor, which has its own.

    Returns
    -------
    dask.array.Array (N, ...), or a tuple of them for several outputs
        In the dtype of the network, with the chunks that `array` has along the rows.

    Raises
    ------
    ArgumentTypeError
        If `array` is no array of Dask, or its dtype does not fit.
    ShapeError
        If shapes do not fit, or a chunk ends within an example; the message says how to rechunk.
    ArgumentError, FormatError
        If `net` is no network, or there is no file of it.
    MissingExtraError
        If there is no Dask.

    Notes
    -----
    Dask calls functions on empty arrays to see what they return.  It does not here: dtype, chunks
    and meta are those of the network.

    Examples
    --------
    >>> import fastconv
    >>> import dask.array as da  # doctest: +SKIP
    >>> net = fastconv.create_model("DigitsNet", weights="digits")
    >>> x = da.zeros((500, 1, 8, 8), "float32", chunks=(100, 1, 8, 8))  # doctest: +SKIP
    >>> fastconv.dask.predict(net, x).chunks  # doctest: +SKIP
    ((100, 100, 100, 100, 100), (10,))
    """
    da = _dask("dask.array")
    predictor = _as_predictor(net, memory_limit)
    arrays = list(array) if isinstance(array, (tuple, list)) else [array]
    inputs = predictor.inputs
    if len(arrays) != len(inputs):
        rule = f"must be one array for each input: {', '.join(list(inputs)[:8])}"
        raise ArgumentTypeError(OPERATION, "array", rule, len(arrays), shown=f"{len(arrays)}")
    for one, (name, spec) in zip(arrays, inputs.items(), strict=True):
        _check(da, one, name if len(inputs) > 1 else "array", spec)
        if not _alike(one.chunks[0], arrays[0].chunks[0]):
            rule = f"must have the chunks of the first array along the rows, {arrays[0].chunks[0]}"
            raise ShapeError(OPERATION, name, rule, one.chunks[0])
    found = _outputs(da, predictor, arrays)
    return found[0] if len(found) == 1 else tuple(found)


def _dask(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError.of(OPERATION, "Dask", "dask") from error


def _as_predictor(net: Any, memory_limit: int | str | None) -> Predictor:
    if not isinstance(net, Predictor):
        try:
            return Predictor(net, memory_limit)
        except FastconvError as error:
            name = "net" if error.parameter == "source" else error.parameter
            parts = OPERATION, name, error.rule, error.value, error.remedy
            raise type(error)(*parts, shown=error.shown) from None
    if memory_limit is not None:
        rule, remedy = "must be left out beside a Predictor", "give it to the Predictor"
        raise ArgumentError(OPERATION, "memory_limit", rule, memory_limit, remedy)
    return net


def _check(da: Any, array: Any, name: str, spec: Spec) -> None:
    """Raise unless `array` is one of Dask that fits an input, in chunks of whole examples."""
    if not isinstance(array, da.Array):
        rule, remedy = "must be an array of Dask", "dask.array.from_array(x) makes one"
        if hasattr(array, "to_dask_array"):
            remedy = "frame.to_dask_array(lengths=True) makes one, of a column for each number"
        kind = type(array).__name__
        raise ArgumentTypeError(OPERATION, name, rule, array, remedy, shown=kind)
    kinds = "biuf" if spec.is_float else "biu"
    masked = isinstance(array._meta, np.ma.MaskedArray)
    if array.dtype.kind not in kinds or masked or not isinstance(array._meta, np.ndarray):
        rule = f"must be of NumPy's {'real numbers' if spec.is_float else 'integers'}"
        shown = f"{array.dtype} in {type(array._meta).__name__}"
        remedy = f"dask.array.ma.filled({name}, value)" if masked else ""
        raise ArgumentTypeError(OPERATION, name, rule, array.dtype, remedy, shown=shown)
    if array.shape[1:] not in (spec.shape, (spec.size,)):
        rule = f"must have shape {spec.letters}"
        remedy = re.sub(r"\bx\b", name, reshaped(array.shape, spec.shape))
        raise ShapeError(OPERATION, name, rule, array.shape, remedy)
    cut = {axis: -1 for axis in range(1, array.ndim) if len(array.chunks[axis]) > 1}
    if cut:
        rule = "must have chunks of whole examples"
        remedy = f"{name}.rechunk({cut})"
        shown = f"chunks of {array.chunksize}"
        raise ShapeError(OPERATION, name, rule, array.chunks, remedy, shown=shown)


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether chunks have as many rows each, as far as that is known: NaN is a number of rows."""
    known = [pair for pair in zip(one, other, strict=False) if not np.isnan(pair).any()]
    return len(one) == len(other) and all(a == b for a, b in known)


def _predicted(*given: Any) -> Any:
    """Predict a chunk: what a task does."""
    *chunks, predictor = given
    return predictor(*chunks)


def _outputs(da: Any, predictor: Predictor, arrays: Sequence[Any]) -> list[Any]:
    """Return the arrays that the network makes of others, each along the same rows."""
    token = _dask("dask.base").tokenize(predictor, *arrays)
    model = _dask("dask").delayed(predictor, name=f"network-{token}", traverse=False)
    # What Dask calls an index is an axis with a number of its own: 0 is that of the rows.
    given, unused = [], count(1)
    for array in arrays:
        given += [array, (0, *islice(unused, array.ndim - 1))]
    given += [model, None]

    def made(function: Any, name: str, spec: Spec, *given: Any) -> Any:
        sizes = {next(unused): size for size in spec.shape}
        return da.blockwise(
            function,
            (0, *sizes),
            *given,
            name=f"{name}-{token}",
            new_axes=sizes,
            dtype=spec.dtype,
            meta=np.empty((0,) * (len(sizes) + 1), spec.dtype),
            concatenate=True,
            align_arrays=False,
        )

    specs = list(predictor.outputs.values())
    if len(specs) == 1:
        return [made(_predicted, "prediction", specs[0], *given)]
    # A task gives a tuple of all outputs, of which others take one each.
    objects = {"dtype": object, "meta": np.empty(0, object), "align_arrays": False}
    name = f"predictions-{token}"
    whole = da.blockwise(_predicted, (0,), *given, name=name, concatenate=True, **objects)
    return [
        made(getitem, f"prediction-{number}", spec, whole, (0,), number, None)
        for number, spec in enumerate(specs)
    ]
