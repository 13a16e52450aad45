"""Cross-entropy of logits over exclusive classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, registry
from fastconv.arguments import as_real
from fastconv.training.labels import at_labels
from fastconv.training.losses.classes import ClassLoss
from fastconv.training.weighting import Shares

__all__ = ["SoftmaxCrossEntropy"]

Array = np.ndarray[Any, Any]


@registry.losses.register("softmax_cross_entropy")
class SoftmaxCrossEntropy(ClassLoss):
    """Cross-entropy of the softmax of logits: ``-sum(t * log(softmax(y)))``, averaged.

    Parameters
    ----------
    label_smoothing : float
        The part of each answer that is divided equally among all K classes, from 0 to below 1:
        the right class counts as ``1 - label_smoothing + label_smoothing / K``, every other as
        ``label_smoothing / K`` (Szegedy et al. 2016, arXiv:1512.00567, section 7).

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
    bytes_per_number = 30, 40
    takes = "logits"
    label_smoothing: float = 0.0  # what losses pickled before there was any have

    def __init__(self, label_smoothing: float = 0.0) -> None:
        rule = "at least 0 and below 1"
        self.label_smoothing = as_real(self.name, "label_smoothing", label_smoothing, rule, 0, 1)
        if self.label_smoothing:
            self.bytes_per_number = 38, 50

    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        if self.label_smoothing:
            targets = self._smoothed(outputs, targets)
        logs = functional.log_softmax(outputs, axis=1)
        gradient = functional.softmax(outputs, axis=1)
        if targets.ndim < outputs.ndim:
            where = at_labels(targets)
            at_label = logs[where]
            total = shares.sum(at_label)
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
            total = shares.sum(logs)
        if shares.weights is None:
            gradient /= shares.count
        else:
            shares.apply(gradient)
        return -total, gradient

    def _smoothed(self, outputs: Array, targets: Array) -> Array:
        """Return the smoothed shares for labels or shares."""
        shares: Array
        if targets.ndim < outputs.ndim:
            shares, whole = np.zeros(outputs.shape, outputs.dtype), 1.0
            shares[at_labels(targets)] = 1.0 - self.label_smoothing
        else:
            shares, whole = targets * (1.0 - self.label_smoothing), targets.sum(1, keepdims=True)
        shares += whole * (self.label_smoothing / outputs.shape[1])
        return shares

    def __repr__(self) -> str:
        given = f"label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        return f"SoftmaxCrossEntropy({given})"
