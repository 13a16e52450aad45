"""Precision, recall and F1, from counts of every class or label over all rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.floating import quietly
from fastconv.training.metrics.averaging import as_average, check_class
from fastconv.training.metrics.counting import CountingMetric
from fastconv.training.metrics.reading import Labels

__all__ = ["F1", "Precision", "Recall"]

Array = np.ndarray[Any, Any]


class ClassFigure(Labels, CountingMetric):
    """A figure of each class: of how often it was right, was said, and was there.

    Parameters
    ----------
    average : {"auto", "macro", "micro", "weighted"} or int
        How the figures of several classes or labels become one. ``"macro"`` is their mean, over
        those that were there or were said; ``"weighted"`` their mean by how often each was there;
        ``"micro"`` the figure of all counts together; a number the figure of that class alone.
        ``"auto"`` is that of class 1 if there are two classes, else ``"macro"``.
    threshold : float, optional
        It says that outputs are labels, each yes or no, and from where on they are a yes. By
        default `compile` learns from the loss what they are: labels for
        ``sigmoid_cross_entropy``, above 0, and for ``binary_cross_entropy``, above 0.5; else
        classes, of which the largest output is said. A single output is a label.
    """

    def __init__(self, average: str | int = "auto", threshold: float | None = None) -> None:
        super().__init__(threshold)
        words = "auto", "macro", "micro", "weighted"
        self.average = as_average(self.name, average, *words)

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape`, without the batch, have classes on axis 1."""
        check_class(self.name, self.average, shape)

    @quietly
    def counts(self, outputs: Array, targets: Any, weights: Array | None = None) -> Array:
        """Return float64 (3, K): how often each class was rightly said, was said, and was there."""
        self.check_outputs(outputs.shape[1:])
        if self._are_labels(outputs):
            said, true = self._labels(outputs, targets)
            return np.stack([_per_label(a, weights) for a in (said & true, said, true)])
        classes = outputs.shape[1]
        said, true = self._classes(outputs, targets)
        each = np.ones(len(true)) if weights is None else weights
        shape = (-1,) + (1,) * (true.ndim - 1)
        each = np.broadcast_to(each.reshape(shape), true.shape)
        counts = np.stack(
            [
                np.bincount(of[where], each[where], classes)
                for of, where in ((true, said == true), (said, said >= 0), (true, true >= 0))
            ]
        )
        return counts[:, 1:] if classes == 2 and self.average == "auto" else counts

    @quietly
    def figure(self, counts: Array) -> float:
        """Return the average of the figures of the classes."""
        if self.average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        figures = self._of(*counts)
        if isinstance(self.average, int):
            return float(figures[self.average])
        shares = counts[2] if self.average == "weighted" else counts[1:].sum(axis=0) > 0
        return float((figures * shares).sum() / shares.sum()) if shares.any() else 0.0

    @abstractmethod
    def _of(self, hits: Array, said: Array, true: Array) -> Array:
        """Return the figure of each class."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(average={self.average!r}, threshold={self.threshold})"


def _per_label(yes: Array, weights: Array | None) -> Array:
    """Return how often each label of `yes` (N, K, ...) is true."""
    rows = yes.sum(axis=tuple(range(2, yes.ndim)), dtype=np.float64)
    return rows.sum(axis=0) if weights is None else (rows * weights[:, None]).sum(axis=0)


def _ratio(part: Array, whole: Array) -> Array:
    """Return ``part / whole``, and 0 where both are 0."""
    return part / np.where(whole > 0, whole, 1.0)


@registry.metrics.register("precision")
class Precision(ClassFigure):
    """The part of what was said to be of a class that is of it; 0 where nothing was said to be.

    Settings are those of `ClassFigure`.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.4, 0.6]])
    >>> round(Precision()(p, np.array([1, 0, 1, 1])), 4)  # two of three
    0.6667
    """

    name = "precision"

    def _of(self, hits: Array, said: Array, true: Array) -> Array:
        return _ratio(hits, said)


@registry.metrics.register("recall")
class Recall(ClassFigure):
    """The part of what is of a class that was said to be; 0 where nothing is of it.

    Settings are those of `ClassFigure`.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.4, 0.6]])
    >>> round(Recall()(p, np.array([1, 0, 1, 1])), 4)  # two of three
    0.6667
    """

    name = "recall"

    def _of(self, hits: Array, said: Array, true: Array) -> Array:
        return _ratio(hits, true)


@registry.metrics.register("f1")
class F1(ClassFigure):
    """The harmonic mean of precision and recall; 0 where a class was neither said nor there.

    Settings are those of `ClassFigure`; the macro average is the mean of the classes' own F1.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.4, 0.6]])
    >>> round(F1()(p, np.array([1, 0, 1, 1])), 4)
    0.6667
    """

    name = "f1"

    def _of(self, hits: Array, said: Array, true: Array) -> Array:
        return _ratio(2.0 * hits, said + true)
