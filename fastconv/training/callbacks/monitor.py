"""Watches one figure of a ``fit``: whether it is the best one so far."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from fastconv import registry
from fastconv.arguments import as_choice, as_real, as_text
from fastconv.errors import ArgumentError, did_you_mean
from fastconv.registry.spellings import name_offers
from fastconv.training.callbacks.callback import Figures, Run
from fastconv.training.callbacks.states import taken

__all__ = ["Monitor"]

_LESS = ("loss", "error")
_MORE = ("accuracy", "precision", "recall", "f1", "auc", "top_k")


class Monitor:
    """A figure by its name, its best value so far, and how long ago that was.

    A figure is better than the best one if it is so by more than `min_delta`. One that is
    infinite or NaN never is.

    Parameters
    ----------
    operation : str
        The name of the callback, with which errors begin.
    monitor : str
        The name of the figure.
    min_delta : float
    mode : {None, "min", "max"}
        Whether less or more is better. None goes by the end of the name.

    Attributes
    ----------
    best : float or None
        None as long as no figure was finite.
    since : int
        How many figures came after the best one.
    """

    def __init__(
        self, operation: str, monitor: Any, min_delta: Any = 0.0, mode: str | None = None
    ) -> None:
        self.operation = operation
        self.name = as_text(operation, "monitor", monitor)
        rule = "at least 0 and finite"
        self.min_delta = as_real(operation, "min_delta", min_delta, rule, 0.0, float("inf"))
        as_choice(operation, "mode", mode, ("min", "max", None))
        self._more = _more_is_better(operation, self.name) if mode is None else mode == "max"
        self.best: float | None = None
        self.since = 0

    def begin(self, run: Run) -> None:
        """Forget what was seen; raise if `run` will never have the figure."""
        self.best, self.since = None, 0
        if self.name.startswith("val_") and not run.validates:
            raise ArgumentError(
                self.operation,
                "monitor",
                "must not be a figure of validation where there is none",
                self.name,
                f"give fit validation_data, or monitor {self.name[4:]!r}",
            )
        if run.figures is not None:
            self._check(run.figures)

    def improved(self, figures: Figures) -> bool:
        """Return whether the figure is the best one so far, and remember it if it is.

        Raises
        ------
        ArgumentError
            If there is no such figure; it lists those that there are.
        """
        self._check(figures)
        figure = float(figures[self.name])
        if self._is_better(figure):
            self.best, self.since = figure, 0
            return True
        self.since += 1
        return False

    def _check(self, figures: Collection[str]) -> None:
        """Raise ArgumentError unless there is such a figure."""
        if self.name not in figures:
            meant = _meant(self.name)
            remedy = did_you_mean(meant if meant in figures else self.name, figures)
            rule = f"must be a figure of this run ({', '.join(map(repr, figures))})"
            raise ArgumentError(self.operation, "monitor", rule, self.name, remedy)

    def _is_better(self, figure: float) -> bool:
        if not abs(figure) < float("inf"):
            return False
        if self.best is None:
            return True
        gain = figure - self.best if self._more else self.best - figure
        return gain > self.min_delta

    def state(self) -> dict[str, Any]:
        """Return ``best`` and ``since``."""
        return {"best": self.best, "since": self.since}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        number = (float, int, type(None))
        found = taken(self.operation, state, {"best": number, "since": (int,)})
        self.best, self.since = found["best"], found["since"]


def _more_is_better(operation: str, name: str) -> bool:
    """Return the direction of a figure by the end of its name, without the number of an equal."""
    stem = re.sub(r"_[0-9]+$", "", name)
    for ends, more in ((_LESS, False), (_MORE, True)):
        if any(stem == end or stem.endswith(f"_{end}") for end in ends):
            return more
    rule = f"must be 'min' or 'max' for a figure called {name!r}, which does not say what is better"
    meant = _meant(name)
    remedy = f"did you mean monitor={meant!r}?" if meant else ""
    raise ArgumentError(operation, "mode", rule, None, remedy)


def _meant(name: str) -> str:
    """Return the figure that another library calls `name`, ``val_accuracy`` for ``val_acc``."""
    for stem in (name.removeprefix("val_"), name.rpartition("_")[2]):
        if offers := name_offers("metric", stem, registry.metrics.names()):
            return name.removesuffix(stem) + offers[0]
    return ""
