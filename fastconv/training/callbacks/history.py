"""The figures of a ``fit``, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_mapping, as_plain_array
from fastconv.training.callbacks.callback import Callback, Figures, Run

__all__ = ["History"]

_FIGURE, _RATE = "history/", "learning_rate"


@registry.callbacks.register("history")
@dataclass
class History(Callback):
    """The figures of every epoch of one ``fit``, which returns it.

    Attributes
    ----------
    history : dict of str to list of float
        ``loss``, one entry per metric, and the same as ``val_…``: one figure per epoch.
    learning_rate : list of float
        The learning rate of the last step of every epoch.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)

    def on_fit_begin(self, run: Run) -> None:
        # an object that served an earlier fit begins anew
        self.history, self.learning_rate = {}, []

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        for name, figure in figures.items():
            self.history.setdefault(name, []).append(figure)
        self.learning_rate.append(run.optimizer.last_learning_rate)

    def state(self) -> dict[str, Any]:
        """Return the figures so far, as arrays: JSON has no infinity and no NaN."""
        figures = {_FIGURE + name: np.array(column) for name, column in self.history.items()}
        return {_RATE: np.array(self.learning_rate), **figures}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on after the epochs of `state`."""
        columns = {
            name: as_plain_array("history", f"state[{name!r}]", column, (np.floating,)).tolist()
            for name, column in as_mapping("history", "state", state, "names to arrays").items()
        }
        self.learning_rate = columns.pop(_RATE, [])
        self.history = {name.removeprefix(_FIGURE): column for name, column in columns.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"learning_rate": [], **state})  # older pickles have no rates
