"""The base class of losses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from fastconv.arguments import as_int, as_sizes
from fastconv.errors import ArgumentError
from fastconv.training.named import Named

__all__ = ["Loss", "check_shares"]

Array = np.ndarray[Any, Any]

#: What outputs may have to be: see the layers' trait ``gives``. Logits and log odds are the numbers
#: before Softmax and before Sigmoid.
Takes = Literal["logits", "probabilities", "log odds", "chances", "values"]


class Loss(Named, ABC):
    """A loss: call it for the figure, or ask for the figure and its gradient at once.

    `takes` says what the outputs must be, and ``compile`` checks that the layer behind them gives
    that. In ``fit``, NumPy's floating-point errors are ignored while a loss runs, as for layers.
    """

    takes: ClassVar[Takes] = "values"

    def __call__(self, outputs: Array, targets: Array, weights: Any = None) -> float:
        """Return the mean loss, in which each row counts as its weight, or else all equally."""
        given = () if weights is None else (weights,)
        return self.value_and_gradient(outputs, targets, *given)[0]

    def check_outputs(self, shape: tuple[int, ...]) -> None:  # noqa: B027
        """Raise if the loss cannot take outputs of `shape`, without the batch; compile calls it."""

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:  # noqa: B027
        """Raise if `targets` do not fit outputs of `shape`; it is called before training.

        A loss that does not define this raises only when it comes to the wrong batch.
        """

    @abstractmethod
    def value_and_gradient(
        self, outputs: Array, targets: Array, weights: Array | None = None
    ) -> tuple[float, Array]:
        """Return the mean loss and its gradient, of the shape and dtype of `outputs`.

        `weights` (N,) say how much each row counts: the figure is the sum of weight times loss
        over the sum of weights, and 0, with a gradient of zeros, where all weights are 0. A loss
        that does not take them serves as long as none are given.
        """

    def temporary_bytes(self, shape: tuple[int, ...], itemsize: int = 4) -> int:
        """Return the most bytes that `value_and_gradient` takes beside outputs and targets.

        The gradient is one of them. `shape` is that of the outputs, with the batch, and a number
        of them has `itemsize` bytes. Plans and limits count on it; a loss that does not define
        this is taken to have one array beside the gradient.
        """
        return 2 * self._numbers(shape) * as_int(self.name, "itemsize", itemsize, 4, 8)

    def _numbers(self, shape: tuple[int, ...]) -> int:
        return math.prod(as_sizes(self.name, "shape", shape, 0))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


#: The most that rounding can make of a probability of 1, with room to spare.
MOST = 1.001


def check_shares(operation: str, outputs: Array, remedy: str) -> None:
    """Raise ArgumentError if an output, which is to be a probability, is below 0 or above 1."""
    if not outputs.size:
        return
    for wrong, is_wrong, rule in (
        (outputs.min(), outputs.min() < 0, "must not be negative"),
        (outputs.max(), MOST < outputs.max() < np.inf, "must be at most 1"),
    ):
        if is_wrong:
            raise ArgumentError(
                operation, "probabilities", rule, float(wrong), remedy, shown=f"{wrong:.6g}"
            )
