"""Splitting examples so that every class keeps its share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_int
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

__all__ = ["stratified_split"]

Indices = np.ndarray[Any, np.dtype[np.int64]]


def stratified_split(y: Any, test_fraction: float = 0.25, seed: int = 0) -> tuple[Indices, Indices]:
    """Return the rows of a training and a test part in which every class has its share.

    Parameters
    ----------
    y : array (N,)
        The class of every row.
    test_fraction : float
        Above 0 and below 1; of n rows of a class ``round(n * test_fraction)`` are for the test,
        but at least one for each part where there are two.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, test : ndarray of int64, ascending
        Every row is in exactly one of them.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        `y` is not one-dimensional; `test_fraction` is no number, or not within 0 and 1.

    Examples
    --------
    >>> train, test = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], 0.25)
    >>> len(train), len(test)
    (6, 2)
    """
    y = np.asarray(y)
    if y.ndim != 1:
        raise ShapeError(f"stratified_split: y must be one class per row, (N,), got {y.shape}")
    if isinstance(test_fraction, bool) or not isinstance(test_fraction, (int, float, np.number)):
        raise ArgumentTypeError(
            f"stratified_split: test_fraction must be a number, got {test_fraction!r}"
        )
    if not 0 < test_fraction < 1:
        raise ArgumentError(
            f"stratified_split: test_fraction must be above 0 and below 1, got {test_fraction}"
        )
    rng = np.random.default_rng(as_int("stratified_split", "seed", seed, 0, 2**64 - 1))
    in_test = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        count = round(len(rows) * float(test_fraction))
        if len(rows) > 1:
            count = min(max(count, 1), len(rows) - 1)
        in_test[rows[:count]] = True
    return np.flatnonzero(~in_test).astype(np.int64), np.flatnonzero(in_test).astype(np.int64)
