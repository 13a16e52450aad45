"""Rows in two parts of which every class has its share."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["stratified"]

Indices = np.ndarray[Any, np.dtype[np.int64]]


def stratified(
    y: np.ndarray[Any, Any], fraction: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Return the rows of a large and a small part, ascending.

    Parameters
    ----------
    y : ndarray (N,)
        The class of every row.
    fraction : float
        Of n rows of a class, ``round(n * fraction)`` are in the small part. If a class has at least
        two rows, each part gets at least one.
    rng : Generator
    """
    chosen = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        count = round(len(rows) * fraction)
        if len(rows) > 1:
            count = min(max(count, 1), len(rows) - 1)
        chosen[rows[:count]] = True
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)
