"""Reads JSON strictly: without doubled keys, NaN, or numbers that Python would make up."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fastconv.errors import NOTHING, ConfigError, in_one_line, shorten

__all__ = ["parse"]

# These are far more than any network needs. They are small enough that what Python makes from a
# hostile text (about a hundred bytes for each value) stays within tens of MiB.
MAX_BYTES = 8 * 2**20
MAX_VALUES = 250_000


def parse(text: str | bytes, what: str = "JSON") -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    text : str or bytes
        The text; bytes are UTF-8.
    what : str
        How errors name the text.

    Raises
    ------
    ConfigError
        If the text is no JSON, or has a doubled key, NaN or an infinity, an integer of more
        than 19 digits, too deep nesting or more than 250,000 values.

    Examples
    --------
    >>> parse('{"filters": 30}')
    {'filters': 30}
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(what, "", f"must be at most {MAX_BYTES} bytes", len(text))

    def fail(rule: str, value: object = NOTHING, *, shown: str | None = None) -> NoReturn:
        raise ConfigError(what, "", rule, value, shown=shown)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            seen: set[str] = set()
            doubled = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            fail(f"keys must be unique, {shorten(doubled)} is given twice")
        return result

    def integer(digits: str) -> int:
        if len(digits) > 20:
            shown = f"one of {len(digits)} characters"
            fail("integers must have at most 19 digits", len(digits), shown=shown)
        return int(digits)

    def number(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            fail("numbers must be finite in float64", digits)
        return value

    try:
        string = text.decode("utf-8") if isinstance(text, bytes) else text
        if sum(map(string.count, ",[{")) > MAX_VALUES:
            fail(f"must have at most {MAX_VALUES} values")
        return json.loads(
            string,
            object_pairs_hook=pairs,
            parse_int=integer,
            parse_float=number,
            parse_constant=lambda name: fail(f"{name} is no JSON number"),
        )
    except ConfigError:
        raise
    except RecursionError:
        raise ConfigError(what, "", "is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        rule = f"must be JSON: {in_one_line(str(error), 200)}"
        raise ConfigError(what, "", rule, text[:100]) from None
