"""What the book's functions take as numbers: arrays of any dtype of numbers, and lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, as_real
from fastconv.errors import ArgumentError, ShapeError, from_signal

__all__ = ["as_dtype", "as_rate", "bias", "floats", "parameter", "rows_of"]

Array = np.ndarray[Any, Any]


def as_rate(operation: str, name: str, value: Any) -> float:
    """Return a number that is at least 0, and so small that float32 can be multiplied by it."""
    return as_real(operation, name, value, "at least 0 and below 1e30", 0.0, 1e30)


def as_dtype(operation: str, value: Any) -> np.dtype[Any]:
    """Return float32 or float64, given as NumPy takes dtypes."""
    try:
        dtype = None if value is None else np.dtype(value).newbyteorder("=")
    except Exception as error:  # whatever a hostile object raises
        if from_signal(error):
            raise
        dtype = None
    if dtype not in (np.float32, np.float64):
        raise ArgumentError(operation, "dtype", "must be float32 or float64", value)
    return dtype


def parameter(operation: str, name: str, value: Any, axes: int) -> Array:
    """Return a parameter of a layer, which must be an array of float32 or float64."""
    if not isinstance(value, np.ndarray) or value.dtype not in (np.float32, np.float64):
        raise ArgumentError(operation, name, "must be an array of float32 or float64", value)
    if value.ndim != axes:
        raise ShapeError(operation, name, f"must have {axes} dimensions", value.shape)
    return as_plain_array(operation, name, value)


def bias(operation: str, value: Any, like: Array, units: int) -> Array:
    """Return the bias of `units` units in the dtype of `like`; one number is that of all."""
    array = floats(operation, "b", value, like)
    if array.ndim and array.shape != (units,):
        raise ShapeError(operation, "b", f"must have shape ({units},)", array.shape)
    return array if array.ndim else np.full(units, array)


def rows_of(operation: str, x: Any, t: Any, names: tuple[str, str] = ("x", "t")) -> list[Array]:
    """Return arrays of as many rows, at least one."""
    arrays = [as_plain_array(operation, n, v) for n, v in zip(names, (x, t), strict=True)]
    for name, array in zip(names, arrays, strict=True):
        if not array.ndim or not len(array):
            raise ShapeError(operation, name, "must have rows, at least one", array.shape)
    if len(arrays[0]) != len(arrays[1]):
        rule = f"must have one row for each of {names[0]}"
        raise ShapeError(operation, names[1], rule, arrays[1].shape)
    return arrays


def floats(operation: str, parameter: str, value: Any, like: Array | None = None) -> Array:
    """Return `value` in the dtype of `like`, else in its own if that is float32, else float64.

    The book's code mixes float32 images and float64 weights, and images of uint8; so what is
    computed with weights has their dtype.
    """
    array = as_plain_array(operation, parameter, value)
    if like is not None and like.dtype.kind == "f":
        dtype = like.dtype
    else:
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return array.astype(dtype.newbyteorder("="), copy=False)
