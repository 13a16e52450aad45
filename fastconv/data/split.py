"""Splitting examples so that every class keeps its share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_plain_array, as_real
from fastconv.batches import stratified
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = ["stratified_split"]

Indices = np.ndarray[Any, np.dtype[np.int64]]


def stratified_split(y: Any, test_fraction: float = 0.25, seed: int = 0) -> tuple[Indices, Indices]:
    """Return the rows of a training and a test part in which every class has its share.

    Parameters
    ----------
    y : array (N,)
        The class of every row.
    test_fraction : float
        Above 0 and below 1. Of n rows of a class, ``round(n * test_fraction)`` are for the test.
        If a class has at least two rows, each part gets at least one.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, test : ndarray of int64, ascending
        Every row is in exactly one of them.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        If `y` is not one-dimensional, or `test_fraction` is not a number between 0 and 1.

    Examples
    --------
    >>> train, test = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], 0.25)
    >>> len(train), len(test)
    (6, 2)
    """
    operation = "stratified_split"
    y = as_plain_array(operation, "y", y, None, rule="must be an array of one class per row, (N,)")
    if y.ndim != 1:
        remedy = "y.argmax(1) makes classes of one-hot rows" if y.ndim == 2 else ""
        raise ShapeError(operation, "y", "must be one class per row, (N,)", y.shape, remedy)
    if y.dtype.kind == "O":
        raise ArgumentTypeError(
            operation,
            "y",
            "must hold numbers or texts",
            y.dtype,
            "np.unique(y.astype(str), return_inverse=True)[1] numbers the classes",
            shown="Python objects",
        )
    test_fraction = as_real(
        operation, "test_fraction", test_fraction, "above 0 and below 1", math.ulp(0.0), 1.0
    )
    rng = np.random.default_rng(as_int(operation, "seed", seed, 0, 2**64 - 1))
    return stratified(y, test_fraction, rng)
