"""Lowers the learning rate when a figure no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastconv import registry
from fastconv.arguments import as_int, as_real
from fastconv.errors import ArgumentError
from fastconv.training.callbacks.callback import Callback, Figures, Run
from fastconv.training.callbacks.monitor import Monitor

__all__ = ["ReduceOnPlateau"]


@registry.callbacks.register("reduce_on_plateau")
class ReduceOnPlateau(Callback):
    """Multiplies the learning rate by `factor` after some epochs without a better figure.

    Then it waits as long again. The rate must be a number: a schedule says itself how it falls.

    Parameters
    ----------
    factor : float
        Above 0 and below 1.
    patience : int
        After how many epochs without a better figure the rate falls.
    monitor, min_delta, mode
        As of `EarlyStopping`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> net = fastconv.Sequential([("Dense", {"units": 2})], input_shape=(1,), seed=0)
    >>> net.compile(("sgd", {"learning_rate": 0.8}), "softmax_cross_entropy")
    >>> reducing = ReduceOnPlateau(0.5, patience=2, monitor="loss", min_delta=10.0)
    >>> x, y = np.zeros((4, 1), "float32"), np.array([0, 1, 0, 1])
    >>> net.fit(x, y, epochs=6, verbose=0, callbacks=reducing).learning_rate
    [0.8, 0.8, 0.8, 0.4, 0.4, 0.2]
    """

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 3,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        mode: str | None = None,
    ) -> None:
        rule = "above 0 and below 1"
        self.factor = as_real("reduce_on_plateau", "factor", factor, rule, math.ulp(0.0), 1.0)
        self.patience = as_int("reduce_on_plateau", "patience", patience, 1)
        self._watched = Monitor("reduce_on_plateau", monitor, min_delta, mode)
        self.monitor, self.min_delta, self.mode = monitor, self._watched.min_delta, mode

    def on_fit_begin(self, run: Run) -> None:
        self._watched.begin(run)
        _check_number(run)

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        if not self._watched.improved(figures) and self._watched.since >= self.patience:
            _check_number(run)  # another callback may have set a schedule
            run.optimizer.learning_rate *= self.factor
            self._watched.since = 0

    def state(self) -> dict[str, Any]:
        """Return the best figure, and how long ago it was."""
        return self._watched.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; the rate itself belongs to the optimizer."""
        self._watched.restore(state)


def _check_number(run: Run) -> None:
    schedule = run.optimizer.schedule
    if schedule is not None:
        raise ArgumentError(
            "reduce_on_plateau",
            "learning_rate",
            "must be a number, which it can reduce",
            type(schedule).__name__,
            "leave this callback out, or give the optimizer a number",
            shown=f"the schedule {type(schedule).__name__}",
        )
