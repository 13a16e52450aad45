"""Checks of numbers: integers, real numbers, bytes, and pairs of integers."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.errors import ArgumentError, ArgumentTypeError, from_signal, nearest, shorten
from fastconv.floating import quietly

__all__ = [
    "LARGEST",
    "Padding",
    "as_int",
    "as_padding",
    "as_pair",
    "as_real",
    "as_row_padding",
    "briefly",
    "check_rounding",
    "is_sequence",
    "parse_int",
    "parse_bytes",
]

LARGEST = 2**31 - 1

UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}

Padding = str | tuple[tuple[int, int], tuple[int, int]]

_PAIR = "must be an integer or a tuple of two"
_PADDING = "must be an integer, a pair, two pairs, 'same' or 'valid'"
_ROW_PADDING = "must be an integer, a pair, 'same' or 'valid'"


def as_int(
    operation: str,
    parameter: str,
    value: Any,
    minimum: int,
    maximum: int = LARGEST,
    *,
    rule: str = "must be an integer",
) -> int:
    """Return `value` as an int between `minimum` and `maximum`, or raise.

    `rule` is what the error says of a value that is no integer, where other kinds are right too.

    Raises
    ------
    ArgumentTypeError
        If `value` is no integer (a bool is none).
    ArgumentError
        If it is too small or too large.
    """
    if type(value) is not int:
        name = type(value).__name__
        if isinstance(value, bool) or name in ("bool", "bool_"):
            raise ArgumentTypeError(operation, parameter, rule, value)
        try:
            value = operator.index(value)
        except TypeError:
            raise ArgumentTypeError(
                operation, parameter, rule, value, shown=f"{shorten(value)} ({name})"
            ) from None
    if value < minimum:
        raise ArgumentError(operation, parameter, f"must be at least {minimum}", value)
    if value > maximum:
        raise ArgumentError(operation, parameter, f"must be at most {maximum}", value)
    return value


def parse_int(text: str) -> int | None:
    """Return the integer that `text` writes in ASCII digits, or None; it may have a sign.

    Python's ``int`` takes more, and ``str.isdigit`` more than that.  What has more digits than
    any number that we take, and than ``int`` takes, is ``10**100``.

    Examples
    --------
    >>> parse_int(" +8 "), parse_int("1_000"), parse_int("\N{SUPERSCRIPT TWO}")
    (8, None, None)
    """
    match = re.fullmatch(r"\s*([+-]?)0*([0-9]+)\s*", text, re.ASCII)
    if match is None:
        return None
    sign, digits = match.groups()
    number = int(digits) if len(digits) <= 100 else 10**100
    return -number if sign == "-" else number


def as_real(
    operation: str, parameter: str, value: Any, rule: str, low: float, high: float
) -> float:
    """Return `value` as a float with ``low <= value < high``; `rule` says so in words."""
    try:
        if isinstance(value, (bool, np.bool_)) or getattr(value, "shape", ()) != ():
            raise TypeError
        if not (hasattr(value, "__float__") or hasattr(value, "__index__")):  # texts, bytes
            raise TypeError
        if getattr(getattr(value, "dtype", None), "kind", "f") not in "iuf":
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    except Exception as error:  # whatever a hostile __float__ raises
        if from_signal(error):
            raise
        raise ArgumentTypeError(operation, parameter, "must be a number", value) from None
    if not low <= number < high:
        raise ArgumentError(operation, parameter, f"must be {rule}", value)
    return number


@quietly
def _rounded(kind: type[np.floating[Any]], value: float) -> float:
    return float(kind(value))


def check_rounding(operation: str, parameter: str, value: float, dtype: Any) -> None:
    """Raise ArgumentError if `value`, positive and finite, is 0 or infinite in `dtype`."""
    kind = np.dtype(dtype).type
    rounded = _rounded(kind, value)
    if value and not 0 < abs(rounded) < math.inf:
        limits = np.finfo(kind)
        raise ArgumentError(
            operation,
            parameter,
            f"must not round to {rounded:g} in {np.dtype(dtype).name}",
            value,
            f"take {limits.smallest_subnormal:.2g} to {limits.max:.2g}, or float64",
        )


def parse_bytes(operation: str, parameter: str, value: int | str | None) -> int | None:
    """Return a number of bytes, given as one or as text such as "8 MiB"; None is no limit.

    Examples
    --------
    >>> parse_bytes("conv2d", "workspace_limit", "8 MiB")
    8388608
    """
    if value is None:
        return None
    rule = "must be a number of bytes, such as 8388608 or '8 MiB' (B, kB, MB, GB, KiB, MiB, GiB)"
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]{0,3})\s*", value)
        if match and match[2].lower() in UNITS:
            return int(float(match[1]) * UNITS[match[2].lower()])
        raise ArgumentError(operation, parameter, rule, value)
    return as_int(operation, parameter, value, 0, 2**63 - 1, rule=rule)


def is_sequence(value: Any) -> bool:
    """Return whether `value` is a sequence, and no text."""
    if type(value) is tuple or type(value) is int:  # the usual cases, quickly
        return type(value) is tuple
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def as_pair(
    operation: str, parameter: str, value: Any, minimum: int, *, rule: str = _PAIR
) -> tuple[int, int]:
    """Return an integer, or a sequence of two, as a pair (vertical, horizontal)."""
    if type(value) is int and minimum <= value <= LARGEST:  # the usual cases, quickly
        return value, value
    if type(value) is tuple and len(value) == 2:
        first, second = value
        if type(first) is int and type(second) is int and minimum <= first <= LARGEST:
            if minimum <= second <= LARGEST:
                return value
    if not is_sequence(value):
        number = as_int(operation, parameter, value, minimum, rule=rule)
        return number, number
    if len(value) != 2:
        shown = f"{len(value)}: {shorten(value)}"
        raise ArgumentError(operation, parameter, rule, value, shown=shown)
    first, second = value
    return (
        as_int(operation, parameter, first, minimum, rule=rule),
        as_int(operation, parameter, second, minimum, rule=rule),
    )


def briefly(value: Any) -> Any:
    """Return a checked pair, padding or word in its shortest form: (2, 2) is 2 again.

    Examples
    --------
    >>> briefly((2, 2)), briefly(((1, 1), (1, 1))), briefly((1, 2))
    (2, 1, (1, 2))
    """
    while isinstance(value, tuple) and value[0] == value[1]:
        value = value[0]
    return value


def as_padding(operation: str, value: Any, *, rule: str = _PADDING) -> Padding:
    """Return `value` as ``((top, bottom), (left, right))``, or as the word ``"same"``."""
    if type(value) is int and 0 <= value <= LARGEST:  # the usual case, quickly
        return (value, value), (value, value)
    if isinstance(value, str):
        if value == "valid":
            return (0, 0), (0, 0)
        if value == "same":
            return "same"
        close = nearest(value, ("same", "valid"), 1)
        raise ArgumentError(
            operation, "padding", rule, value, f"did you mean {close[0]!r}?" if close else ""
        )
    if is_sequence(value):
        remedy = "two pairs are ((top, bottom), (left, right))"
        if len(value) != 2:
            shown = f"{len(value)}: {shorten(value)}"
            raise ArgumentError(operation, "padding", rule, value, remedy, shown=shown)
        vertical, horizontal = value
        if is_sequence(vertical) and is_sequence(horizontal):
            return (
                as_pair(operation, "padding", vertical, 0, rule=rule),
                as_pair(operation, "padding", horizontal, 0, rule=rule),
            )
        if is_sequence(vertical) or is_sequence(horizontal):
            raise ArgumentTypeError(operation, "padding", rule, value, remedy)
    vertical, horizontal = as_pair(operation, "padding", value, 0, rule=rule)
    return (vertical, vertical), (horizontal, horizontal)


def as_row_padding(operation: str, value: Any) -> Padding:
    """Return the padding of a signal, ``left`` and ``right`` or a word, as that of one row.

    Examples
    --------
    >>> as_row_padding("Conv1D", 2), as_row_padding("Conv1D", (2, 0))
    (((0, 0), (2, 2)), ((0, 0), (2, 0)))
    """
    if isinstance(value, str):
        return as_padding(operation, value, rule=_ROW_PADDING)
    return (0, 0), as_pair(operation, "padding", value, 0, rule=_ROW_PADDING)
