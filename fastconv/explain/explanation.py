"""What an explanation is, and how numbers and maps are written in it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Explanation", "by", "check", "number", "section", "table"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """A calculation that is written out.

    Attributes
    ----------
    text : str
        All of it; `str` and `repr` give the same.
    result : ndarray
        Of convolution and pooling the map (OH, OW), of im2col the matrix.
    padded : ndarray (H + padding, W + padding)
        The input with its padding: zeros, or minus infinity where maxima are taken.
    steps : tuple of str
        The lines of the text that write out one element each, or one row of the matrix.
    """

    text: str
    result: Array
    padded: Array
    steps: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def number(value: Any) -> str:
    """Return a number as it is written: whole ones in full, others with six digits at most.

    Examples
    --------
    >>> number(12.0), number(-0.0), number(1 / 3)
    ('12', '0', '0.333333')
    """
    return str(int(value)) if value == int(value) else format(float(value), ".6g")


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines of cells that are aligned on the right.

    Examples
    --------
    >>> table([["1", "-1"], ["10", "2"]])
    [' 1 -1', '10  2']
    """
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [" ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def section(title: str, rows: Iterable[Iterable[Any]]) -> list[str]:
    """Return an empty line, a title and a table of numbers; texts stand as they are."""
    written = ([v if isinstance(v, str) else number(v) for v in row] for row in rows)
    return ["", title, *table(written)]


def by(size: Iterable[int]) -> str:
    """Return a size as ``3x4``."""
    return "x".join(map(str, size))


def check(step: str, result: Any, expected: float, error: float) -> None:
    """Raise AssertionError if `result` is further than `error` from what `step` adds up to."""
    if not abs(float(result) - expected) <= error:
        raise AssertionError(f"{step} does not give {expected!r}: please report this")
