"""Pictures of filters: as blocks in a terminal, and as a PNG with matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from os import PathLike
from typing import IO, Any

import numpy as np

from fastconv.arguments import as_bool, as_int, as_mapping, as_plain_array, as_text
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.plot.figure import check_path, new_figure

__all__ = ["draws_blocks", "filters_png", "filters_text"]

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
    maps = _maps("filters_text", weights)
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


def filters_png(
    weights: Mapping[str, Array], path: str | PathLike[str], *, title: str = ""
) -> None:
    """Write a PNG of filters, one labelled row per entry.

    Parameters
    ----------
    weights : mapping of label to ndarray (K, C, R, S)
        As for `filters_text`. Each filter is drawn from its own smallest weight (dark) to its
        largest (bright); a bar beside the picture says so.
    path : path
        The file to write, which ends in ``.png``.
    title : str

    Raises
    ------
    ArgumentError
        If `path` ends otherwise.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.
    """
    found = check_path("filters_png", "path", path)
    maps = _maps("filters_png", weights)
    as_text("filters_png", "title", title)
    count = len(next(iter(maps.values())))
    per_line = min(count, 8)
    bands = -(-count // per_line)
    size = (1.1 * per_line + 1.6, 1.2 * bands * len(maps) + 1.2)
    figure = new_figure("filters_png", size)
    axes = figure.subplots(bands * len(maps), per_line, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():  # a bright edge would be lost on the white page
            side.set(color="gray", linewidth=0.5)
    for row, (label, filters) in enumerate(maps.items()):
        for k, image in enumerate(filters):
            axis = axes[k // per_line * len(maps) + row, k % per_line]
            low, high = float(image.min()), float(image.max())
            if low == high:  # without contrast all is in the middle of the scale, as in the text
                low, high = low - 1.0, high + 1.0
            drawn = axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            if k % per_line == 0:
                axis.set_ylabel(label)
            if row == len(maps) - 1:
                axis.set_xlabel(str(k + 1))
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=15)
    bar.set_ticks(list(drawn.get_clim()), labels=["smallest", "largest"])
    bar.set_label("weights of the filter")
    figure.suptitle(title)
    figure.supxlabel(
        "Each filter on its own scale: dark is its smallest weight, bright its largest.",
        fontsize="small",
    )
    figure.savefig(found, format="png", dpi=120)


@quietly
def _maps(operation: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Check the entries, and return the mean over channels of each as float64 (K, R, S)."""
    as_mapping(operation, "weights", weights, "labels to filters", 'give it {"filters": weight}')
    if not weights:
        raise ArgumentError(
            operation,
            "weights",
            "must hold at least one entry",
            {},
            'give it {"filters": weight}',
            shown="none",
        )
    maps = {}
    for label, weight in weights.items():
        label = as_text(operation, "labels", label)
        parameter = f"weights[{label!r}]"
        weight = as_plain_array(operation, parameter, weight)
        if weight.ndim != 4 or not weight.size:
            raise ShapeError(
                operation,
                parameter,
                "must have shape (K, C, R, S)",
                weight.shape,
                shown=f"shape {weight.shape}",
            )
        if not np.isfinite(weight).all():
            raise ArgumentError(
                operation,
                parameter,
                "must be finite",
                "infinity or NaN",
                "np.nan_to_num makes it so",
                shown="infinity or NaN",
            )
        largest = float(np.abs(weight.astype(np.float64)).max())
        scale = largest if largest > 1e300 else 1.0  # else sums or differences may be infinite
        maps[label] = (weight / scale).mean(axis=1, dtype=np.float64)
    shapes = sorted({image.shape for image in maps.values()})
    if len(shapes) > 1:
        raise ShapeError(
            operation, "weights", "must be of one shape", tuple(shapes), "draw them one by one"
        )
    return maps


@quietly
def _levels(filters: Array, count: int) -> Array:
    """Return integers (K, R, S) from 0 to count - 1, with each filter on its own scale."""
    filters = filters / 2  # so that the difference of any two is finite
    low = filters.min(axis=(1, 2), keepdims=True)
    span = filters.max(axis=(1, 2), keepdims=True) - low
    scaled = np.where(span > 0, (filters - low) / np.where(span > 0, span, 1), 0.5)
    levels: Array = np.minimum((scaled * count).astype(int), count - 1)
    return levels
