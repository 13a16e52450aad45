"""Losses of numbers: by the distance of each output from its target."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_real, as_sizes, check_rounding
from fastconv.training.labels import check_values
from fastconv.training.losses.blockwise import BlockwiseLoss
from fastconv.training.weighting import Shares

__all__ = ["Huber", "MeanAbsoluteErrorLoss", "MeanSquaredError"]

Array = np.ndarray[Any, Any]


class ValueLoss(BlockwiseLoss):
    """A loss of the distances between outputs and targets, averaged over every element."""

    def check_targets(self, shape: tuple[int, ...], targets: Array) -> None:
        """Raise if `targets` do not fit outputs of `shape`; see `Loss`."""
        check_values(self.name, as_sizes(self.name, "shape", shape, 0), targets)

    def _checked(self, outputs: Array, targets: Any) -> Array:
        return check_values(self.name, outputs.shape, targets)

    def _block(self, outputs: Array, targets: Array, shares: Shares) -> tuple[float, Array]:
        return self._of(outputs - targets, shares)

    @abstractmethod
    def _of(self, distance: Array, shares: Shares) -> tuple[float, Array]:
        """Return the sum of losses and the gradient; it may be written over `distance`."""


@registry.losses.register("mean_squared_error")
class MeanSquaredError(ValueLoss):
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
    bytes_per_number = 22, 26

    def _of(self, distance: Array, shares: Shares) -> tuple[float, Array]:
        total = shares.sum(np.square(distance, dtype=np.float64))
        return total, shares.apply(distance, 2.0)


@registry.losses.register("mean_absolute_error")
class MeanAbsoluteErrorLoss(ValueLoss):
    """Mean of ``|y - t|`` over every element.

    Notes
    -----
    Far-off targets weigh less than with ``mean_squared_error``: the best single answer to many
    targets is their median, and not their mean. The gradient is the sign of ``y - t`` over the
    number of elements, and 0 where both are equal.

    Examples
    --------
    >>> import numpy as np
    >>> MeanAbsoluteErrorLoss()(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    1.0
    """

    name = "mean_absolute_error"
    bytes_per_number = 18, 26

    def _of(self, distance: Array, shares: Shares) -> tuple[float, Array]:
        total = shares.sum(np.abs(distance))
        return total, shares.apply(np.sign(distance, out=distance))


@registry.losses.register("huber")
class Huber(ValueLoss):
    """Mean of half the squared distance, and from `delta` on of a straight line.

    For ``d = |y - t|`` it is ``d**2 / 2`` up to `delta`, and ``delta * (d - delta / 2)`` beyond.

    Parameters
    ----------
    delta : float
        The distance up to which the loss is a square, above 0.

    Notes
    -----
    It is as smooth as the squared error near the target, and far from it has a gradient that
    grows no more, as that of the absolute error (Huber 1964, doi:10.1214/aoms/1177703732).

    Examples
    --------
    >>> import numpy as np
    >>> Huber()(np.array([[0.5, 3.0]]), np.array([[0.0, 0.0]]))  # (0.125 + 2.5) / 2
    1.3125
    """

    name = "huber"
    bytes_per_number = 30, 34

    def __init__(self, delta: float = 1.0) -> None:
        rule = "positive and finite"
        self.delta = as_real(self.name, "delta", delta, rule, math.ulp(0.0), math.inf)
        check_rounding(self.name, "delta", self.delta, np.float32)

    def _of(self, distance: Array, shares: Shares) -> tuple[float, Array]:
        slope = np.clip(distance, -self.delta, self.delta)
        distance -= 0.5 * slope
        total = shares.sum(np.multiply(slope, distance, dtype=np.float64))
        return total, shares.apply(slope)

    def __repr__(self) -> str:
        return f"Huber(delta={self.delta})"
