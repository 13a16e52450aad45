"""How metrics read outputs: as classes, of which one is right, or as labels, each yes or no."""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar, TypeVar

import numpy as np

from fastconv.arguments import as_real
from fastconv.errors import ArgumentError
from fastconv.training.binary import check_binary
from fastconv.training.labels import class_targets

__all__ = ["Labels", "of_exclusive"]

Array = np.ndarray[Any, Any]
L = TypeVar("L", bound="Labels")

#: What losses take whose outputs are labels, and whose outputs are classes.
_OF_LABELS, _OF_CLASSES = ("log odds", "chances"), ("logits", "probabilities")


def of_exclusive(operation: str, loss: Any) -> None:
    """Raise ArgumentError if the outputs of `loss` are labels that do not exclude each other."""
    if getattr(loss, "takes", None) in _OF_LABELS:
        raise ArgumentError(
            "compile",
            "metrics",
            f"must not be {operation!r}, which is of classes that exclude each other, with "
            f"the loss {loss.name!r}",
            operation,
            'take "binary_accuracy"',
        )


class Labels:
    """The part of metrics that need to know what outputs are.

    Where `compile` has told the metric its loss, that says what they are. Otherwise a threshold
    says that they are labels, and so does a single output; several are classes.

    Attributes
    ----------
    threshold : float or None
    takes : str or None
        What the loss takes, once `compile` has said it.
    """

    name: ClassVar[str]
    only_labels: ClassVar[bool] = False  # whether outputs are never classes
    takes: str | None = None

    def __init__(self, threshold: float | None) -> None:
        rule = "finite"
        if threshold is not None:
            threshold = as_real(self.name, "threshold", threshold, rule, -math.inf, math.inf)
        self.threshold = threshold

    def for_loss(self: L, loss: Any) -> L:
        """Return a metric as this one that reads what `loss` takes."""
        twin = copy.copy(self)
        twin.takes = getattr(loss, "takes", None)
        if twin.takes in _OF_CLASSES and (self.only_labels or self.threshold is not None):
            what = repr(self.name) if self.only_labels else f"{self.name!r} with a threshold"
            raise ArgumentError(
                "compile",
                "metrics",
                f"must not be {what}, which is of labels that are each yes or no, with the loss "
                f"{loss.name!r}",
                self.name,
                'take "accuracy"' if self.only_labels else "leave the threshold out",
            )
        return twin

    def _are_labels(self, outputs: Array) -> bool:
        """Whether the outputs (N, K, ...) are labels, each yes or no."""
        if self.takes in _OF_CLASSES:
            return False
        given = self.only_labels or self.threshold is not None or self.takes in _OF_LABELS
        return given or outputs.ndim < 2 or outputs.shape[1] == 1

    def _labels(self, outputs: Array, targets: Any) -> tuple[Array, Array]:
        """Return for each output whether it says yes, and whether its target does."""
        threshold = self.threshold
        if threshold is None:
            threshold = 0.0 if self.takes == "log odds" else 0.5
        return outputs > threshold, check_binary(self.name, outputs.shape, targets) > 0.5

    def _classes(self, outputs: Array, targets: Any) -> tuple[Array, Array]:
        """Return the class of each answer, -1 where an output is NaN, and the right one."""
        targets, labels = class_targets(self.name, outputs, targets)
        said = outputs.argmax(axis=1)
        said[np.isnan(outputs).any(axis=1)] = -1
        return said, targets if labels else targets.argmax(axis=1)
