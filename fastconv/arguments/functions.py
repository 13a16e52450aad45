"""Checks of functions that users give: what they can be called with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fastconv.errors import ArgumentTypeError, shorten

__all__ = ["call_it", "check_function", "takes"]


def takes(function: Callable[..., Any], count: int) -> bool:
    """Return whether `function` can be called with so many things in order.

    Examples
    --------
    >>> takes(len, 1), takes(len, 2), takes(print, 3)
    (True, False, True)
    """
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # some functions written in C do not tell what they take
        return True
    return True


def check_function(
    operation: str, parameter: str, value: Any, names: Sequence[str], rule: str, remedy: str = ""
) -> None:
    """Raise ArgumentTypeError unless `value` can be called with what `names` lists, in order."""
    shown = type(value).__name__
    if isinstance(value, type):
        shown, remedy = f"the class {value.__name__}", remedy or call_it(value)
    elif callable(value):
        if takes(value, len(names)):
            return
        shown = f"{shorten(value)} of {inspect.signature(value)}"
        if inspect.isfunction(value) and value.__module__.startswith("fastconv."):
            remedy = f"call it with its settings: {value.__name__}(...)"
    raise ArgumentTypeError(operation, parameter, rule, type(value), remedy, shown=shown)


def call_it(value: Any) -> str:
    """Return the remedy for a function or a class that somebody forgot to call; else nothing.

    Examples
    --------
    >>> call_it(len), call_it([1])
    ('call it: len()', '')
    """
    value = value.func if isinstance(value, functools.partial) else value
    if not (inspect.isroutine(value) or isinstance(value, type)):
        return ""
    name = value.__name__
    return f"call it: {name}()" if name.isidentifier() else "call it"
