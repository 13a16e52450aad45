"""Convolution, every product written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_real
from fastconv.explain.explanation import Explanation, by, check, number, section
from fastconv.explain.maps import LARGEST, as_map, slide_over
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["conv2d"]


def conv2d(
    x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Explanation:
    """Convolve a small map with one filter, and write out the sum of each element.

    Parameters
    ----------
    x : array-like (H, W) of numbers, at most 32x32 with its padding
    weight : array-like (R, S) of numbers, at most 49
    bias : number, optional
        Added to every sum.
    stride, padding, dilation
        As in `fastconv.conv2d`.

    Returns
    -------
    Explanation
        Its `result` is the map (OH, OW) that `fastconv.conv2d` gives, in float64 for integers.
        A factor is first the element of the map, then that of the filter. The zeros of the padding
        are written as the elements they are.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `fastconv.conv2d`, and for what is too large to be written out.

    Examples
    --------
    >>> explained = conv2d([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 2]], padding=((0, 0), (1, 0)))
    >>> print("\\n".join(explained.steps))
    y[0,0] = 0x1+1x0+0x0+4x2 = 8
    y[0,1] = 1x1+2x0+4x0+5x2 = 11
    y[0,2] = 2x1+3x0+5x0+6x2 = 14
    """
    operation = "conv2d"
    x, weight = as_map(operation, "x", x), as_map(operation, "weight", weight)
    floats, factors = checks.of_one_dtype(operation, x=x, weight=weight)
    window = Window2D.make(operation, weight.shape, stride, padding, dilation)
    slide = slide_over(operation, x.shape, window)
    added = None
    if bias is not None:
        rule = f"a finite number below {LARGEST:.0e}"
        added = np.array([as_real(operation, "bias", bias, rule, -LARGEST, LARGEST)], floats.dtype)
    y = functional.conv2d(
        floats[None, None],
        factors[None, None],
        added,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        precision="strict",
    )[0, 0]
    padded = slide.padded(floats)
    steps = []
    for i, j, rows, columns in slide.places():
        pairs = [
            (float(padded[row, column]), float(factors[r, s]))
            for r, row in enumerate(rows)
            for s, column in enumerate(columns)
        ]
        products = [a * b for a, b in pairs]
        text = "+".join(f"{_factor(a)}x{_factor(b)}" for a, b in pairs)
        if added is not None:
            products.append(float(added[0]))
            text += f"+{_factor(added[0])}"
        steps.append(f"y[{i},{j}] = {text} = {number(y[i, j])}")
        rounding = float(np.finfo(y.dtype).eps) * len(products) * math.fsum(map(abs, products))
        check(steps[-1], y[i, j], math.fsum(products), rounding)
    title = f"conv2d: x {by(x.shape)}, weight {by(weight.shape)}, {slide.options()}"
    lines = [
        f"{title} -> {by(y.shape)}",
        *section("x with its padding" if padded is not floats else "x", padded),
        *section("weight", factors),
        *([] if added is None else ["", f"bias {number(added[0])}"]),
        "",
        *steps,
        *section("y", y),
    ]
    return Explanation("\n".join(lines), y, padded, tuple(steps))


def _factor(value: Any) -> str:
    """Return a number of a product or sum; a negative one stands in parentheses."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text
