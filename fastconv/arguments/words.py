"""Checks of words: True or False, one of some choices, texts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv.errors import ArgumentError, ArgumentTypeError, nearest

__all__ = ["as_bool", "as_choice", "as_list", "as_mapping", "as_text"]


def as_bool(operation: str, parameter: str, value: object) -> bool:
    """Return `value`, which must be True or False."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(operation, parameter, "must be True or False", value)
    return value


def as_choice(
    operation: str, parameter: str, value: Any, choices: Sequence[str | None], remedy: str = ""
) -> Any:
    """Return `value`, which must be one of `choices`; the error offers the nearest, or `remedy`."""
    if (value is None or isinstance(value, str)) and value in choices:
        return value
    error = ArgumentError if isinstance(value, str) else ArgumentTypeError
    close = nearest(value, [choice for choice in choices if choice], 1)
    if close:
        remedy = f"did you mean {close[0]!r}?"
    *others, last = map(repr, choices)
    shown = None if isinstance(value, str) else type(value).__name__
    rule = f"must be {', '.join(others)} or {last}"
    raise error(operation, parameter, rule, value, remedy, shown=shown)


def as_list(
    operation: str, parameter: str, value: Any, rule: str, remedy: str = "", most: int = 10_000
) -> list[Any]:
    """Return what `value` holds, at most `most`: an iterable in order, and no text or mapping."""
    try:  # a set has another order in each process
        other = isinstance(value, (str, bytes, Mapping, set, frozenset))
        found = None if other else list(itertools.islice(value, most + 1))  # may be endless
    except TypeError:
        found = None
    if found is None:
        raise ArgumentTypeError(operation, parameter, rule, value, remedy)
    if len(found) > most:
        raise ArgumentError(operation, parameter, f"must have at most {most} entries", "more")
    return found


def as_mapping(
    operation: str, parameter: str, value: Any, of: str, remedy: str = ""
) -> Mapping[Any, Any]:
    """Return `value`, which must be a mapping; `of` says from what to what."""
    if not isinstance(value, Mapping):
        name = type(value).__name__
        raise ArgumentTypeError(
            operation, parameter, f"must be a mapping of {of}", value, remedy, shown=name
        )
    return value


def as_text(operation: str, parameter: str, value: Any, remedy: str = "") -> str:
    """Return `value`, which must be a text."""
    if not isinstance(value, str):
        raise ArgumentTypeError(operation, parameter, "must be a text", value, remedy)
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no file can hold
        rule = "must be a text in Unicode"
        raise ArgumentError(operation, parameter, rule, value, remedy) from None
    return value
