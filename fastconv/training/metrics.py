"""Metrics: a callable that gives one figure per answer; the loop averages them exactly.

Because the loop adds figures and counts, a last batch that is not full weighs what it should.
Any function ``f(outputs, targets) -> ndarray`` with one figure per answer is a metric.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import registry
from fastconv.errors import ShapeError
from fastconv.training.losses import class_targets, plain

__all__ = ["Accuracy", "MeanAbsoluteError"]

Array = np.ndarray[Any, Any]


@registry.metrics.register("accuracy")
class Accuracy:
    """Whether the largest output is at the right class (the first of equal ones counts).

    Examples
    --------
    >>> import numpy as np
    >>> Accuracy()(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    array([ True, False])
    """

    name = "accuracy"

    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return bool (N, ...) for outputs (N, K, ...) and labels (N, ...) or shares."""
        if outputs.ndim < 2 or outputs.shape[1] < 2:
            raise ShapeError(
                f"{self.name}: outputs must have at least 2 classes on axis 1, "
                f"got shape {outputs.shape}"
            )
        targets, labels = class_targets(self.name, outputs, targets)
        right: Array = outputs.argmax(axis=1) == (targets if labels else targets.argmax(axis=1))
        return right

    def __repr__(self) -> str:
        return "Accuracy()"


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

    def __call__(self, outputs: Array, targets: Array) -> Array:
        """Return ndarray of the shape of `outputs`; `targets` must have that shape too."""
        targets = plain(self.name, targets)
        if targets.shape != outputs.shape:
            raise ShapeError(
                f"{self.name}: targets must have the shape of the outputs, {outputs.shape}, "
                f"got {targets.shape}"
            )
        distance: Array = np.abs(outputs - targets.astype(outputs.dtype, copy=False))
        return distance

    def __repr__(self) -> str:
        return "MeanAbsoluteError()"
