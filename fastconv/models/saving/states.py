"""States as JSON and arrays: what optimizers, callbacks and the like give, nested in any way.

Arrays stand in the JSON as ``{"$array": name}``, and numbers that JSON lacks as
``{"$float": "inf"}``.  What is read is built of plain values and arrays alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv.errors import ArgumentTypeError, ConfigError, shorten
from fastconv.models.saving import strict_json

__all__ = ["flattened", "nested"]

Array = np.ndarray[Any, Any]

#: Kinds of arrays that a file can hold.
_KINDS = "fiub"
_DEEPEST = 32
_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def flattened(state: Mapping[str, Any], prefix: str) -> tuple[str, dict[str, Array]]:
    """Return a state as the text of JSON, and its arrays by name.

    Parameters
    ----------
    state : mapping
        Its values are None, bool, int, float, str, ndarray, and lists and dicts of such.
    prefix : str
        What the names of the arrays begin with.

    Raises
    ------
    ArgumentTypeError
        If something in it is of another type; the error names its place.
    ConfigError
        If the text could not be read again.
    """
    arrays: dict[str, Array] = {}

    def flat(value: Any, place: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ArgumentTypeError("save", place, f"must be nested at most {_DEEPEST} deep")
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int) and abs(value) < 2**64:
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
        if isinstance(value, (list, tuple)):
            return [flat(item, f"{place}/{i}", depth + 1) for i, item in enumerate(value)]
        if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
            if place in arrays:  # "a/b" beside "a" with "b" in it
                rule = "must be the place of one array: no key may spell the path of another"
                raise ArgumentTypeError("save", place, rule, type(value), shown="two arrays")
            if value.dtype.itemsize <= 8:
                arrays[place] = value
                return {"$array": place}
        elif isinstance(value, Mapping) and all(_is_key(key) for key in value):
            return {key: flat(item, f"{place}/{key}", depth + 1) for key, item in value.items()}
        rule = "must be made of numbers, texts, arrays of numbers, lists and dicts"
        raise ArgumentTypeError("save", place, rule, type(value), shown=shorten(value))

    plain = flat(state, prefix, 0)
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    strict_json.parse(text, f"save: {prefix}")
    return text, arrays


def _is_key(key: object) -> bool:
    return isinstance(key, str) and not key.startswith("$")


def nested(text: str, what: str, names: set[str], read: Callable[[str], Array]) -> Any:
    """Return the state of which `flattened` made a text and arrays.

    Parameters
    ----------
    text : str
    what : str
        How errors name it.
    names : set of str
        The names of the arrays; each must be used once.
    read : callable
        From a name to its array; it is called only after the whole text has been checked.

    Raises
    ------
    ConfigError
        If the text is no JSON, is nested too deeply, or does not fit the arrays.
    """
    plain = strict_json.parse(text, what)
    used: set[str] = set()

    def check(value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise ConfigError(what, "", f"must be nested at most {_DEEPEST} deep")
        if isinstance(value, list):
            for item in value:
                check(item, depth + 1)
        elif isinstance(value, dict):
            if any(key.startswith("$") for key in value):
                check_special(value)
                return
            for item in value.values():
                check(item, depth + 1)

    def check_special(value: dict[str, Any]) -> None:
        kind, content = next(iter(value.items()))
        if len(value) == 1 and isinstance(content, str):
            if kind == "$float" and content in _FLOATS:
                return
            if kind == "$array" and content in names and content not in used:
                used.add(content)
                return
        raise ConfigError(what, "", "must name each of its arrays once", value)

    def made(value: Any) -> Any:
        if isinstance(value, list):
            return [made(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$float" in value:
            return _FLOATS[value["$float"]]
        if "$array" in value:
            return read(value["$array"])
        return {key: made(item) for key, item in value.items()}

    check(plain, 0)
    if unused := sorted(names - used):
        raise ConfigError(what, "", "must name each of its arrays once", unused[0])
    return made(plain)
