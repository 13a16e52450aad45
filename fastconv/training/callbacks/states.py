"""Reads the state of a callback, which may come from a file that somebody has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv.arguments import as_mapping
from fastconv.errors import ArgumentError

__all__ = ["taken"]


def taken(
    operation: str, state: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]
) -> dict[str, Any]:
    """Return the entries of `state` that `kinds` names, each of one of its types.

    Raises
    ------
    ArgumentError
        If one is missing, or of another type.
    """
    as_mapping(operation, "state", state, "what state() names to values")
    found = {}
    for name, types in kinds.items():
        if name not in state or type(state[name]) not in types:
            names = " or ".join(kind.__name__ for kind in types)
            shown = type(state[name]).__name__ if name in state else "none"
            raise ArgumentError(operation, "state", f"must hold {name!r} ({names})", shown=shown)
        found[name] = state[name]
    return found
