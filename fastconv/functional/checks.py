"""What every operation asks of its arrays, before a kernel sees them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import memory
from ..arguments import as_plain_array
from ..errors import ArgumentError, ArgumentTypeError, ShapeError

__all__ = ["as_array", "as_output", "contiguous", "is_finite", "readable", "same_dtype"]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
FLOATS: tuple[type[np.generic], ...] = (np.float32, np.float64)
NUMBERS: tuple[type[np.generic], ...] = (np.integer, np.float32, np.float64)


def as_array(operation: str, parameter: str, value: Any) -> np.ndarray:
    """Return `value` as a plain ndarray of native float32 or float64, copied only if it must be.

    Raises
    ------
    ArgumentTypeError
        For any other dtype, masked arrays and None, saying what to cast.
    """
    if type(value) is np.ndarray and (value.dtype is FLOAT32 or value.dtype is FLOAT64):
        return value
    lists = isinstance(value, (list, tuple))
    array = as_plain_array(
        operation, parameter, value, NUMBERS if lists else FLOATS,
        rule=f"must be {'an array of numbers' if lists else 'float32 or float64'}",
        remedy="cast it, for example with .astype(np.float32)",
    )  # fmt: skip
    if lists:
        return np.asarray(array, FLOAT64)
    if not array.dtype.isnative:
        return memory.copied(array)
    return array.view(FLOAT32 if array.itemsize == 4 else FLOAT64)


def same_dtype(operation: str, first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raise unless both arrays have one dtype."""
    if a.dtype is not b.dtype and a.dtype != b.dtype:
        raise ArgumentTypeError(
            f"{operation}: {second} is {b.dtype} and {first} is {a.dtype}; cast one of them, "
            f"for example {second}.astype(np.{a.dtype})"
        )


def readable(array: np.ndarray) -> np.ndarray:
    """Return `array` if kernels can read it in place, rows contiguous, else a counted copy."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    itemsize = array.itemsize
    if array.flags.aligned and (array.strides[-1] == itemsize or array.shape[-1] == 1):
        if all(stride % itemsize == 0 for stride in array.strides):
            return array
    return memory.copied(array)


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return `array` if it is C-contiguous and aligned, else a counted copy."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return memory.copied(array)


def is_finite(array: np.ndarray) -> bool:
    """Whether no element is infinite or NaN, without a mask of them: such a one is in the sum.

    False too where the sum itself overflows.
    """
    with np.errstate(all="ignore"):
        return math.isfinite(array.sum())


def as_output(
    operation: str, out: Any, shape: tuple[int, ...], dtype: np.dtype, *inputs: np.ndarray
) -> np.ndarray:
    """Return `out` checked, or a new array where it is None.

    Raises
    ------
    ArgumentError
        If `out` has another shape or dtype, is read-only, not C-contiguous, or overlaps an input.
    """
    if out is None:
        return memory.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise ArgumentTypeError(f"{operation}: out must be a NumPy array, got {type(out).__name__}")
    if out.shape != shape:
        raise ShapeError(f"{operation}: out must have shape {shape}, got {out.shape}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise ArgumentError(f"{operation}: out must be {dtype}, got {out.dtype}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ArgumentError(
            f"{operation}: out must be C-contiguous, aligned and writeable, got strides "
            f"{out.strides}, writeable={out.flags.writeable}"
        )
    for array in inputs:
        if np.may_share_memory(out, array):
            raise ArgumentError(f"{operation}: out must not overlap an input")
    return out
