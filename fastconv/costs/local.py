"""Which table serves: the one measured on this machine, or the shipped one.

``fastconv doctor --tune`` writes a file for the processor and the instruction set into the
user's cache folder.  The environment variable ``FASTCONV_COSTS`` chooses: ``shipped``, or the
path of such a file.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from dataclasses import asdict, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fastconv.arguments import full_path, home
from fastconv.costs.table import SHIPPED, Table
from fastconv.errors import ArgumentError, CostTableWarning, FormatError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Source", "active", "cache_path", "processor", "save", "source"]

#: Constants of a table lie between this and its inverse.
SMALLEST = 1e-9
FORMAT = "fastconv-costs/2"
VARIABLE = "FASTCONV_COSTS"


class Source(NamedTuple):
    """A table, the file it was read from, and what is wrong with a file that was passed over."""

    table: Table
    path: str | None
    problem: str = ""


def active(isa: str) -> Table:
    """Return the table that serves `isa`, warning once if its file is broken."""
    found = source(isa)
    if found.problem:
        _warn(found.problem)
    return found.table


@lru_cache(maxsize=8)
def source(isa: str) -> Source:
    """Return the table that serves `isa` and its file; the answer is remembered.

    Raises
    ------
    ArgumentError
        If ``FASTCONV_COSTS`` names a file that cannot be read.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named == "shipped":
        return Source(SHIPPED[isa], None)
    try:
        path = full_path("fastconv", VARIABLE, named) if named else _cache_file(isa)
        content = _content(path)
    except (OSError, ArgumentError) as error:
        if not named:  # never tuned, or no home to have a cache in
            return Source(SHIPPED[isa], None)
        raise ArgumentError(
            "fastconv",
            f"the environment variable {VARIABLE}",
            "must be 'shipped' or a file written by `fastconv doctor --tune`",
            named,
            shown=f"{named!r}: {getattr(error, 'strerror', error)}",
        ) from None
    try:
        return Source(parse(content.decode(), isa), path)
    except (ValueError, OverflowError, RecursionError) as error:
        return Source(SHIPPED[isa], None, f"{path} is no table of costs for {isa}: {error}")


def _content(path: str) -> bytes:
    """Return the first megabyte of a file; raise OSError for a device or a pipe."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "no regular file")
    with open(path, "rb") as file:
        return file.read(1 << 20)


@lru_cache(maxsize=8)
def _warn(problem: str) -> None:
    warnings.warn(
        f"fastconv: {problem}; the shipped table serves, as with {VARIABLE}=shipped. "
        "`fastconv doctor --tune` measures a new one",
        CostTableWarning,
        stacklevel=2,
    )


def parse(text: str, isa: str) -> Table:
    """Return the table in the JSON `text`.

    Raises
    ------
    FormatError
        If the text is JSON and no such table.
    ValueError
        If it is no JSON.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        given = found.get("format") if isinstance(found, dict) else found
        raise FormatError("", "its format", f"must be {FORMAT!r}", given)
    if found.get("isa") != isa:
        raise FormatError("", "its instruction set", f"must be {isa!r}", found.get("isa"))
    constants: Any = found.get("table")
    names = [field.name for field in fields(Table)]
    if not isinstance(constants, dict) or sorted(constants) != sorted(names):
        raise FormatError("", "its table", f"must have the constants {', '.join(names)}")
    for name, value in constants.items():
        if type(value) not in (int, float) or not SMALLEST <= value <= 1 / SMALLEST:
            rule = f"must be a number from {SMALLEST:g} to {1 / SMALLEST:g}"
            raise FormatError("", name, rule, value)
    return Table(**{name: float(constants[name]) for name in names})


def to_json(table: Table, isa: str) -> str:
    """Return what `parse` reads."""
    constants = {name: float(f"{value:.4g}") for name, value in asdict(table).items()}
    content = {"format": FORMAT, "isa": isa, "processor": processor(), "table": constants}
    return json.dumps(content, indent=1) + "\n"


def save(table: Table, isa: str) -> Path:
    """Write `table` to the cache folder and return the path; a failure leaves no partial file."""
    path = cache_path(isa)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        beside.write_text(to_json(table, isa), encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    source.cache_clear()
    return path


def cache_path(isa: str) -> Path:
    """Return the file for this processor and `isa` in the user's cache folder.

    Raises
    ------
    ArgumentError
        If the user has no home, and nothing says where else the folder is.
    """
    from pathlib import Path

    return Path(_cache_file(isa))


def _cache_file(isa: str) -> str:
    """Return `cache_path` as text; it imports nothing, see `full_path`."""
    name = "".join(c if c.isalnum() else "-" for c in processor()).strip("-").lower()
    return os.path.join(_cache_folder(), f"costs-2-{isa}-{name[:80] or 'unknown'}.json")


def _cache_folder() -> str:
    if sys.platform == "win32":
        given = os.environ.get("LOCALAPPDATA", "")
        inside = given or os.path.join(_home("LOCALAPPDATA"), "AppData", "Local")
        return os.path.join(inside, "fastconv", "Cache")
    if sys.platform == "darwin":
        return os.path.join(_home("HOME"), "Library", "Caches", "fastconv")
    # the convention says that a relative path is to be ignored
    given = os.environ.get("XDG_CACHE_HOME", "")
    inside = given if os.path.isabs(given) else os.path.join(_home("XDG_CACHE_HOME"), ".cache")
    return os.path.join(inside, "fastconv")


def _home(variable: str) -> str:
    found = home()
    if found is None:  # no folder is to be called "~"
        remedy = f"set it, or {variable}" if variable != "HOME" else "set it"
        raise ArgumentError(
            "fastconv",
            "the environment variable HOME",
            "must name your folder",
            os.environ.get("HOME"),
            remedy,
        )
    return found


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the name of the processor, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return " ".join(value.split())
    except OSError:
        pass
    import platform  # not needed on Linux, and slow to import

    return platform.processor() or platform.machine() or "unknown"
