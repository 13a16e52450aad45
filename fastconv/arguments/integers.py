"""Checks of arrays of integers, which must fit what they are to be arrays of."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.errors import ArgumentError

__all__ = ["as_integers", "check_range"]


def as_integers(
    operation: str, parameter: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]
) -> np.ndarray[Any, Any]:
    """Return an array of integers or bool as one of `dtype`, without a copy unless one is due.

    Raises
    ------
    ArgumentError
        If `dtype` has no room for one of them.
    """
    check_range(operation, parameter, array, dtype)
    return array.astype(dtype, copy=False)


def check_range(
    operation: str, parameter: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]
) -> None:
    """Raise ArgumentError unless `dtype`, of integers or bool, has every integer of `array`."""
    (least, most), (low, high) = _range(dtype), _range(array.dtype)
    if least <= low and high <= most or not array.size:
        return
    low, high = int(array.min()), int(array.max())
    if low < least or high > most:
        rule = f"must hold integers from {least} to {most}, which {dtype.name} has"
        remedy = "" if dtype == np.int64 else "an Input of int64 takes larger ones"
        raise ArgumentError(operation, parameter, rule, low if low < least else high, remedy)


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)
