"""Small pieces of Markdown that pages made by programs are put together from."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["escaped", "table"]


def escaped(text: str) -> str:
    """Return text in which only code in backticks is marked.

    Examples
    --------
    >>> escaped("the file *.csv, as `a*b`")
    'the file \\\\*.csv, as `a*b`'
    """
    pieces = re.split(r"(`+[^`]*`+)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*_<>\[\]\\])", r"\\\1", piece)
        for piece in pieces
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; a bar inside a cell does not end it.

    Examples
    --------
    >>> print(table(("name", "what it is"), [("`abs`", "`|x|`")]))
    | name | what it is |
    |---|---|
    | `abs` | `\\|x\\|` |
    """
    names = list(head)
    lines = [names, *rows]
    told = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines]
    told.insert(1, "|".join("---" for _ in names))
    first, rule, *rest = told
    return "\n".join([f"| {first} |", f"|{rule}|", *(f"| {line} |" for line in rest)])
