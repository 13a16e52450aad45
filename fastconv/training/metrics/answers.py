"""Metrics that give one figure per answer, of which the mean is taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_int, as_sizes
from fastconv.errors import ShapeError
from fastconv.floating import quietly
from fastconv.training.labels import (
    as_outputs,
    at_labels,
    check_classes,
    check_values,
    class_targets,
)
from fastconv.training.metrics.reading import Labels, of_exclusive

__all__ = ["Accuracy", "BinaryAccuracy", "MeanAbsoluteError", "TopK"]

Array = np.ndarray[Any, Any]


@registry.metrics.register("accuracy")
class Accuracy:
    """Whether the largest output is at the right class (the first of equal ones counts).

    An answer with a NaN among its outputs is never right.

    Examples
    --------
    >>> import numpy as np
    >>> Accuracy()(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    array([ True, False])
    """

    name = "accuracy"

    def for_loss(self, loss: Any) -> Accuracy:
        """Return this metric; raise if the outputs of `loss` are labels, each yes or no."""
        of_exclusive(self.name, loss)
        return self

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape`, without the batch, have several classes."""
        check_classes(self.name, shape)

    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return bool (N, ...) for outputs (N, K, ...) and labels (N, ...) or shares."""
        outputs = as_outputs(self.name, outputs)
        targets, labels = class_targets(self.name, outputs, targets)
        right: Array = outputs.argmax(axis=1) == (targets if labels else targets.argmax(axis=1))
        if outputs.size and np.isnan(np.maximum.reduce(outputs, None)):  # NaN if any of them is
            right &= ~np.isnan(outputs).any(axis=1)
        return right

    def __repr__(self) -> str:
        return "Accuracy()"


@registry.metrics.register("top_k")
class TopK:
    """Whether the right class is among the `k` largest outputs.

    Of equal outputs the first ones come first, so that ``k=1`` is ``accuracy``. An answer with a
    NaN among its outputs is never right.

    Parameters
    ----------
    k : int
        At least 1, and fewer than there are classes.

    Examples
    --------
    >>> import numpy as np
    >>> TopK(k=2)(np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]]), np.array([1, 2]))
    array([ True, False])
    """

    name = "top_k"

    def __init__(self, k: int = 5) -> None:
        self.k = as_int(self.name, "k", k, 1)

    def for_loss(self, loss: Any) -> TopK:
        """Return this metric; raise if the outputs of `loss` are labels, each yes or no."""
        of_exclusive(self.name, loss)
        return self

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape`, without the batch, have more than `k` classes."""
        shape = as_sizes(self.name, "shape", shape, 0)
        check_classes(self.name, shape)
        if (classes := shape[0]) <= self.k:
            rule = f"must have more than {self.k} classes, or every answer is right"
            remedy = f'take a smaller k: ("top_k", {{"k": {max(1, classes // 2)}}})'
            raise ShapeError(self.name, "outputs", rule, classes, remedy)

    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return bool (N, ...) for outputs (N, K, ...) and labels (N, ...) or shares."""
        outputs = as_outputs(self.name, outputs)
        self.check_outputs(outputs.shape[1:])
        targets, labels = class_targets(self.name, outputs, targets)
        if not labels:
            targets = targets.argmax(axis=1)
        mine = np.expand_dims(outputs[at_labels(targets)], 1)
        places = np.arange(outputs.shape[1]).reshape(-1, *[1] * (outputs.ndim - 2))
        ahead = outputs > mine
        ahead |= (outputs == mine) & (places < np.expand_dims(targets, 1))
        right: Array = ahead.sum(axis=1) < self.k
        return right & ~np.isnan(outputs).any(axis=1)

    def __repr__(self) -> str:
        return f"TopK(k={self.k})"


@registry.metrics.register("binary_accuracy")
class BinaryAccuracy(Labels):
    """Whether each label is rightly said to be there or not, of labels that are each yes or no.

    An output above the threshold says yes, and a target above 0.5 is one. A NaN is never right.

    Parameters
    ----------
    threshold : float, optional
        By default 0 where the loss is ``sigmoid_cross_entropy``, whose outputs are log odds, and
        else 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> BinaryAccuracy()(np.array([[0.9, 0.2], [0.4, 0.8]]), np.array([[1, 0], [1, 1]]))
    array([[ True,  True],
           [False,  True]])
    """

    name = "binary_accuracy"
    only_labels = True

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)

    @quietly
    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return bool (N, K, ...) for outputs (N, K, ...), and targets such as losses take."""
        outputs = as_outputs(self.name, outputs)
        said, true = self._labels(outputs, targets)
        right: Array = said == true
        return right & ~np.isnan(outputs)

    def __repr__(self) -> str:
        return f"BinaryAccuracy(threshold={self.threshold})"


@registry.metrics.register("mean_absolute_error")
class MeanAbsoluteError:
    """The distance ``|y - t|`` of every element.

    Examples
    --------
    >>> import numpy as np
    >>> MeanAbsoluteError()(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    array([[0., 2.]])
    """

    name = "mean_absolute_error"

    @quietly
    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return ndarray of the shape of `outputs`; `targets` must have that shape too."""
        outputs = as_outputs(self.name, outputs)
        targets = check_values(self.name, outputs.shape, targets)
        distance: Array = np.abs(outputs - targets.astype(outputs.dtype, copy=False))
        return distance

    def __repr__(self) -> str:
        return "MeanAbsoluteError()"
