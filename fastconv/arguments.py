"""Checks of the numbers and words that users give: integers, pairs, padding, shapes.

Errors name the operation, the parameter, the rule and the value.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .errors import ArgumentError, ArgumentTypeError, ShapeError, nearest, shorten

__all__ = ["as_int", "as_padding", "as_pair", "as_shape", "briefly", "check_axes"]

LARGEST = 2**31 - 1

Padding = str | tuple[tuple[int, int], tuple[int, int]]


def as_int(operation: str, parameter: str, value: Any, minimum: int, maximum: int = LARGEST) -> int:
    """Return `value` as an int between `minimum` and `maximum`, or raise.

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
            raise ArgumentTypeError(f"{operation}: {parameter} must be an integer, got {value!r}")
        try:
            value = operator.index(value)
        except TypeError:
            raise ArgumentTypeError(
                f"{operation}: {parameter} must be an integer, got {shorten(value)} ({name})"
            ) from None
    if value < minimum:
        raise ArgumentError(
            f"{operation}: {parameter} must be at least {minimum}, got {shorten(value)}"
        )
    if value > maximum:
        raise ArgumentError(
            f"{operation}: {parameter} must be at most {maximum}, got {shorten(value)}"
        )
    return value


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def as_pair(operation: str, parameter: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return an integer, or a sequence of two, as a pair (vertical, horizontal)."""
    if type(value) is int and minimum <= value <= LARGEST:  # the usual cases, quickly
        return value, value
    if type(value) is tuple and len(value) == 2:
        first, second = value
        if type(first) is int and type(second) is int and minimum <= first <= LARGEST:
            if minimum <= second <= LARGEST:
                return value
    if not _is_sequence(value):
        number = as_int(operation, parameter, value, minimum)
        return number, number
    if len(value) != 2:
        raise ArgumentError(
            f"{operation}: {parameter} must be an integer or two of them, "
            f"got {len(value)}: {shorten(value)}"
        )
    first, second = value
    return (
        as_int(operation, parameter, first, minimum),
        as_int(operation, parameter, second, minimum),
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


def as_padding(operation: str, value: Any) -> Padding:
    """Return `value` as ``((top, bottom), (left, right))``, or as the word ``"same"``."""
    if type(value) is int and 0 <= value <= LARGEST:  # the usual case, quickly
        return (value, value), (value, value)
    if isinstance(value, str):
        if value == "valid":
            return (0, 0), (0, 0)
        if value == "same":
            return "same"
        close = nearest(value, ("same", "valid"), 1)
        remedy = f"; did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(
            f"{operation}: padding must be an integer, a pair, two pairs, 'same' or 'valid', "
            f"got {shorten(value)}{remedy}"
        )
    if _is_sequence(value) and len(value) == 2:
        if all(_is_sequence(side) for side in value):
            vertical, horizontal = value
            return (
                as_pair(operation, "padding", vertical, 0),
                as_pair(operation, "padding", horizontal, 0),
            )
    vertical, horizontal = as_pair(operation, "padding", value, 0)
    return (vertical, vertical), (horizontal, horizontal)


def as_shape(operation: str, parameter: str, shape: Any, axes: str, minimum: int = 1) -> tuple:
    """Return `shape` as a tuple of ints, one per letter of `axes`; N may be 0, the others not."""
    if not _is_sequence(shape):
        raise ArgumentTypeError(
            f"{operation}: {parameter} must be a tuple ({', '.join(axes)}), got {shorten(shape)}"
        )
    if len(shape) != len(axes):
        raise ShapeError(
            f"{operation}: {parameter} must have {len(axes)} numbers ({', '.join(axes)}), "
            f"got {shorten(tuple(shape))}"
        )
    return tuple(
        as_int(operation, f"{parameter}[{i}]", size, 0 if axis == "N" else minimum)
        for i, (axis, size) in enumerate(zip(axes, shape, strict=True))
    )


def check_axes(operation: str, parameter: str, shape: Sequence[int], axes: str) -> None:
    """Raise ShapeError unless `shape` has an axis per letter of `axes`, none but N empty."""
    if len(shape) != len(axes):
        remedy = ""
        if axes == "NCHW" and len(shape) == 3:
            n, h, w = shape
            remedy = f"; for one channel use reshape({n}, 1, {h}, {w})"
        raise ShapeError(
            f"{operation}: {parameter} must have {len(axes)} dimensions ({', '.join(axes)}), "
            f"got shape {tuple(shape)}{remedy}"
        )
    for axis, size in zip(axes, shape, strict=True):
        if size < 1 and axis != "N":
            raise ShapeError(
                f"{operation}: {parameter} must have at least one element along {axis}, "
                f"got shape {tuple(shape)}"
            )
