"""Checks of settings that several layers have; shapes and windows are checked in geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError, nearest, shorten
from fastconv.geometry import Window2D

__all__ = ["as_bool", "as_choice", "as_real", "output_map"]


def as_bool(operation: str, parameter: str, value: object) -> bool:
    """Return `value`, which must be True or False."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(
            f"{operation}: {parameter} must be True or False, got {shorten(value)}"
        )
    return value


def as_choice(operation: str, parameter: str, value: Any, choices: Sequence[str | None]) -> Any:
    """Return `value`, which must be one of `choices`."""
    if (value is None or isinstance(value, str)) and value in choices:
        return value
    error = ArgumentError if isinstance(value, str) else ArgumentTypeError
    close = nearest(value, [choice for choice in choices if choice], 1)
    remedy = f"; did you mean {close[0]!r}?" if close else ""
    raise error(
        f"{operation}: {parameter} must be {' or '.join(map(repr, choices))}, "
        f"got {shorten(value)}{remedy}"
    )


def as_real(
    operation: str, parameter: str, value: Any, rule: str, low: float, high: float
) -> float:
    """Return `value` as a float with ``low <= value < high``; `rule` says so in words."""
    try:
        if isinstance(value, (bool, str, bytes)) or getattr(value, "shape", ()) != ():
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"{operation}: {parameter} must be a number, got {shorten(value)}"
        ) from None
    except OverflowError:
        number = math.inf
    if not low <= number < high:
        raise ArgumentError(f"{operation}: {parameter} must be {rule}, got {shorten(value)}")
    return number


def output_map(operation: str, window: Window2D, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (OH, OW) of `window` over an image (C, H, W), with a remedy if it seems (H, W, C)."""
    _, height, width = shape
    try:
        return window.output_size(operation, (height, width))
    except ShapeError as error:
        if width > 4:
            raise
        raise ShapeError(
            f"{operation}: input must have the channels first; is {shape} channel-last? Its shape "
            f"must be {(width, *shape[:2])}; as it is, {str(error).partition(': ')[2]}"
        ) from None
