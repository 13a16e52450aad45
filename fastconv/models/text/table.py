"""Plain text tables."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, align: str) -> str:
    """Return rows under their heads, each column as wide as its widest cell.

    Examples
    --------
    >>> print(table(["layer", "size"], [["relu_1", "10"]], align="<>"))
    layer   size
    ------  ----
    relu_1    10
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, align, widths, strict=True)
        ).rstrip()
        for line in lines
    )
