"""Metrics: callables that give one figure per answer, of which the loop takes the exact mean.

The loop adds up figures and counts them, so that a last batch that is not full weighs what it
should. Any function ``f(outputs, targets) -> ndarray`` with one figure per answer is a metric. It
runs under the caller's own floating-point error state of NumPy. A metric may have a `name`. It may
also have ``check_outputs(shape)``, which raises if it cannot measure outputs of that shape,
without the batch; `compile` calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import registry
from fastconv.floating import quietly
from fastconv.training.labels import as_outputs, check_classes, check_values, class_targets

__all__ = ["Accuracy", "MeanAbsoluteError"]

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
