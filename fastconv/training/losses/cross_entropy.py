"""Cross-entropy of probabilities over exclusive classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, registry
from fastconv.floating import quietly
from fastconv.training.labels import as_outputs, at_labels, class_targets
from fastconv.training.losses.base import ClassLoss, answers_of, check_shares
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
    takes = "probabilities"

    @quietly
    def value_and_gradient(
        self, outputs: Array, targets: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean loss and its gradient; see `Loss`."""
        outputs = as_outputs(self.name, outputs)
        targets, labels = class_targets(self.name, outputs, targets)
        check_shares(self.name, outputs, 'for logits take loss="softmax_cross_entropy"')
        shares = Shares(self.name, weights, outputs, answers_of(outputs))
        floor = np.finfo(outputs.dtype).tiny
        if labels:
            where = at_labels(targets)
            at_label = np.maximum(outputs[where], floor)
            mean = shares.mean(functional.log(at_label))
            gradient = np.zeros(outputs.shape, outputs.dtype)
            gradient[where] = shares.of(at_label, -1.0) / at_label
            shares.without_idle(gradient)
        else:
            probabilities = np.maximum(outputs, floor)
            mean = shares.mean(targets * functional.log(probabilities))
            gradient = shares.apply(targets / probabilities, -1.0)
        return -mean, gradient
