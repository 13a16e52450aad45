"""What something was made of, as JSON values: to compare two runs, and to say how they differ."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastconv.errors import ArgumentError
from fastconv.registry import Registry, own_settings

__all__ = ["described", "differences", "plain"]


def described(thing: Any, where: Registry[Any]) -> list[Any]:
    """Return the name and the settings of an instance or a function, as ``[name, {...}]``.

    The name is the registered one, or else that of the module and of the class or function. The
    settings are what its method of that name gives, or else those attributes that are called as the
    parameters of its class are.
    """
    is_function = inspect.isroutine(thing) or isinstance(thing, type)
    kind = thing if is_function else type(thing)
    name = where.name_of(kind) or f"{kind.__module__}.{kind.__qualname__}"
    return [name, {} if is_function else plain(_settings(thing))]


def _settings(thing: Any) -> dict[str, Any]:
    try:
        return dict(thing.settings())
    except (AttributeError, ArgumentError):  # it has no such method, or a setting without a name
        return own_settings(thing)


def plain(value: Any) -> Any:
    """Return `value` as JSON has it; of what JSON lacks, the name of its class or function.

    Examples
    --------
    >>> plain((1, np.float32(0.5), {"a": len}))
    [1, 0.5, {'a': 'builtins.len'}]
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each setting that differs, with its value before and now.

    A setting that one of them does not have is None there, as in files of before it was known.

    Examples
    --------
    >>> list(differences({"seed": 1, "loss": ["huber", {"delta": 1.0}]},
    ...                  {"seed": 1, "loss": ["huber", {"delta": 2.0}]}))
    [('loss.delta', 1.0, 2.0)]
    """
    if before == now and type(before) is type(now):
        return
    if _is_pair(before) and _is_pair(now):
        if before[0] != now[0]:
            yield name, before[0], now[0]
            return
        before, now = before[1], now[1]
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            place = f"{name}.{key}" if name else key
            yield from differences(before.get(key), now.get(key), place)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        if any(isinstance(item, (dict, list)) for item in before):
            for number, pair in enumerate(zip(before, now, strict=True)):
                place = name if len(now) == 1 else f"{name}[{number}]"
                yield from differences(*pair, place)
        else:
            yield name, before, now
    else:
        yield name, before, now


def _is_pair(value: Any) -> bool:
    """Whether `value` is a description, of the form ``[name, {...}]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], dict)
    )
