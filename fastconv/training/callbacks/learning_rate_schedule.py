"""Gives the optimizer a schedule when ``fit`` begins."""

from __future__ import annotations

from typing import Any

from fastconv import registry
from fastconv.errors import ArgumentTypeError
from fastconv.training.callbacks.callback import Callback, Run
from fastconv.training.learning_rate import as_schedule

__all__ = ["LearningRateSchedule"]


@registry.callbacks.register("learning_rate_schedule")
class LearningRateSchedule(Callback):
    """Lets the learning rate follow a schedule from this ``fit`` on.

    It is the same as to give the optimizer the schedule as its `learning_rate`: a schedule
    without a rate of its own takes shares of the optimizer's, and counts the steps since
    ``compile``. It stays when ``fit`` ends, so that a second one goes on.

    Parameters
    ----------
    schedule : Schedule, name or (name, dict)
        ``constant``, ``step``, ``exponential`` or ``cosine`` with its settings.

    Examples
    --------
    >>> LearningRateSchedule(("step", {"steps": 100, "factor": 0.5})).schedule(250)
    0.25
    """

    def __init__(self, schedule: Any) -> None:
        found = as_schedule("learning_rate_schedule", "schedule", schedule)
        if found is None:
            rule, remedy = "must be a schedule", 'such as ("cosine", {"steps": 1000})'
            raise ArgumentTypeError("learning_rate_schedule", "schedule", rule, schedule, remedy)
        self.schedule = found

    def on_fit_begin(self, run: Run) -> None:
        run.optimizer.learning_rate = self.schedule
