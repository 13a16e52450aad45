"""The classes of rows: which they are, and what each of them counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_plain_array, as_real
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.training.compiled import Compiled
from fastconv.training.sources.table import Table
from fastconv.training.trainable import Array, Trainable

__all__ = ["ClassWeights", "as_class_weights", "labels_of"]

ONE_EACH_RULE = "must have rows of one class each"
NO_CLASSES = "to weigh rows, take sample_weight"


def labels_of(table: Table) -> Array | None:
    """Return the class of every row as an int64, or None if the targets are no classes.

    Classes are integers (N,), or one-hot rows (N, K). Of the table only the targets are read, some
    rows at a time.
    """
    if len(table.targets) != 1:
        return None
    shape, kind = table.targets[0].shape, table.targets[0].dtype.kind
    if len(shape) == 1 and kind in "iu":
        return np.concatenate([some.targets[0].astype(np.int64) for some in table.blocks()])
    if len(shape) != 2 or shape[1] < 2 or kind not in "fiub":
        return None
    labels = []
    for some in table.blocks():
        (block,) = some.targets
        if not (((block == 0) | (block == 1)).all() and (block.sum(axis=1) == 1).all()):
            return None
        labels.append(block.argmax(axis=1))
    return np.concatenate(labels).astype(np.int64)


class ClassWeights:
    """What each class counts.

    Parameters
    ----------
    table : ndarray (K,) of float64
    binary : bool
        Whether the network has one output, of which 0 and 1 are the two classes.
    """

    def __init__(self, table: Array, binary: bool = False) -> None:
        self.table, self._binary = table, binary

    @quietly
    def times(self, targets: Array, weights: Array | None) -> Array:
        """Return `weights`, or ones, times what the classes of the rows count.

        Parameters
        ----------
        targets : ndarray (n,) of integers, or (n, K) of shares of classes that sum to 1
        weights : ndarray (n,) of float64, or None
        """
        found = self._of(targets)
        found = found if weights is None else found * weights
        _check_sum(float(found.sum()))
        return found

    def row_bytes(self, targets: Array) -> int:
        """Return the bytes that a row of `targets` takes to be weighed, its weight included."""
        shares = 0 if targets.ndim == 1 else math.prod(targets.shape[1:])
        return 8 * (shares + 5)

    def _of(self, targets: Array) -> Array:
        if self._binary:
            labels = targets.reshape(len(targets), -1)
            if labels.shape[1] != 1 or not ((labels == 0) | (labels == 1)).all():
                raise ArgumentError("fit", "class_weight", ONE_EACH_RULE, remedy=NO_CLASSES)
            return self.table[labels[:, 0].astype(np.int64)]
        if targets.ndim == 1 and targets.dtype.kind in "iu":
            return self.table[targets]
        if targets.shape[1:] != self.table.shape or targets.dtype.kind not in "fiub":
            shown = f"y of shape {targets.shape}"
            raise ShapeError("fit", "class_weight", ONE_EACH_RULE, remedy=NO_CLASSES, shown=shown)
        shares = targets.astype(np.float64)
        sums = shares.sum(axis=1)
        if not (abs(sums - 1) < 1e-3).all():
            wrong = float(sums[~(abs(sums - 1) < 1e-3)][0])
            shown = f"a row of y that sums to {wrong:g}"
            raise ArgumentError(
                "fit", "class_weight", ONE_EACH_RULE, wrong, NO_CLASSES, shown=shown
            )
        return shares @ self.table


def as_class_weights(
    model: Trainable, compiled: Compiled, given: Any, table: Table | None
) -> ClassWeights | None:
    """Return what `given`, the class_weight of ``fit``, makes each class count.

    Parameters
    ----------
    given : dict of int to float, array (K,), ``"balanced"``, or None
        Classes that a dict does not name count 1. If balanced, class k of K counts
        ``N / (K * rows of k)``, so that all classes count alike together.
    table : Table or None
        The rows to learn from; None where nobody knows them before they come.
    """
    if given is None:
        return None
    compiled.check_weights("fit", "class_weight")
    specs = model.output_specs()
    if len(specs) != 1 or len(specs[0].shape) != 1:
        shown = f"{len(specs)} of them" if len(specs) != 1 else specs[0].letters
        rule = "must be for a network of one output (N, K)"
        raise ArgumentError("fit", "class_weight", rule, remedy=NO_CLASSES, shown=shown)
    binary = specs[0].shape[0] == 1
    count = 2 if binary else specs[0].shape[0]
    if isinstance(given, str):
        weights = ClassWeights(_balanced(given, table, count, binary), binary)
    elif isinstance(given, Mapping):
        weights = ClassWeights(_named(given, count), binary)
    else:
        array = as_plain_array("fit", "class_weight", given)
        if array.shape != (count,):
            rule = f"must have one number for each class, ({count},)"
            raise ShapeError("fit", "class_weight", rule, array.shape)
        weights = ClassWeights(_named(dict(enumerate(array.tolist())), count), binary)
    if table is not None:
        _try(weights, table)
    return weights


@quietly
def _try(weights: ClassWeights, table: Table) -> None:
    """Raise now if a row has no weight later, or if all of them have no finite sum."""
    blocks = (weights.times(some.targets[0], some.weights) for some in table.blocks())
    _check_sum(sum(float(block.sum()) for block in blocks))


def _check_sum(total: float) -> None:
    if not total < math.inf:
        rule = "must have a finite sum over the rows, times their sample_weight"
        raise ArgumentError("fit", "class_weight", rule, total, "take smaller numbers")


def _named(given: Mapping[Any, Any], classes: int) -> Array:
    table = np.ones(classes)
    for name, weight in given.items():
        label = as_int("fit", "a class of class_weight", name, 0, classes - 1)
        rule = "at least 0 and finite"
        table[label] = as_real("fit", f"class_weight[{label}]", weight, rule, 0.0, np.inf)
    if not table.any():
        raise ArgumentError("fit", "class_weight", "must not be 0 for every class", 0)
    return table


def _balanced(given: str, table: Table | None, classes: int, binary: bool) -> Array:
    if given != "balanced":
        rule = 'must be a dict {class: weight}, an array (K,) or "balanced"'
        raise ArgumentTypeError("fit", "class_weight", rule, given)
    if table is None:
        rule = "must be a dict for an iterable of batches, whose classes nobody has counted"
        raise ArgumentError("fit", "class_weight", rule, given, "give {class: weight}")
    counts = _counted(table, classes, binary)
    return np.divide(counts.sum(), classes * counts, out=np.ones(classes), where=counts > 0)


def _counted(table: Table, classes: int, binary: bool) -> Array:
    """Return how many rows are of each class; of shares their sums."""
    each = [ClassWeights(row, binary) for row in np.eye(classes)]
    sums: Iterable[Array] = (
        np.array([one.times(some.targets[0], None).sum() for one in each])
        for some in table.blocks()
    )
    return np.sum(list(sums), axis=0)
