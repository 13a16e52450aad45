"""Losses: a figure to make small, and its exact gradient with respect to the outputs.

Classes lie on axis 1, as everywhere in fastconv, so a network may answer once per image,
(N, K), or once per pixel, (N, K, H, W). The figure is the mean over all answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from fastconv import functional, registry
from fastconv.arguments import as_plain_array
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

__all__ = ["CrossEntropy", "Loss", "MeanSquaredError", "SoftmaxCrossEntropy", "class_targets"]

Array = np.ndarray[Any, Any]


class Loss(ABC):
    """A loss: call it for the figure, or ask for the figure and its gradient at once.

    `takes` says what the outputs must be; ``compile`` holds it against the last layer.
    """

    name: ClassVar[str]
    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "values"

    def __call__(self, outputs: Array, targets: Array) -> float:
        """Return the mean loss."""
        return self.value_and_gradient(outputs, targets)[0]

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:  # noqa: B027
        """Raise if `targets` cannot be those of outputs of `shape`; called before training.

        A loss that does not define this finds out batch by batch.
        """

    @abstractmethod
    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient, of the shape and dtype of `outputs`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def plain(operation: str, targets: Any) -> Array:
    """Return `targets` as an array; one with a mask, which would be lost, is refused."""
    return as_plain_array(operation, "targets", targets, None)


def are_labels(operation: str, shape: tuple[int, ...], targets: Array) -> bool:
    """Check class targets against outputs of `shape`; return whether they are labels.

    Parameters
    ----------
    shape : tuple of int
        (N, K, ...) of the outputs.
    targets : ndarray
        As `class_targets` takes them.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        As `class_targets`.
    """
    if len(shape) < 2:
        raise ShapeError(f"{operation}: outputs must be (N, K, ...), got {shape}")
    if targets.shape == shape:
        if targets.dtype.kind not in "fiub":
            raise ArgumentTypeError(
                f"{operation}: targets must be numbers, got dtype {targets.dtype}"
            )
        return False
    expected = shape[:1] + shape[2:]
    if targets.shape != expected:
        raise ShapeError(
            f"{operation}: targets must be labels of shape {expected} or shares of shape "
            f"{shape}, got {targets.shape}"
        )
    if targets.dtype.kind not in "iu":
        raise ArgumentTypeError(
            f"{operation}: labels must be integers, got dtype {targets.dtype}; "
            "cast with y.astype(int)"
        )
    classes = shape[1]
    if targets.size and not (0 <= targets.min() and targets.max() < classes):
        wrong = targets.min() if targets.min() < 0 else targets.max()
        raise ArgumentError(
            f"{operation}: labels must be 0 to {classes - 1} for {classes} outputs, got {wrong}"
        )
    return True


def class_targets(operation: str, outputs: Array, targets: Array) -> tuple[Array, bool]:
    """Check class targets against `outputs`; say whether they are labels.

    Parameters
    ----------
    outputs : ndarray (N, K, ...)
    targets : ndarray
        Integer labels (N, ...) in 0 to K - 1, or one row of K shares per answer, of the
        shape of `outputs` (one-hot, or any distribution).

    Returns
    -------
    targets : ndarray
        Labels as intp, or shares in the dtype of `outputs`.
    labels : bool

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        Another shape; labels that are no integers; a label outside 0 to K - 1; a masked array.
    """
    targets = plain(operation, targets)
    labels = are_labels(operation, outputs.shape, targets)
    return targets.astype(np.intp if labels else outputs.dtype, copy=False), labels


def _answers(outputs: Array) -> int:
    """How many answers the mean runs over; at least 1, so that an empty batch gives 0."""
    return max(1, outputs.size // max(1, outputs.shape[1]))


def _at_labels(labels: Array) -> tuple[Array, ...]:
    """Return the index of the elements (N, ...) of outputs (N, K, ...) that `labels` name."""
    if labels.ndim == 1:
        return np.arange(len(labels)), labels
    grid: tuple[Array, ...] = np.indices(labels.shape, sparse=True)
    return grid[0], labels, *grid[1:]


@registry.losses.register("softmax_cross_entropy")
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of the softmax of logits: ``-sum(t * log(softmax(y)))``, averaged.

    Notes
    -----
    Computed from the log-softmax, so that logits of any size give no overflow. The gradient
    is ``(softmax(y) * sum(t) - t) / answers``.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss(np.zeros((2, 10)), np.array([3, 7])), 4)  # no idea: log(10)
    2.3026
    """

    name = "softmax_cross_entropy"
    takes = "logits"

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        are_labels(self.name, shape, plain(self.name, targets))

    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        targets, labels = class_targets(self.name, outputs, targets)
        answers = _answers(outputs)
        logs = functional.log_softmax(outputs, axis=1)
        gradient = np.exp(logs)
        if labels:
            where = _at_labels(targets)
            at_label = logs[where]
            total = at_label.sum(dtype=np.float64)
            gradient[where] = np.expm1(at_label)
        else:
            # A share of zero counts nothing, even where the logarithm is minus infinity.
            terms = np.multiply(targets, logs, out=np.zeros_like(logs), where=targets != 0)
            total = terms.sum(dtype=np.float64)
            gradient *= targets.sum(axis=1, keepdims=True)
            gradient -= targets
        gradient /= answers
        return float(-total / answers), gradient


