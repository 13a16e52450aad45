"""Bit for bit, or within a bound."""

from __future__ import annotations

from typing import Any

import numpy as np


def same(what: str, actual: Any, expected: np.ndarray) -> None:
    """Raise unless shapes, dtypes and bits are equal; any NaN is equal to any other."""
    _alike(what, actual, expected)
    if actual.tobytes() == expected.tobytes():
        return
    if actual.dtype.kind != "f":
        wrong = actual != expected
    else:
        unsigned = np.dtype(f"u{actual.itemsize}")
        bits = [np.ascontiguousarray(array).view(unsigned) for array in (actual, expected)]
        wrong = (bits[0] != bits[1]) & ~(np.isnan(actual) & np.isnan(expected))
    _report(what, actual, expected, wrong)


def close(what: str, actual: Any, expected: np.ndarray, bound: Any, dtype: Any) -> None:
    """Raise unless `actual` has the infinities and NaN of `expected`, and else errors in `bound`.

    `actual` must be of `dtype`; `expected` may be of a wider one. `bound` is a number or an
    array, of which NaN allows nothing.
    """
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype, copy=False)
        _alike(what, actual, rounded)
        near = np.abs(actual.astype(expected.dtype, copy=False) - expected) <= bound
        right = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        right = np.where(np.isfinite(rounded), near & np.isfinite(actual), right)
    _report(what, actual, expected, ~right, bound)


def _alike(what: str, actual: Any, expected: np.ndarray) -> None:
    if type(actual) is not np.ndarray:
        raise AssertionError(f"{what}: {type(actual).__name__}, not an array")
    found, right = (actual.dtype, actual.shape), (expected.dtype, expected.shape)
    if found != right:
        raise AssertionError(f"{what}: {found[0]} {found[1]}, not {right[0]} {right[1]}")


def _report(
    what: str, actual: np.ndarray, expected: np.ndarray, wrong: np.ndarray, bound: Any = None
) -> None:
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    within = "" if bound is None else f" within {np.broadcast_to(bound, wrong.shape)[place]:.3g}"
    raise AssertionError(
        f"{what}: {np.count_nonzero(wrong)} of {wrong.size} elements are wrong, the first at "
        f"{place}: {actual[place]!r}, not {expected[place]!r}{within}"
    )
