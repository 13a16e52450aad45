"""The area under the ROC curve, exact over all rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import functional, registry
from fastconv.floating import quietly
from fastconv.training.binary import check_binary
from fastconv.training.labels import are_labels, class_targets, plain
from fastconv.training.metrics.averaging import as_average, check_class
from fastconv.training.metrics.counting import CountingMetric
from fastconv.training.metrics.reading import Labels

__all__ = ["AUC"]

Array = np.ndarray[Any, Any]

#: The class, the output, and how much of the row is of the class and how much is not, as float64.
BYTES_PER_COUNT = 32
#: What sorting takes besides: the rows before, and their order with what is needed to find it.
BYTES_PER_SORTED = 80


@registry.metrics.register("auc")
class AUC(Labels, CountingMetric):
    """The area under the ROC curve: how often a row of a class gets more for it than another.

    It is the chance that of two random rows, one of the class and one not, the first has the
    greater output for it. Equal outputs count as half.

    Parameters
    ----------
    average : {"auto", "macro", "weighted"} or int
        How the figures of several classes or labels, each against the rest, become one.
        ``"macro"`` is their mean; ``"weighted"`` their mean by how many rows are of each; a number
        the figure of that class alone. ``"auto"`` is that of class 1 if there are two classes,
        else ``"macro"``.

    Notes
    -----
    A class that no row is of, or every row, has no such pair. It does not count in averages; where
    none counts, the figure is 0.5, that of guessing. If an output is NaN, so is the figure.

    No outputs are rounded or put into bins: all of them are kept, 32 bytes for each class and row,
    and 80 more while they are sorted, as `count_bytes` states and limits of memory count. With
    ``softmax_cross_entropy`` outputs are compared by the probabilities that they stand for. Called
    by itself, the metric takes outputs as they are.

    Source: Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> import numpy as np
    >>> AUC()(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([0, 0, 1, 1]))
    0.75
    """

    name = "auc"

    def __init__(self, average: str | int = "auto") -> None:
        super().__init__(None)
        self.average = as_average(self.name, average, "auto", "macro", "weighted")

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape`, without the batch, have classes on axis 1."""
        check_class(self.name, self.average, shape)

    @quietly
    def counts(self, outputs: Array, targets: Any, weights: Array | None = None) -> Array:
        """Return float64 (M, 4), sorted: class, output, and how much is of the class and not."""
        self.check_outputs(outputs.shape[1:])
        scores, true, numbers = self._scores(outputs, targets)
        if isinstance(self.average, int):
            numbers = [self.average]
        rows, per_row = len(outputs), math.prod(outputs.shape[2:])
        each = np.ones(rows) if weights is None else weights
        found = np.empty((len(numbers), rows, per_row, 4))
        for at, number in enumerate(numbers):
            yes = true[:, number].reshape(rows, per_row)
            found[at, ..., 0] = number
            found[at, ..., 1] = scores[:, number].reshape(rows, per_row)
            found[at, ..., 2] = yes * each[:, None]
            found[at, ..., 3] = ~yes * each[:, None]
        return _sorted(found[:, each != 0].reshape(-1, 4))

    def _scores(self, outputs: Array, targets: Any) -> tuple[Array, Array, list[int]]:
        """Return outputs to compare, what is of each class, and the classes that count."""
        classes = outputs.shape[1]
        every = list(range(classes))
        if self.takes in ("logits", "probabilities") or (
            self.takes not in ("log odds", "chances")
            and classes > 1
            and plain(self.name, targets).ndim == outputs.ndim - 1
            and are_labels(self.name, outputs.shape, targets)
        ):
            given, labels = class_targets(self.name, outputs, targets)
            right = np.expand_dims(given if labels else given.argmax(axis=1), 1)
            true = right == np.arange(classes).reshape(-1, *[1] * (outputs.ndim - 2))
            if self.takes == "logits":
                outputs = functional.log_softmax(outputs, axis=1)
            return outputs, true, [1] if classes == 2 and self.average == "auto" else every
        return outputs, check_binary(self.name, outputs.shape, targets) > 0.5, every

    @quietly
    def added(self, counts: Array, more: Array) -> Array:
        """Return the counts of both, sorted."""
        return _sorted(np.concatenate([counts, more]))

    def count_bytes(self, shape: tuple[int, ...], rows: int) -> tuple[int, int]:
        """Return the bytes of the counts of `rows` rows, and of adding to them; see the base."""
        classes = 1 if isinstance(self.average, int) else shape[0]
        answers = rows * classes * math.prod(shape[1:])
        return BYTES_PER_COUNT * answers, BYTES_PER_SORTED * answers

    @quietly
    def figure(self, counts: Array) -> float:
        """Return the average of the areas of the classes."""
        if np.isnan(counts[:, 1]).any():
            return float("nan")
        areas, shares = [], []
        for part in np.split(counts, np.flatnonzero(np.diff(counts[:, 0])) + 1):
            if len(part):
                new = part[1:, 1] != part[:-1, 1]
                first = np.flatnonzero(np.concatenate([[True], new]))
                yes, no = np.add.reduceat(part[:, 2:], first).T  # of equal outputs together
                pairs = yes.sum() * no.sum()
                if pairs > 0:
                    below = no.cumsum() - no
                    areas.append((yes * (below + 0.5 * no)).sum() / pairs)
                    shares.append(yes.sum() if self.average == "weighted" else 1.0)
        return float(np.average(areas, weights=shares)) if areas else 0.5

    def __repr__(self) -> str:
        return f"AUC(average={self.average!r})"


def _sorted(rows: Array) -> Array:
    """Return rows (class, output, yes, no) by class and output; equal ones stay as they are.

    So the order does not depend on which rows were sorted together, nor does any sum.
    """
    return rows[_order(rows)]


def _order(rows: Array) -> Array:
    # complex numbers are compared by their first part, and if that is equal by their second
    keys = np.ascontiguousarray(rows[:, :2]).view(np.complex128)[:, 0]
    return np.argsort(keys, kind="stable")  # quick on two sorted halves
