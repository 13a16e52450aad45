"""What tells one run of ``fit`` from another: its settings, and rows of its data."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import numpy as np

from fastconv.batches import Rows, Stream, is_mapped
from fastconv.errors import ArgumentTypeError
from fastconv.training.checksum import checksum
from fastconv.training.described import plain
from fastconv.training.settings import Settings
from fastconv.training.sources import Given, HeldOut, RowSource, Source

__all__ = ["check_again", "fingerprint", "prints_of", "settings_of"]

#: How many rows of an array are looked at, for checkpoints and where each is read from a file.
_ROWS = 16
#: How many between ranks, of an array in memory of more than `_SMALL` bytes; and of rows that are
#: read one by one, by code that may take long.
_MORE_ROWS = 1024
_SMALL = 16 << 20
_READ_ROWS = 8


def settings_of(settings: Settings, **more: Any) -> dict[str, Any]:
    """Return what a run that goes on must have alike; whether it stops at NaN is not of these."""
    kept = {f.name: plain(getattr(settings, f.name)) for f in fields(settings)}
    del kept["stop_on_nan"]
    to_config = getattr(settings.transform, "to_config", None)
    if to_config is not None:
        kept["transform"] = plain(to_config())
    return {**kept, **more}


def check_again(source: Source) -> None:
    """Raise unless the data can be run through from their beginning once more."""
    if source.once:
        raise ArgumentTypeError(
            "fit",
            "x",
            "must be an iterable that begins anew to go on from a checkpoint",
            remedy="a list, or an object whose __iter__ begins at the first batch",
            shown="an iterator, which can run only once",
        )


def prints_of(
    given: Given, source: Source, held_out: HeldOut | None, between_ranks: bool = False
) -> dict[str, Any]:
    """Return the fingerprints of what a run learns from, and is measured on.

    A checkpoint keeps them. What is compared `between_ranks` has checksums of more, all labels.
    """
    inputs, labels = (_SMALL, sys.maxsize) if between_ranks else (0, 0)
    split = plain(given.validation_split)
    found: dict[str, Any] = {"validation_split": split, "validation_data": None}
    if isinstance(source, RowSource):
        found["x"] = fingerprint(source.table.inputs, inputs)
        found["y"] = fingerprint(source.table.targets, labels)
        found["sample_weight"] = fingerprint(source.table.weights, labels)
    else:
        found["x"] = {"batches": source.plan()}
    found["class_weight"] = None if source.classes is None else source.classes.table.tolist()
    if isinstance(held_out, Stream):
        found["validation_data"] = {"batches": held_out.count}
    elif held_out is not None and given.validation_split is None:
        found["validation_data"] = [
            fingerprint(held_out.inputs, inputs),
            fingerprint(held_out.targets, labels),
            fingerprint(held_out.weights, labels),
        ]
    return found


def fingerprint(data: Any, small: int = 0) -> Any:
    """Return what tells data from others, cheaply: shapes, dtypes, and a checksum of some rows.

    Parameters
    ----------
    data : array-like, tuple of such, or None
    small : int
        An array in memory of so many bytes is looked at whole, 1,024 rows are of a larger one, and
        8 of what is read row by row. By default it is 16 rows of an array, and none that are read.
    """
    if data is None or isinstance(data, tuple):
        return data and [fingerprint(part, small) for part in data]
    return _print_of(data, small)


def _print_of(array: Any, small: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if isinstance(shape, tuple):
        found["shape"] = plain(shape)
    elif hasattr(array, "__len__"):
        found["rows"] = len(array)
    if dtype is not None:
        found["dtype"] = str(dtype)
    if isinstance(array, np.ndarray) and array.dtype.kind in "fiub" and array.ndim:
        rows = _ROWS
        if small and not is_mapped(array):
            rows = len(array) if array.nbytes <= small else _MORE_ROWS
        step = max(1, len(array) // rows) if rows else 1
        found["checksum"] = checksum(array[::step][:rows])
    elif small and isinstance(array, Rows) and array.dtype.kind in "fiub":
        chosen = np.unique(np.linspace(0, len(array) - 1, _READ_ROWS).astype(np.int64))
        found["checksum"] = checksum(array[chosen])
    return found
