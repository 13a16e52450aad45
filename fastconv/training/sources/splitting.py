"""Rows held out for validation, of those that were given to learn from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_real
from fastconv.batches import stratified
from fastconv.errors import ArgumentError, ShapeError
from fastconv.training.sources.classes import labels_of
from fastconv.training.sources.table import Table

__all__ = ["split"]


def split(table: Table, fraction: Any, seed: int) -> tuple[Table, Table]:
    """Return the rows to learn from and those held out, about `fraction` of all.

    If the targets are classes, every class has its share, of rows that `seed` chooses; else the
    last rows are held out.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `fraction` is not a number above 0 and below 1.
    ShapeError
        If one part would be empty.
    """
    fraction = as_real(
        "fit", "validation_split", fraction, "above 0 and below 1", math.ulp(0.0), 1.0
    )
    labels = labels_of(table)
    if labels is None:
        rows = len(table)
        first = rows - min(max(round(rows * fraction), 1), rows - 1)
        parts: tuple[Any, Any] = (slice(0, first), slice(first, rows))
    else:
        parts = stratified(labels, fraction, np.random.default_rng(seed))
    learned, held_out = (table.part(part) for part in parts)
    if not len(learned) or not len(held_out):
        kind = " of one class" * (labels is not None)
        rule = f"must have at least two rows{kind} to split"
        raise ShapeError("fit", "x", rule, len(table))
    for name, part in (("to learn from", learned), ("held out", held_out)):
        if table.weights is not None and not table.weights[part.chosen].any():
            rule = f"must not be 0 for every row {name}"
            raise ArgumentError("fit", "sample_weight", rule, 0)
    return learned, held_out
