"""The learning rate of an optimizer: a number, or a schedule that gives one for each step."""

from __future__ import annotations

import math
from typing import Any

from fastconv import registry
from fastconv.arguments import as_real, check_rounding
from fastconv.errors import ArgumentError, ArgumentTypeError, UnknownAttributeError
from fastconv.training.named import Named
from fastconv.training.schedules import Schedule

__all__ = ["HasLearningRate", "Rate", "as_schedule"]

#: A number, a schedule, its name, or its name with settings.
Rate = Any
_LR = "it is called learning_rate"


class HasLearningRate(Named):
    """The part of an optimizer that knows the rate of every step."""

    _learning_rate: float
    _schedule: Schedule | None = None
    _dtypes: tuple[str, ...] = ()
    _step_count = 0  # so that optimizers pickled before it was counted go on
    _last_rate: float | None = None

    @property
    def learning_rate(self) -> float:
        """The size of the next step, finite and at least 0.

        A number or a schedule may be set, also between steps. A number takes the place of a
        schedule. A schedule without a rate of its own takes shares of the number that was there.
        """
        return self.rate_at(self._step_count)

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:
        rate, schedule = self._as_rate(value)
        vars(self).update(_learning_rate=rate, _schedule=schedule)

    @property
    def schedule(self) -> Schedule | None:
        """What changes the learning rate from step to step, or None."""
        return self._schedule

    @property
    def last_learning_rate(self) -> float:
        """The size of the last step, or of the next one if there was none yet."""
        if self._last_rate is not None:
            return self._last_rate
        return self.rate_at(max(0, self._step_count - 1))

    @property
    def steps_taken(self) -> int:
        """The number of steps since ``compile``."""
        return self._step_count

    def rate_at(self, step: int) -> float:
        """Return the learning rate of the step before which `step` others were taken.

        Raises
        ------
        ArgumentError
            If the schedule gives a rate that is negative, or not finite.
        """
        if self._schedule is None:
            return self._learning_rate
        return self._checked_rate(self._learning_rate * self._schedule(step))

    def named_schedule(self) -> list[Any] | None:
        """Return ``[name, {...}]`` of the schedule; None if there is none.

        Raises
        ------
        ArgumentError
            If its class has no name, or does not keep its settings.
        """
        if self._schedule is None:
            return None
        spec = registry.spec_of(registry.schedules, self._schedule)
        if spec is None:
            rule = "must have a name, and an attribute for each setting, to be written"
            remedy = "decorate its class with @fastconv.registry.schedules.register('acme.name')"
            raise ArgumentError(self.name, "schedule", rule, type(self._schedule).__name__, remedy)
        return spec

    def _checked_rate(self, value: object) -> float:
        rule = "at least 0 and finite"
        rate = as_real(self.name, "learning_rate", value, rule, 0.0, math.inf)
        if rate > 1:  # a rate that rounds to 0 is right: schedules let it fade
            for dtype in self._dtypes:
                check_rounding(self.name, "learning_rate", rate, dtype)
        return rate

    def _as_rate(self, value: Rate) -> tuple[float, Schedule | None]:
        """Return the number and the schedule that `value` stands for."""
        schedule = as_schedule(self.name, "learning_rate", value)
        if schedule is None:
            return self._checked_rate(value), None
        rate = schedule.learning_rate
        if rate is None:
            rate = vars(self).get("_learning_rate", self._usual_rate())
        if rate is None:
            rule = "must be given where the optimizer has no usual one"
            raise ArgumentError(schedule.name, "learning_rate", rule, None)
        return self._checked_rate(rate), schedule

    def _usual_rate(self) -> float | None:
        """Return the rate that the optimizer takes if none is given."""
        setting = registry.parameters_of(type(self)).get("learning_rate")
        usual = None if setting is None else setting.default
        return usual if isinstance(usual, float) else None

    @property
    def lr(self) -> float:
        """No attribute of this name exists; the error says what the right one is."""
        raise UnknownAttributeError(self.name, "lr", "is no attribute", remedy=_LR)

    @lr.setter
    def lr(self, value: float) -> None:
        raise UnknownAttributeError(self.name, "lr", "is no attribute", remedy=_LR)


def as_schedule(operation: str, parameter: str, value: Any) -> Schedule | None:
    """Return the schedule that `value` names or is; None if it is a number.

    Raises
    ------
    ArgumentTypeError
        If it is neither.
    ConfigError
        If there is no schedule of this name, or it has no such settings.
    """
    if isinstance(value, Schedule):
        return value
    named = isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], str)
    if named or isinstance(value, str) and not _is_number(value):
        found = registry.resolve(registry.schedules, value, operation)
        if isinstance(found, Schedule):
            return found
    try:
        as_real(operation, parameter, value, "", -math.inf, math.inf)
    except ArgumentTypeError:
        rule = "must be a number, or a schedule"
        remedy = 'such as 0.01, or ("cosine", {"steps": 1000})'
        raise ArgumentTypeError(operation, parameter, rule, value, remedy) from None
    except ArgumentError:  # it is one, if not a finite one
        pass
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
