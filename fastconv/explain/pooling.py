"""Pooling, every window written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_choice, as_pair
from fastconv.explain.explanation import Explanation, by, check, number, section
from fastconv.explain.maps import as_map, slide_over
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["pool2d"]


def pool2d(
    x: Any, pool_size: Any, *, kind: str = "max", stride: Any = None, padding: Any = 0
) -> Explanation:
    """Pool a small map, and write out the elements of each window.

    Parameters
    ----------
    x : array-like (H, W) of numbers, at most 32x32 with its padding
    pool_size : int or (int, int), of at most 49 elements
    kind : "max" or "average"
    stride, padding
        As in `fastconv.max_pool2d`: the stride is `pool_size` unless given.

    Returns
    -------
    Explanation
        Its `result` is the map (OH, OW) that `fastconv.max_pool2d` or `fastconv.avg_pool2d` gives.
        Padding is no element of any window; in the text it is a point.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `fastconv.max_pool2d`, and for what is too large to be written out.

    Examples
    --------
    >>> print("\\n".join(pool2d([[1, 2, 3, 4], [4, 3, 2, 1]], 2).steps))
    y[0,0] = max(1, 2, 4, 3) = 4
    y[0,1] = max(3, 4, 2, 1) = 4
    >>> print("\\n".join(pool2d([[1, 2, 3, 4], [4, 3, 2, 1]], 2, kind="average").steps))
    y[0,0] = (1+2+4+3)/4 = 2.5
    y[0,1] = (3+4+2+1)/4 = 2.5
    """
    operation = "pool2d"
    x = as_map(operation, "x", x)
    as_choice(operation, "kind", kind, ("max", "average"))
    kernel = as_pair(operation, "pool_size", pool_size, 1)
    window = Window2D.make(operation, kernel, kernel if stride is None else stride, padding)
    slide = slide_over(operation, x.shape, window)
    floats = checks.as_float(operation, "x", x, np.dtype(np.float64))
    pool: Any = functional.max_pool2d if kind == "max" else functional.avg_pool2d
    y = pool(floats[None, None], kernel, stride=window.stride, padding=window.padding)[0, 0]
    padded = slide.padded(floats, -math.inf if kind == "max" else 0)
    steps = []
    for i, j, rows, columns in slide.places():
        places = [(row, column) for row in rows for column in columns if slide.inside(row, column)]
        values = [float(padded[place]) for place in places]
        words = list(map(number, values))
        if kind == "max":
            text, expected, error = f"max({', '.join(words)})", max(values), 0.0
        else:
            terms = "+".join(f"({w})" if w.startswith("-") else w for w in words)
            text = f"({terms})/{len(values)}"
            expected = math.fsum(values) / len(values)
            magnitude = math.fsum(map(abs, values))
            error = float(np.finfo(y.dtype).eps) * (len(values) + 1) * magnitude
        steps.append(f"y[{i},{j}] = {text} = {number(y[i, j])}")
        check(steps[-1], y[i, j], expected, error)
    shown = [
        [padded[r, c] if slide.inside(r, c) else "." for c in range(padded.shape[1])]
        for r in range(padded.shape[0])
    ]
    title = f"pool2d: {kind} of {by(kernel)}, x {by(x.shape)}, {slide.options()} -> {by(y.shape)}"
    name = "x with its padding" if padded is not floats else "x"
    lines = [title, *section(name, shown), "", *steps, *section("y", y)]
    return Explanation("\n".join(lines), y, padded, tuple(steps))
