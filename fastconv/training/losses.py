"""Losses: a figure to make small, and its exact gradient with respect to the outputs.

Classes lie on axis 1, as everywhere in fastconv, so a network may answer once per image,
(N, K), or once per pixel, (N, K, H, W). The figure is the mean over all answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from fastconv import functional, registry
from fastconv.arguments import as_sizes
from fastconv.errors import ArgumentError
from fastconv.floating import quietly
from fastconv.training.labels import (
    are_labels,
    as_outputs,
    at_labels,
    check_classes,
    check_values,
    class_targets,
)

__all__ = ["CrossEntropy", "Loss", "MeanSquaredError", "SoftmaxCrossEntropy", "class_targets"]

Array = np.ndarray[Any, Any]


#: The most that rounding can make of a probability of 1, with room to spare.
MOST = 1.001


class Loss(ABC):
    """A loss: call it for the figure, or ask for the figure and its gradient at once.

    `takes` says what the outputs must be, and ``compile`` checks that the layer behind them gives
    that. In ``fit``, NumPy's floating-point errors are ignored while a loss runs, as for layers.
    """

    name: ClassVar[str]
    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "values"

    def __call__(self, outputs: Array, targets: Array) -> float:
        """Return the mean loss."""
        return self.value_and_gradient(outputs, targets)[0]

    def check_outputs(self, shape: tuple[int, ...]) -> None:  # noqa: B027
        """Raise if the loss cannot take outputs of `shape`, without the batch; compile calls it."""

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:  # noqa: B027
        """Raise if `targets` do not fit outputs of `shape`; it is called before training.

        A loss that does not define this raises only when it comes to the wrong batch.
        """

    @abstractmethod
    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient, of the shape and dtype of `outputs`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _answers(outputs: Array) -> int:
    """Return how many answers the mean is over; at least 1, so that an empty batch gives 0."""
    return max(1, outputs.size // max(1, outputs.shape[1]))


@registry.losses.register("softmax_cross_entropy")
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits: ``-sum(t * log(softmax(y)))``, averaged.

    Notes
    -----
    The figure is computed from the log-softmax. So logits of any size give no overflow, and tiny
    figures keep their digits: for two logits 0 and -40 and the label 0 the loss is 4.2e-18, and
    the gradient is as small. The gradient is ``(softmax(y) * sum(t) - t) / answers``. For a class
    that has most of an answer, its probability less 1 is computed as ``expm1(log_softmax(y))``.
    The figure is summed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss(np.zeros((2, 10)), np.array([3, 7])), 4)  # no idea: log(10)
    2.3026
    """

    name = "softmax_cross_entropy"
    takes = "logits"

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape` are of several classes; see `Loss`."""
        check_classes(self.name, shape)

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        are_labels(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    @quietly
    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        outputs = as_outputs(self.name, outputs)
        targets, labels = class_targets(self.name, outputs, targets)
        answers = _answers(outputs)
        logs = functional.log_softmax(outputs, axis=1)
        gradient = functional.softmax(outputs, axis=1)
        if labels:
            where = at_labels(targets)
            at_label = logs[where]
            total = at_label.sum(dtype=np.float64)
            gradient[where] = functional.expm1(at_label)
        else:
            # (N, 1, ...); in float64, so that what one class leaves to the others is exact
            whole = targets.sum(axis=1, keepdims=True, dtype=np.float64)
            gradient *= whole.astype(outputs.dtype)
            gradient -= targets
            most = targets > 0.5 * whole
            of_most = np.broadcast_to(whole, targets.shape)[most]
            less_one = functional.expm1(logs[most])
            gradient[most] = of_most * less_one + (of_most - targets[most])
            # A share of zero adds nothing, even if the logarithm is minus infinity.
            logs[targets == 0] = 0
            logs *= targets
            total = logs.sum(dtype=np.float64)
        gradient /= answers
        return float(-total / answers), gradient


@registry.losses.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of probabilities: ``-sum(t * log(p))``, averaged.

    Notes
    -----
    This loss is for networks that end in Softmax. A probability below the smallest normal number
    of its dtype counts as that number, so that the figure (at most 87.3 in float32) and the
    gradient stay finite. Training is safer with ``softmax_cross_entropy``: a probability that has
    underflowed to zero carries no gradient back through Softmax.

    Examples
    --------
    >>> import numpy as np
    >>> round(CrossEntropy()(np.array([[0.25, 0.75]]), np.array([1])), 4)
    0.2877
    """

    name = "cross_entropy"
    takes = "probabilities"

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape` are of several classes; see `Loss`."""
        check_classes(self.name, shape)

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        are_labels(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    @quietly
    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        outputs = as_outputs(self.name, outputs)
        targets, labels = class_targets(self.name, outputs, targets)
        if outputs.size and outputs.min() < 0:
            raise ArgumentError(
                self.name,
                "probabilities",
                "must not be negative",
                float(outputs.min()),
                'for logits take loss="softmax_cross_entropy"',
                shown=f"{outputs.min():.6g}",
            )
        if outputs.size and MOST < outputs.max() < np.inf:
            raise ArgumentError(
                self.name,
                "probabilities",
                "must be at most 1",
                float(outputs.max()),
                'for logits take loss="softmax_cross_entropy"',
                shown=f"{outputs.max():.6g}",
            )
        answers = _answers(outputs)
        floor = np.finfo(outputs.dtype).tiny
        if labels:
            where = at_labels(targets)
            at_label = np.maximum(outputs[where], floor)
            total = functional.log(at_label).sum(dtype=np.float64)
            gradient = np.zeros(outputs.shape, outputs.dtype)
            gradient[where] = (-1.0 / answers) / at_label
        else:
            probabilities = np.maximum(outputs, floor)
            total = (targets * functional.log(probabilities)).sum(dtype=np.float64)
            gradient = targets / probabilities
            gradient *= -1.0 / answers
        return float(-total / answers), gradient


@registry.losses.register("mean_squared_error")
class MeanSquaredError(Loss):
    """Mean of ``(y - t)**2`` over every element.

    Notes
    -----
    The book takes half the sum for each sample. With K outputs, that is K / 2 times this figure.

    Examples
    --------
    >>> import numpy as np
    >>> MeanSquaredError()(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.0
    """

    name = "mean_squared_error"

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        check_values(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    @quietly
    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        outputs = as_outputs(self.name, outputs)
        targets = check_values(self.name, outputs.shape, targets)
        gradient = outputs - targets.astype(outputs.dtype, copy=False)
        elements = max(1, gradient.size)
        total = np.square(gradient, dtype=np.float64).sum()
        gradient *= 2.0 / elements
        return float(total / elements), gradient
