"""Filters as blocks in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from fastconv.arguments import as_bool, as_int
from fastconv.errors import ArgumentTypeError
from fastconv.floating import quietly
from fastconv.plot.weights import means_of

__all__ = ["draws_blocks", "filters_text"]

Array = np.ndarray[Any, Any]

BLOCKS = " ░▒▓█", tuple("┌─┐│└┘")
PLAIN = " .:*#", tuple("+-+|++")


def draws_blocks(stream: IO[str] | None = None) -> bool:
    """Whether `stream` (standard output) can encode block characters.

    Raises
    ------
    ArgumentTypeError
        If `stream` cannot be written to.
    """
    if stream is not None and not hasattr(stream, "write"):
        raise ArgumentTypeError(
            "draws_blocks", "stream", "must be a text stream, or None", stream, "take sys.stdout"
        )
    encoding = getattr(sys.stdout if stream is None else stream, "encoding", None) or "ascii"
    try:
        "░▒▓█┌─┐│└┘".encode(encoding)
    except (LookupError, TypeError, ValueError):
        return False
    return True


def filters_text(weights: Mapping[str, Array], *, width: int = 80, blocks: bool = True) -> str:
    """Draw filters side by side, one labelled row per entry, numbered below.

    Parameters
    ----------
    weights : mapping of label to ndarray (K, C, R, S)
        All have the same shape. Each filter is drawn as the mean of its channels, from its own
        smallest weight (blank) to its largest (full).
    width : int
        How many characters a line may have; filters that do not fit go on below.
    blocks : bool
        Whether to draw shaded blocks in frames, or else only ASCII.

    Returns
    -------
    str

    Examples
    --------
    >>> edge = np.array([[[[0.0, 1.0], [0.0, 1.0]]]])
    >>> print(filters_text({"edge": edge}, blocks=False))
    edge  +----+
          |  ##|
          |  ##|
          +----+
            1
    """
    maps = means_of("filters_text", weights)
    width = as_int("filters_text", "width", width, 1)
    as_bool("filters_text", "blocks", blocks)
    shades, (left_top, bar, right_top, side, left_low, right_low) = BLOCKS if blocks else PLAIN
    count, rows, columns = next(iter(maps.values())).shape
    margin = 2 + max(len(label) for label in maps)
    frame = 2 * columns + 2
    per_line = max(1, (width - margin + 1) // (frame + 1))
    lines: list[str] = []
    for begin in range(0, count, per_line):
        shown = range(begin, min(begin + per_line, count))
        if begin:
            lines.append("")
        for label, filters in maps.items():
            levels = _levels(filters, len(shades))
            top = " ".join([left_top + bar * 2 * columns + right_top] * len(shown))
            lines.append(label.ljust(margin) + top)
            for r in range(rows):
                cells = (
                    side + "".join(2 * shades[level] for level in levels[k, r]) + side
                    for k in shown
                )
                lines.append(" " * margin + " ".join(cells))
            lines.append(
                " " * margin + " ".join([left_low + bar * 2 * columns + right_low] * len(shown))
            )
        numbers = " ".join(str(k + 1).center(frame) for k in shown)
        lines.append(" " * margin + numbers)
    return "\n".join(line.rstrip() for line in lines)


@quietly
def _levels(filters: Array, count: int) -> Array:
    """Return integers (K, R, S) from 0 to count - 1, with each filter on its own scale."""
    filters = filters / 2  # so that the difference of any two is finite
    low = filters.min(axis=(1, 2), keepdims=True)
    span = filters.max(axis=(1, 2), keepdims=True) - low
    scaled = np.where(span > 0, (filters - low) / np.where(span > 0, span, 1), 0.5)
    levels: Array = np.minimum((scaled * count).astype(int), count - 1)
    return levels
