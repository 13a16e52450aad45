"""What tells one run of ``fit`` from another: its settings, and a few rows of its data."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from fastconv.batches import Stream
from fastconv.errors import ArgumentTypeError
from fastconv.training.checksum import checksum
from fastconv.training.described import plain
from fastconv.training.settings import Settings
from fastconv.training.sources import Given, HeldOut, RowSource, Source

__all__ = ["check_again", "fingerprint", "prints_of", "settings_of"]

#: How many rows of an array are looked at.
_ROWS = 16


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


def prints_of(given: Given, source: Source, held_out: HeldOut | None) -> dict[str, Any]:
    """Return the fingerprints of what a run learns from, and is measured on."""
    split = plain(given.validation_split)
    found: dict[str, Any] = {"validation_split": split, "validation_data": None}
    if isinstance(source, RowSource):
        found["x"] = fingerprint(source.table.inputs)
        found["y"] = fingerprint(source.table.targets)
        found["sample_weight"] = fingerprint(source.table.weights)
    else:
        found["x"] = {"batches": source.plan()}
    found["class_weight"] = None if source.classes is None else source.classes.table.tolist()
    if isinstance(held_out, Stream):
        found["validation_data"] = {"batches": held_out.count}
    elif held_out is not None and given.validation_split is None:
        parts = held_out.inputs, held_out.targets, held_out.weights
        found["validation_data"] = fingerprint(parts)
    return found


def fingerprint(data: Any) -> Any:
    """Return what tells data from others, cheaply: shapes, dtypes, and a checksum of a few rows.

    Parameters
    ----------
    data : array-like, tuple of such, or None
    """
    if data is None or isinstance(data, tuple):
        return data and [fingerprint(part) for part in data]
    return _print_of(data)


def _print_of(array: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if isinstance(shape, tuple):
        found["shape"] = plain(shape)
    elif hasattr(array, "__len__"):
        found["rows"] = len(array)
    if dtype is not None:
        found["dtype"] = str(dtype)
    if isinstance(array, np.ndarray) and array.dtype.kind in "fiub" and array.ndim:
        step = max(1, len(array) // _ROWS)
        found["checksum"] = checksum(array[::step][:_ROWS])
    return found
