"""Targets that are yes or no: each is 1, 0, or a chance between."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.errors import ArgumentError
from fastconv.floating import quietly
from fastconv.training import remedies
from fastconv.training.labels import check_values, plain

__all__ = ["check_binary"]

Array = np.ndarray[Any, Any]


def check_binary(operation: str, shape: tuple[int, ...], given: Any) -> Array:
    """Return targets as an array of the shape of the outputs; raise unless they are 0 to 1.

    Parameters
    ----------
    shape : tuple of int
        That of the outputs, (N, K, ...).
    given : array-like
        Numbers of that shape; for one label, K = 1, also of the shape (N, ...).

    Raises
    ------
    ShapeError
        If they have another shape.
    ArgumentTypeError
        If they are no numbers.
    ArgumentError
        If one of them is below 0, above 1 or NaN.
    """
    targets = plain(operation, given)
    if len(shape) > 1 and shape[1] == 1 and targets.shape == shape[:1] + shape[2:]:
        targets = targets.reshape(shape)
    targets = check_values(operation, shape, targets, given, remedies.of_binary)
    _check_range(operation, targets, given)
    return targets


@quietly
def _check_range(operation: str, targets: Array, given: Any) -> None:
    # the smallest is NaN if any of them is
    if targets.size and not (targets.min() >= 0 and targets.max() <= 1):
        wrong = targets[~((targets >= 0) & (targets <= 1))].flat[0]
        raise ArgumentError(
            operation,
            "targets",
            "must be 0, 1 or a chance between",
            wrong.item(),
            remedies.of_two(given, targets),
        )
