"""The public names of the package, and those that the pages of the reference have."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import fastconv

__all__ = [
    "REFERENCE",
    "by_last_part",
    "expanded",
    "listed",
    "modules",
    "named",
    "public",
    "reference",
]

REFERENCE = Path(__file__).parent / "pages" / "reference"
#: A line of a reference page that names one thing, or, with a star, all of a module.
ENTRY = re.compile(r"^ +~?(?P<name>fastconv(?:\.\w+)+(?P<star>\.\*)?)$", re.MULTILINE)
MODULE = re.compile(r"^\.\. py:module:: (\S+)$", re.MULTILINE)
DATA = re.compile(r"^\.\. autodata:: (\S+)$", re.MULTILINE)
#: Modules that are public and that the package does not list, as it has most of their names.
BESIDE = ("functional", "models", "training")


def modules() -> dict[str, ModuleType]:
    """Return the public modules: the package, what it has by name, what those have by name."""
    found: dict[str, ModuleType] = {}

    def walk(module: ModuleType) -> None:
        found[module.__name__] = module
        for _, each in public(module):
            if inspect.ismodule(each) and each.__name__ not in found:
                walk(each)

    walk(fastconv)
    for name in BESIDE:
        walk(importlib.import_module(f"fastconv.{name}"))
    return found


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield (name, object) of all that a module says is public."""
    for name in sorted({*module.__all__, *getattr(module, "_LATER", ())}):
        yield name, getattr(module, name)


def listed(text: str) -> list[str]:
    """Return the full names that a page of the reference has, modules among them.

    Examples
    --------
    >>> listed(".. py:module:: fastconv.memory\\n\\n   fastconv.memory.track\\n")
    ['fastconv.memory', 'fastconv.memory.track']
    """
    return (
        MODULE.findall(text)
        + DATA.findall(text)
        + [match["name"] for match in ENTRY.finditer(text)]
    )


def expanded(text: str, elsewhere: set[int]) -> str:
    """Return a page as Sphinx reads it: with what each star stands for, and docstrings of modules.

    Tables show the last part of a name.

    Parameters
    ----------
    text : str
        The page. ``fastconv.layers.*`` stands for the public names of that module.
    elsewhere : set of int
        Identities of objects that are named one by one, which a star leaves out.
    """

    def lines(match: re.Match[str]) -> str:
        found = [match["name"]]
        if match["star"] is not None:
            module = importlib.import_module(match["name"].removesuffix(".*"))
            found = [
                f"{module.__name__}.{name}"
                for name, each in public(module)
                if id(each) not in elsewhere and not inspect.ismodule(each)
            ]
        return "\n".join(f"   ~{name}" for name in found)

    def told(match: re.Match[str]) -> str:
        # Of what follows the full names are written.
        return f"{match[0]}\n\n{inspect.getdoc(named(match[1]))}\n\n.. py:currentmodule:: None"

    return MODULE.sub(told, ENTRY.sub(lines, text))


def named(name: str) -> object:
    """Return the object that a full name stands for: a function before a file of its name."""
    home, _, last = name.rpartition(".")
    if not home:
        return importlib.import_module(name)
    found = named(home)
    if not hasattr(found, last):
        return importlib.import_module(name)
    return getattr(found, last)


def reference() -> dict[str, str]:
    """Return the pages of the reference, by name of file, with every star expanded."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(REFERENCE.glob("*.rst"))}
    alone = {id(named(n)) for text in texts.values() for n in listed(text) if n[-1] != "*"}
    return {name: expanded(text, alone) for name, text in texts.items()}


def by_last_part() -> dict[str, str]:
    """Return the full names that docstrings may shorten to the last part.

    Of two with one last part that of the package itself is meant; else none.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for text in reference().values():
        for name in listed(text):
            found[name.rpartition(".")[2]].add(name)
    return {
        last: max(full, key=lambda name: name == f"fastconv.{last}")
        for last, full in found.items()
        if len(full) == 1 or f"fastconv.{last}" in full
    }
