"""Small maps and the windows that slide over them, checked: what can be written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastconv.arguments import briefly, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.explain.explanation import by
from fastconv.functional import checks
from fastconv.geometry import Window2D

__all__ = ["Slide", "Step", "as_map", "slide_over"]

Array = np.ndarray[Any, Any]

#: Rows and columns of a map with its padding, elements of a window, and windows: a page or two.
MOST_SIDE, MOST_TAPS, MOST_WINDOWS = 32, 49, 144
#: Larger numbers, and those that are not finite, would not be read by anybody.
LARGEST = 10.0**15


class Step(NamedTuple):
    """One place of a window: which element it makes, and the rows and columns that it lies on."""

    i: int
    j: int
    rows: range
    columns: range


class Slide(NamedTuple):
    """A window over a map: how large the output is, the padding, and what an element lies on."""

    window: Window2D
    size: tuple[int, int]
    output: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    word: str  # what the padding is called

    def places(self) -> Iterator[Step]:
        """Yield the places of the window; rows and columns count from the padding's corner."""
        (r, s), (sh, sw), (dh, dw) = self.window.kernel, self.window.stride, self.window.dilation
        for i in range(self.output[0]):
            for j in range(self.output[1]):
                rows = range(i * sh, i * sh + dh * (r - 1) + 1, dh)
                columns = range(j * sw, j * sw + dw * (s - 1) + 1, dw)
                yield Step(i, j, rows, columns)

    def padded(self, x: Array, value: float = 0) -> Array:
        """Return the map with its padding."""
        return np.pad(x, self.pads, constant_values=value) if any(map(any, self.pads)) else x

    def inside(self, row: int, column: int) -> bool:
        """Whether an element of the padded map is one of the map."""
        (top, _), (left, _) = self.pads
        return 0 <= row - top < self.size[0] and 0 <= column - left < self.size[1]

    def options(self) -> str:
        """Return stride, padding and, where there is one, dilation, in words."""
        window = self.window
        text = f"stride {briefly(window.stride)}, {self.word} {briefly(self.pads)}"
        dilated = window.dilation != (1, 1)
        return f"{text}, dilation {briefly(window.dilation)}" if dilated else text


def as_map(operation: str, parameter: str, value: Any) -> Array:
    """Return a small map (H, W) of numbers that can be written.

    Raises
    ------
    ShapeError
        If it has other axes, or more rows or columns than can be written out.
    ArgumentError
        If a number is too large, or not finite.
    """
    x = checks.as_numbers(operation, parameter, value)
    if x.ndim != 2:
        remedy = "give one image of one channel, such as x[0, 0]" if x.ndim == 4 else ""
        rule = "must have 2 dimensions (H, W)"
        raise ShapeError(operation, parameter, rule, x.shape, remedy, shown=f"shape {x.shape}")
    check_axes(operation, parameter, x.shape, "HW")
    if max(x.shape) > MOST_SIDE:
        rule = f"must be at most {MOST_SIDE}x{MOST_SIDE}, to be written out"
        remedy = f"take a part of it, such as {parameter}[:8, :8]"
        raise ShapeError(operation, parameter, rule, x.shape, remedy, shown=by(x.shape))
    if not bool((np.abs(x.astype(np.float64)) < LARGEST).all()):
        rule = f"must hold finite numbers below {LARGEST:.0e}, to be written out"
        raise ArgumentError(operation, parameter, rule, "others", shown="others")
    return x


def slide_over(
    operation: str, size: tuple[int, ...], window: Window2D, word: str = "padding"
) -> Slide:
    """Return the places of `window` over a map of `size`, which must not be too many."""
    height, width = size
    _check_few(operation, "the window", window.kernel, MOST_TAPS, "take a smaller one")
    output = window.output_size(operation, (height, width))
    pads = window.resolve((height, width))
    padded = height + sum(pads[0]), width + sum(pads[1])
    if max(padded) > MOST_SIDE:
        rule = f"must leave the map at most {MOST_SIDE}x{MOST_SIDE}, to be written out"
        raise ShapeError(operation, word, rule, pads, "take less", shown=f"{by(padded)} with it")
    _check_few(operation, "the output", output, MOST_WINDOWS, "take a part, or a larger stride")
    return Slide(window, (height, width), output, pads, word)


def _check_few(operation: str, what: str, size: tuple[int, int], most: int, remedy: str) -> None:
    if size[0] * size[1] > most:
        rule = f"must have at most {most} elements, to be written out"
        raise ShapeError(operation, what, rule, size, remedy, shown=by(size))
