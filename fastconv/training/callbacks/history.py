"""The figures of a ``fit``, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv import notebook, registry
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

    def plot(self, figures: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
        """Return a picture of the figures over the epochs, such as loss and accuracy.

        Parameters
        ----------
        figures : str or sequence of str, optional
            Names of figures without ``val_``; by default all. Each has axes of its own, where its
            figure of validation is dashed. ``"learning_rate"`` is one too, if it is asked for.
        ax : matplotlib.axes.Axes, optional
            Where to draw, instead of a figure of its own: one figure, by default the first.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ArgumentError
            If there is no such figure, or none at all yet.
        MissingExtraError
            If matplotlib is not installed: ``pip install "fastconv[plot]"``.

        Examples
        --------
        >>> history = History({"loss": [1.0, 0.5], "val_loss": [1.2, 0.9]}, [0.1, 0.1])
        >>> [line.get_ydata().tolist() for line in history.plot().axes[0].lines]
        [[1.0, 0.5], [1.2, 0.9]]
        """
        from fastconv.training.callbacks.curves import draw_curves  # which few programs need

        columns = {**self.history, "learning_rate": self.learning_rate}
        return draw_curves("plot", columns, figures, ax)

    def _repr_html_(self) -> str:
        columns = {**self.history, "learning_rate": self.learning_rate}
        rows = [
            [name, *(f"{pick:.4g}" for pick in (column[0], min(column), max(column), column[-1]))]
            + [notebook.sparkline(column)]
            for name, column in columns.items()
            if column
        ]
        head = ["figure", "first", "least", "largest", "last", "over the epochs"]
        epochs = len(self.history.get("loss", self.learning_rate))
        title = f"History of {epochs} epoch{'s' * (epochs != 1)}"
        return notebook.page(title, notebook.table(head, rows, align="<>>>><"))

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