@registry.losses.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of probabilities: ``-sum(t * log(p))``, averaged.

    Notes
    -----
    For networks that end in Softmax. A probability below the smallest normal number of its
    dtype counts as that number, so that figure and gradient stay finite (87.3 at most in
    float32). Training is safer with ``softmax_cross_entropy``: a probability that has
    underflowed to zero carries no gradient back through Softmax.

    Examples
    --------
    >>> import numpy as np
    >>> round(CrossEntropy()(np.array([[0.25, 0.75]]), np.array([1])), 4)
    0.2877
    """

    name = "cross_entropy"
    takes = "probabilities"

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        are_labels(self.name, shape, plain(self.name, targets))

    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        targets, labels = class_targets(self.name, outputs, targets)
        if outputs.size and outputs.min() < 0:
            raise ArgumentError(
                f"{self.name}: probabilities must not be negative, got {outputs.min():.6g}; "
                'for logits take loss="softmax_cross_entropy"'
            )
        answers = _answers(outputs)
        floor = np.finfo(outputs.dtype).tiny
        if labels:
            where = _at_labels(targets)
            at_label = np.maximum(outputs[where], floor)
            total = np.log(at_label).sum(dtype=np.float64)
            gradient = np.zeros(outputs.shape, outputs.dtype)
            gradient[where] = (-1.0 / answers) / at_label
        else:
            probabilities = np.maximum(outputs, floor)
            total = (targets * np.log(probabilities)).sum(dtype=np.float64)
            gradient = targets / probabilities
            gradient *= -1.0 / answers
        return float(-total / answers), gradient


@registry.losses.register("mean_squared_error")
class MeanSquaredError(Loss):
    """Mean of ``(y - t)**2`` over every element.

    Notes
    -----
    The book writes half the sum per sample; with K outputs that is K / 2 times this figure.

    Examples
    --------
    >>> import numpy as np
    >>> MeanSquaredError()(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.0
    """

    name = "mean_squared_error"

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        targets = plain(self.name, targets)
        if targets.shape != shape:
            raise ShapeError(
                f"{self.name}: targets must have the shape of the outputs, {shape}, "
                f"got {targets.shape}; labels must be made one-hot first"
            )
        if targets.dtype.kind not in "fiub":
            raise ArgumentTypeError(
                f"{self.name}: targets must be numbers, got dtype {targets.dtype}"
            )

    def value_and_gradient(self, outputs: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        self.check_targets(outputs.shape, targets)
        targets = np.asarray(targets)
        gradient = outputs - targets.astype(outputs.dtype, copy=False)
        elements = max(1, gradient.size)
        total = np.square(gradient, dtype=np.float64).sum()
        gradient *= 2.0 / elements
        return float(total / elements), gradient
