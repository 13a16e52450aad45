"""Asserts that arrays are equal or close, even if Python leaves out the statement assert."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, as_real
from fastconv.errors import ArgumentTypeError, shorten
from fastconv.floating import quietly

__all__ = ["TOLERANCES", "assert_bits_equal", "assert_close", "require", "tolerance"]

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def require(holds: bool, message: str) -> None:
    """Raise AssertionError unless something `holds`; unlike assert, ``python -O`` keeps it."""
    if not holds:
        raise AssertionError(message)


def tolerance(dtype: Any) -> float:
    """Return the error that results of `dtype` may have, relative to the largest element.

    Examples
    --------
    >>> tolerance("float32")
    1e-05
    """
    return _tolerance("tolerance", "dtype", dtype)


def _tolerance(operation: str, parameter: str, dtype: Any) -> float:
    try:
        return TOLERANCES[np.dtype(dtype).name if dtype is not None else ""]
    except Exception:  # NumPy, or somebody else's class, may raise anything
        rule = "must be float32 or float64"
        raise ArgumentTypeError(operation, parameter, rule, shorten(dtype)) from None


def assert_bits_equal(actual: Any, expected: Any) -> None:
    """Assert that two arrays have equal shapes, dtypes and bits, so that -0 is not 0.

    Examples
    --------
    >>> assert_bits_equal(np.float32([0.5]), np.float32([0.5]))
    """
    actual, expected = _arrays("assert_bits_equal", actual, expected)
    require(actual.dtype == expected.dtype, f"dtype {actual.dtype}, not {expected.dtype}")
    require(actual.shape == expected.shape, f"shape {actual.shape}, not {expected.shape}")
    bits = [
        np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, array.itemsize)
        for array in (actual, expected)
    ]
    different = np.argwhere((bits[0] != bits[1]).any(axis=-1))
    if len(different):
        place = tuple(int(i) for i in different[0])
        raise AssertionError(
            f"{len(different)} of {actual.size} elements differ, the first at {place}: "
            f"{actual[place].item()!r}, not {expected[place].item()!r}"
        )


@quietly
def assert_close(actual: Any, expected: Any, *, factor: float = 1.0) -> None:
    """Assert equal shapes, and errors of at most `factor` times the `tolerance` of `actual`."""
    operation = "assert_close"
    actual, expected = _arrays(operation, actual, expected)
    factor = as_real(operation, "factor", factor, "at least 0 and finite", 0.0, math.inf)
    relative = factor * _tolerance(operation, "actual", actual.dtype)
    require(actual.shape == expected.shape, f"shape {actual.shape}, not {expected.shape}")
    largest = float(np.max(np.abs(expected), initial=0.0))
    limit = relative * max(largest, np.finfo(actual.dtype).tiny)
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=limit)


def _arrays(operation: str, actual: Any, expected: Any) -> tuple[np.ndarray, np.ndarray]:
    kinds = (np.number, np.bool_)
    rule = "must be an array of numbers"
    return (
        as_plain_array(operation, "actual", actual, kinds, rule=rule),
        as_plain_array(operation, "expected", expected, kinds, rule=rule),
    )
