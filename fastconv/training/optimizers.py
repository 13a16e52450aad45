"""Optimizers: they change the parameters in place.

An update is a dozen or so element-wise operations. They are done in one pass over parameter,
gradient and state, without a temporary array. The bits are the same for every number of threads.
Between instruction sets the last bit may differ, since some have no fused multiply-adds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_real, check_rounding
from fastconv.functional import updates
from fastconv.functional.updates import UNCHANGED, Change
from fastconv.training.learning_rate import Rate
from fastconv.training.optimizer import Optimizer

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Momentum", "Nesterov", "RMSProp"]

Array = np.ndarray[Any, Any]


def _positive(operation: str, parameter: str, value: object) -> float:
    return as_real(operation, parameter, value, "positive and finite", math.ulp(0.0), math.inf)


def _fraction(operation: str, parameter: str, value: object) -> float:
    return as_real(operation, parameter, value, "at least 0 and below 1", 0.0, 1.0)


@registry.optimizers.register("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent (Robbins and Monro 1951): ``w -= rate * g``."""

    name = "sgd"

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value)

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        updates.sgd(value, gradient, self.learning_rate, change)


@registry.optimizers.register("momentum")
class Momentum(Optimizer):
    """Descent with a velocity (Polyak 1964), in the book's form.

    Notes
    -----
    ``v = momentum * v - rate * g``; ``w += v``.
    """

    name = "momentum"
    slot_names = ("velocity",)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value)
        self.momentum = _fraction(self.name, "momentum", momentum)

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        (velocity,) = slots
        rate, decay = self.learning_rate, self.momentum
        updates.momentum(value, gradient, velocity, rate, decay, change=change)


@registry.optimizers.register("nesterov")
class Nesterov(Momentum):
    """Nesterov's accelerated gradient (1983), as Bengio et al. 2012 (arXiv:1212.0901) write it.

    Notes
    -----
    ``v = momentum * v - rate * g``; ``w += momentum * v - rate * g``. The stored parameters are
    one step of the velocity ahead, where the next gradient is taken.
    """

    name = "nesterov"

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        (velocity,) = slots
        rate, decay = self.learning_rate, self.momentum
        updates.momentum(value, gradient, velocity, rate, decay, True, change)


@registry.optimizers.register("adagrad")
class AdaGrad(Optimizer):
    """AdaGrad (Duchi, Hazan and Singer 2011): a rate that falls where gradients were large.

    Notes
    -----
    ``h += g**2``; ``w -= rate * g / (sqrt(h) + epsilon)``.
    """

    name = "adagrad"
    slot_names = ("squares",)

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value)
        self.epsilon = _positive(self.name, "epsilon", epsilon)

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        (squares,) = slots
        rate, epsilon = self.learning_rate, self.epsilon
        updates.by_squares(value, gradient, squares, rate, 1.0, 1.0, epsilon, change)


@registry.optimizers.register("rmsprop")
class RMSProp(Optimizer):
    """RMSprop (Tieleman and Hinton 2012, lecture 6.5): AdaGrad that forgets.

    Notes
    -----
    ``h = decay * h + (1 - decay) * g**2``; ``w -= rate * g / (sqrt(h) + epsilon)``.
    """

    name = "rmsprop"
    slot_names = ("squares",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        decay: float = 0.9,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value)
        self.decay = _fraction(self.name, "decay", decay)
        self.epsilon = _positive(self.name, "epsilon", epsilon)

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        (squares,) = slots
        rate, decay = self.learning_rate, self.decay
        updates.by_squares(value, gradient, squares, rate, decay, 1.0 - decay, self.epsilon, change)


@registry.optimizers.register("adam")
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    Notes
    -----
    ``m = beta1 * m + (1 - beta1) * g``; ``v = beta2 * v + (1 - beta2) * g**2``;
    ``w -= rate * mhat / (sqrt(vhat) + epsilon)`` with ``mhat = m / (1 - beta1**t)`` and
    ``vhat = v / (1 - beta2**t)``. The two divisions are moved to the scalars.
    """

    name = "adam"
    slot_names = ("m", "v")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, clip_norm, clip_value)
        self.beta1 = _fraction(self.name, "beta1", beta1)
        self.beta2 = _fraction(self.name, "beta2", beta2)
        self.epsilon = _positive(self.name, "epsilon", epsilon)

    def check(self, *dtypes: str) -> None:
        """Raise ArgumentError as the base does, also for the smaller `epsilon` of early steps."""
        super().check(*dtypes)
        for dtype in dtypes:
            least = self.epsilon * math.sqrt(1.0 - self.beta2)
            check_rounding(self.name, "epsilon * sqrt(1 - beta2)", least, dtype)

    def apply(
        self, t: int, value: Array, gradient: Array, *slots: Array, change: Change = UNCHANGED
    ) -> None:
        # rate * mhat / (sqrt(vhat) + epsilon) = rate * a * m / (sqrt(v) + epsilon * b)
        b = math.sqrt(1.0 - self.beta2**t)
        a = b / (1.0 - self.beta1**t)
        m, v = slots
        rate, epsilon = self.learning_rate * a, self.epsilon * b
        updates.adam(value, gradient, m, v, rate, (self.beta1, self.beta2), epsilon, change)


@registry.optimizers.register("adamw")
class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Notes
    -----
    ``w -= rate * weight_decay * w`` for weights of two axes or more, then the step of Adam, whose
    means never see the decay.
    """

    name = "adamw"
    decouples_decay = True

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, clip_value)
