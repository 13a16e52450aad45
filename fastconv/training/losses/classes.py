"""What losses over classes that exclude each other share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_sizes
from fastconv.training.labels import are_labels, check_classes, plain
from fastconv.training.losses.blockwise import BlockwiseLoss

__all__ = ["ClassLoss"]

Array = np.ndarray[Any, Any]


class ClassLoss(BlockwiseLoss):
    """A loss of outputs over classes that exclude each other, on axis 1.

    Targets are labels (N, ...), or shares of classes of the shape (N, K, ...) of the outputs.
    """

    def check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of `shape` are of several classes; see `Loss`."""
        check_classes(self.name, shape)

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        are_labels(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    def _checked(self, outputs: Array, targets: Any) -> Array:
        are_labels(self.name, outputs.shape, targets)
        return plain(self.name, targets)

    def _cast(self, targets: Array, outputs: Array) -> Array:
        labels = targets.ndim < outputs.ndim
        return targets.astype(np.intp if labels else outputs.dtype, copy=False)

    def _figures(self, outputs: Array) -> int:
        """Return how many figures the mean is of: one for each answer, of K numbers."""
        return outputs.size // max(1, outputs.shape[1])
