"""im2col, with the window that each row comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_int, as_pair
from fastconv.explain.explanation import Explanation, by, check, number, section, table
from fastconv.explain.maps import as_map, slide_over
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["im2col"]


def im2col(
    input_data: Any, filter_h: int, filter_w: int, stride: Any = 1, pad: Any = 0
) -> Explanation:
    """Unfold a small map, and say of each row of the matrix which window it is.

    Parameters
    ----------
    input_data : array-like (H, W) of numbers, at most 32x32 with its padding
    filter_h, filter_w : int, of at most 49 elements
    stride, pad
        As in `fastconv.im2col`.

    Returns
    -------
    Explanation
        Its `result` is the matrix (OH * OW, filter_h * filter_w) that `fastconv.im2col` gives.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `fastconv.im2col`, and for what is too large to be written out.

    Examples
    --------
    >>> im2col([[1, 2, 3], [4, 5, 6]], 2, 2)
    im2col: input_data 2x3, filter 2x2, stride 1, pad 0 -> 2x4
    <BLANKLINE>
    input_data
    1 2 3
    4 5 6
    <BLANKLINE>
    row     y rows columns
      0 [0,0]  0-1     0-1 | 1 2 4 5
      1 [0,1]  0-1     1-2 | 2 3 5 6
    <BLANKLINE>
    6 elements became 8, 1.33 times as many
    """
    operation = "im2col"
    x = as_map(operation, "input_data", input_data)
    kernel = (
        as_int(operation, "filter_h", filter_h, 1),
        as_int(operation, "filter_w", filter_w, 1),
    )
    window = Window2D.make(operation, kernel, stride, as_pair(operation, "pad", pad, 0))
    slide = slide_over(operation, x.shape, window, "pad")
    floats = checks.as_float(operation, "input_data", x, np.dtype(np.float64))
    (top, _), (left, _) = slide.pads
    col = functional.im2col(floats[None, None], *kernel, window.stride, (top, left))
    padded = slide.padded(floats)
    steps = [["row", "y", "rows", "columns", *[""] * (1 + window.taps)]]
    for row, (i, j, rows, columns) in enumerate(slide.places()):
        place = [f"{rows[0]}-{rows[-1]}", f"{columns[0]}-{columns[-1]}"]
        steps.append([str(row), f"[{i},{j}]", *place, "|", *map(number, col[row])])
        values = [float(padded[r, c]) for r in rows for c in columns]
        for value, expected in zip(col[row], values, strict=True):
            check(f"row {row} of the matrix", value, expected, 0.0)
    written = [line.rstrip() for line in table(steps)]
    title = f"im2col: input_data {by(x.shape)}, filter {by(kernel)}, {slide.options()}"
    times = f"{number(round(col.size / x.size, 2))} times as many"
    lines = [
        f"{title} -> {by(col.shape)}",
        *section("input_data with its padding" if padded is not floats else "input_data", padded),
        "",
        *written,
        "",
        f"{x.size} elements became {col.size}, {times}",
    ]
    return Explanation("\n".join(lines), col, padded, tuple(written[1:]))
