"""Schedules: the learning rate as a function of the number of steps that were taken."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from fastconv import registry
from fastconv.arguments import as_int, as_real, is_sequence
from fastconv.errors import ArgumentError
from fastconv.training.named import Named

__all__ = ["ConstantRate", "CosineDecay", "ExponentialDecay", "Schedule", "StepDecay"]


class Schedule(Named, ABC):
    """What share of the learning rate a step takes.

    Steps are those of the optimizer since ``compile``, counted from 0. A share depends on the
    step alone, so a schedule remembers nothing, and a run that goes on finds its place. During
    the first `warm_up` steps the rate rises evenly: step t takes the share ``(t + 1) / warm_up``.
    Then `share` says it.

    Parameters
    ----------
    learning_rate : float, optional
        The rate of which a step takes a share; by default that of the optimizer.
    warm_up : int
        The number of steps until the rate is reached.

    Examples
    --------
    >>> class Inverse(Schedule):
    ...     name = "inverse"
    ...     def share(self, step):
    ...         return 1 / (1 + step)
    >>> [Inverse(warm_up=2)(step) for step in range(4)]
    [0.5, 1.0, 0.3333333333333333, 0.25]
    """

    def __init__(self, learning_rate: float | None = None, warm_up: int = 0) -> None:
        rule = "at least 0 and finite"
        self.learning_rate = (
            None
            if learning_rate is None
            else as_real(self.name, "learning_rate", learning_rate, rule, 0.0, math.inf)
        )
        self.warm_up = as_int(self.name, "warm_up", warm_up, 0)

    @abstractmethod
    def share(self, step: int) -> float:
        """Return the share, at least 0 and finite, of a step after the warm-up."""

    def __call__(self, step: int) -> float:
        """Return the share of the learning rate that the step takes before which `step` were."""
        step = as_int(self.name, "step", step, 0, 2**63 - 1)
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        share, rule = self.share(step), f"at least 0 and finite at step {step}"
        return as_real(self.name, "the share", share, rule, 0.0, math.inf)

    def __repr__(self) -> str:
        shown = (f"{key}={getattr(self, key)!r}" for key in registry.parameters_of(type(self)))
        return f"{type(self).__name__}({', '.join(shown)})"


def _factor(name: str, value: object) -> float:
    return as_real(name, "factor", value, "positive and finite", math.ulp(0.0), math.inf)


def _power(factor: float, exponent: float) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return math.inf


@registry.schedules.register("constant")
class ConstantRate(Schedule):
    """The same rate for ever, after a warm-up if there is one.

    Examples
    --------
    >>> [ConstantRate(warm_up=4)(step) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """

    name = "constant"

    def share(self, step: int) -> float:
        """Return 1; see `Schedule`."""
        return 1.0


@registry.schedules.register("step")
class StepDecay(Schedule):
    """A rate that falls at once: after every so many steps, or after some given ones.

    Notes
    -----
    ``factor ** (t // steps)``, as StepLR of PyTorch; or `factor` to the power of how many of
    `steps` are at most t, as MultiStepLR. Steps of the warm-up count.

    Parameters
    ----------
    steps : int, or increasing sequence of int
    factor : float
        What the rate is multiplied by.
    learning_rate, warm_up
        As of `Schedule`.

    Examples
    --------
    >>> [StepDecay(2, factor=0.5)(step) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    >>> [StepDecay([1, 4], factor=0.5)(step) for step in range(6)]
    [1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    """

    name = "step"

    def __init__(
        self,
        steps: int | Sequence[int],
        factor: float = 0.1,
        learning_rate: float | None = None,
        warm_up: int = 0,
    ) -> None:
        super().__init__(learning_rate, warm_up)
        self.steps: int | list[int]
        rule = "must be one number of steps, or several that increase"
        if is_sequence(steps):
            given: Any = steps
            self.steps = [as_int(self.name, "steps", each, 1, rule=rule) for each in given]
            if not self.steps or self.steps != sorted(set(self.steps)):
                raise ArgumentError(self.name, "steps", rule, steps)
        else:
            self.steps = as_int(self.name, "steps", steps, 1, rule=rule)
        self.factor = _factor(self.name, factor)

    def share(self, step: int) -> float:
        """Return `factor` to the power of how often the rate has fallen; see `Schedule`."""
        if isinstance(self.steps, list):
            return _power(self.factor, bisect_right(self.steps, step))
        return _power(self.factor, step // self.steps)


@registry.schedules.register("exponential")
class ExponentialDecay(Schedule):
    """A rate that falls by the same factor again and again.

    Notes
    -----
    ``factor ** ((t - warm_up) / steps)``; with one for `steps` as ExponentialLR of PyTorch, with
    more as ExponentialDecay of Keras. A factor above 1 makes the rate grow, which finds by trial
    the largest that a network takes.

    Parameters
    ----------
    factor : float
        What the rate is multiplied by in the course of `steps` steps.
    steps : int
    learning_rate, warm_up
        As of `Schedule`.

    Examples
    --------
    >>> [ExponentialDecay(0.25, steps=2)(step) for step in range(5)]
    [1.0, 0.5, 0.25, 0.125, 0.0625]
    """

    name = "exponential"

    def __init__(
        self, factor: float, steps: int = 1, learning_rate: float | None = None, warm_up: int = 0
    ) -> None:
        super().__init__(learning_rate, warm_up)
        self.factor = _factor(self.name, factor)
        self.steps = as_int(self.name, "steps", steps, 1)

    def share(self, step: int) -> float:
        """Return the power of `factor`; see `Schedule`."""
        return _power(self.factor, (step - self.warm_up) / self.steps)


@registry.schedules.register("cosine")
class CosineDecay(Schedule):
    """A rate that falls along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Notes
    -----
    ``final + (1 - final) * (1 + cos(pi * p)) / 2`` with ``p = (t - warm_up) / (steps - warm_up)``,
    and `final` from step `steps` on. This is CosineAnnealingLR of PyTorch for one period, whose
    ``eta_min`` is the rate times `final`.

    Parameters
    ----------
    steps : int
        The step at which the rate is lowest, counted with those of the warm-up: usually the
        number of all steps, which is batches per epoch times epochs.
    final : float
        The share that is left at the end, 0 to 1.
    learning_rate, warm_up
        As of `Schedule`.

    Examples
    --------
    >>> [round(CosineDecay(6, warm_up=2)(step), 4) for step in range(8)]
    [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    name = "cosine"

    def __init__(
        self, steps: int, final: float = 0.0, learning_rate: float | None = None, warm_up: int = 0
    ) -> None:
        super().__init__(learning_rate, warm_up)
        self.steps = as_int(self.name, "steps", steps, 1)
        one = math.nextafter(1.0, 2.0)
        self.final = as_real(self.name, "final", final, "at least 0 and at most 1", 0.0, one)
        if self.warm_up >= self.steps:
            rule = f"must be less than steps ({self.steps}), which counts all of them"
            raise ArgumentError(self.name, "warm_up", rule, warm_up)

    def share(self, step: int) -> float:
        """Return the height of the cosine; see `Schedule`."""
        if step >= self.steps:
            return self.final
        part = (step - self.warm_up) / (self.steps - self.warm_up)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * part)) / 2
