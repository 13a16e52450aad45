"""Losses of answers that are yes or no, each on its own: one label, or several at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional, registry
from fastconv.arguments import as_sizes
from fastconv.training.binary import check_binary
from fastconv.training.losses.base import check_shares
from fastconv.training.losses.blockwise import BlockwiseLoss
from fastconv.training.weighting import Shares

__all__ = ["BinaryCrossEntropy", "SigmoidCrossEntropy"]

Array = np.ndarray[Any, Any]


class BinaryLoss(BlockwiseLoss):
    """A loss of numbers that are each about one label: 1, yes; 0, no; or a chance between."""

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        check_binary(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    def _checked(self, outputs: Array, targets: Any) -> Array:
        return check_binary(self.name, outputs.shape, targets)


@registry.losses.register("sigmoid_cross_entropy")
class SigmoidCrossEntropy(BinaryLoss):
    """Cross-entropy of the sigmoid of log odds, for labels that do not exclude each other.

    It is ``-t * log(sigmoid(y)) - (1 - t) * log(1 - sigmoid(y))``, averaged over every element.
    Outputs are (N, K, ...) for K labels, and so are targets of 0, 1 or a chance between; for one
    label they may also be (N, ...).

    Notes
    -----
    The figure is computed as ``|y| * s + log1p(exp(-|y|))``, where s is the part of the target
    that is on the other side of 0: ``1 - t`` for y of at least 0, else t. So no outputs overflow,
    and tiny figures keep their digits: for the output 40 and the target 1 the loss is 4.2e-18. The
    gradient is ``((1 - t) * sigmoid(y) - t * sigmoid(-y)) / elements``. The figure is summed in
    float64.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SigmoidCrossEntropy()
    >>> round(loss(np.zeros((4, 1)), np.array([0, 1, 1, 0])), 4)  # no idea: log(2)
    0.6931
    >>> loss(np.array([[1e4, -1e4]]), np.array([[1, 1]]))  # two labels; the second is wrong
    5000.0
    """

    name = "sigmoid_cross_entropy"
    bytes_per_number = 26, 50
    takes = "log odds"

    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        others = 1 - targets
        gradient, back = functional.sigmoid(outputs), functional.sigmoid(-outputs)
        gradient *= others
        back *= targets
        gradient -= back
        del back
        others = np.where(outputs >= 0, others, targets)  # the part on the other side of 0
        sizes = np.abs(outputs)
        figures = functional.log1p(functional.exp(-sizes))
        sizes *= others
        sizes[others == 0] = 0  # adds nothing, even if the output is infinite
        figures += sizes
        return shares.sum(figures), shares.apply(gradient)


@registry.losses.register("binary_cross_entropy")
class BinaryCrossEntropy(BinaryLoss):
    """Cross-entropy of chances, for labels that do not exclude each other.

    It is ``-t * log(p) - (1 - t) * log(1 - p)``, averaged over every element. Targets are as those
    of ``sigmoid_cross_entropy``.

    Notes
    -----
    This loss is for networks that end in Sigmoid. A chance of the right answer below the smallest
    normal number of its dtype counts as that number, so that the figure (at most 87.3 for an
    element in float32) and the gradient stay finite. Training is safer with
    ``sigmoid_cross_entropy``: a chance that has become 0 or 1 carries no gradient back through
    Sigmoid.

    Examples
    --------
    >>> import numpy as np
    >>> round(BinaryCrossEntropy()(np.array([[0.25]]), np.array([[1]])), 4)
    1.3863
    """

    name = "binary_cross_entropy"
    bytes_per_number = 30, 58
    takes = "chances"

    def _checked(self, outputs: Array, targets: Any) -> Array:
        found = super()._checked(outputs, targets)
        check_shares(self.name, outputs, 'for logits take loss="sigmoid_cross_entropy"')
        return found

    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        floor, others = np.finfo(outputs.dtype).tiny, 1 - targets
        chances = np.minimum(outputs, 1)
        figures = others * np.maximum(functional.log1p(-chances), functional.log(floor))
        gradient = others / np.maximum(1 - chances, floor)
        chances = np.maximum(chances, floor)
        figures += targets * functional.log(chances)
        gradient -= targets / chances
        return -shares.sum(figures), shares.apply(gradient)
