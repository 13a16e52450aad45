"""One figure for several classes or labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_choice, as_int, as_sizes
from fastconv.errors import ArgumentError, ShapeError

__all__ = ["Average", "as_average", "check_class"]

Array = np.ndarray[Any, Any]
Average = str | int


def as_average(operation: str, average: Any, *words: str) -> Average:
    """Return `average`, which must be one of `words` or the number of a class."""
    if isinstance(average, bool) or not hasattr(average, "__index__"):
        remedy = "or the number of a class"
        word: str = as_choice(operation, "average", average, words, remedy)
        return word
    return as_int(operation, "average", average, 0)


def check_class(operation: str, average: Average, shape: tuple[int, ...]) -> None:
    """Raise unless outputs of `shape`, without the batch, have classes, and that of `average`."""
    shape = as_sizes(operation, "shape", shape, 0)
    if not shape:
        raise ShapeError(operation, "outputs", "must have shape (N, K, ...)", shape)
    if isinstance(average, int) and average >= shape[0]:
        rule = f"must be a class, 0 to {shape[0] - 1}"
        raise ArgumentError(operation, "average", rule, average)
