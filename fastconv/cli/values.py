"""Values of options: a word, a name with settings as ``adamw:clip_norm=1``, a number."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from typing import Any

from fastconv.arguments import as_int

__all__ = ["CHOICE", "OneOf", "at_least", "typed_choice", "typed_rate"]

#: What help texts say about it.
CHOICE = "NAME, or NAME:setting=value,setting=value"

#: A comma ends a value only where another setting begins, for values may hold commas.
_NEXT = re.compile(r",(?=\s*\w+\s*=)")


class OneOf:
    """The type of an argument that is one of some words, which shells complete.

    The command itself refuses others: it can say which word is near.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def __call__(self, text: str) -> str:
        """Return what was typed."""
        return text


def typed_choice(text: str) -> str | tuple[str, dict[str, Any]]:
    """Return a name, or (name, settings).

    A value is a number, true, false, null, or text; a list is written as in JSON.

    Examples
    --------
    >>> typed_choice("adam")
    'adam'
    >>> typed_choice("early_stopping:patience=3,monitor=val_accuracy")
    ('early_stopping', {'patience': 3, 'monitor': 'val_accuracy'})
    """
    name, colon, rest = text.partition(":")
    name = name.strip()
    settings: dict[str, Any] = {}
    for part in _NEXT.split(rest) if rest.strip() else ():
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise argparse.ArgumentTypeError(f"must be {CHOICE}, got {text!r}")
        if key in settings:
            raise argparse.ArgumentTypeError(f"must have each setting once, got {text!r}")
        settings[key] = _value(value.strip())
    if not name or (colon and not settings):
        raise argparse.ArgumentTypeError(f"must be {CHOICE}, got {text!r}")
    return (name, settings) if settings else name


def typed_rate(text: str) -> float | str | tuple[str, dict[str, Any]]:
    """Return a learning rate: a number, or the choice of a schedule."""
    try:
        return float(text)
    except ValueError:
        return typed_choice(text)


def at_least(command: str, option: str, value: int | None, least: int) -> None:
    """Refuse the number given for `option` if it is below `least`; None means not given."""
    if value is not None:
        as_int(command, option, value, least)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
