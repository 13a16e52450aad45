"""Cross-entropy of probabilities over exclusive classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, registry
from fastconv.training.labels import at_labels
from fastconv.training.losses.base import check_shares
from fastconv.training.losses.classes import ClassLoss
from fastconv.training.weighting import Shares

__all__ = ["CrossEntropy"]

Array = np.ndarray[Any, Any]


@registry.losses.register("cross_entropy")
class CrossEntropy(ClassLoss):
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
    bytes_per_number = 22, 34
    takes = "probabilities"

    def _checked(self, outputs: Array, targets: Any) -> Array:
        found = super()._checked(outputs, targets)
        check_shares(self.name, outputs, 'for logits take loss="softmax_cross_entropy"')
        return found

    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        floor = np.finfo(outputs.dtype).tiny
        if targets.ndim < outputs.ndim:
            where = at_labels(targets)
            at_label = np.maximum(outputs[where], floor)
            total = shares.sum(functional.log(at_label))
            gradient = np.zeros(outputs.shape, outputs.dtype.newbyteorder("="))
            gradient[where] = shares.of(at_label, -1.0) / at_label
            shares.without_idle(gradient)
        else:
            probabilities = np.maximum(outputs, floor)
            total = shares.sum(targets * functional.log(probabilities))
            gradient = shares.apply(targets / probabilities, -1.0)
        return -total, gradient
