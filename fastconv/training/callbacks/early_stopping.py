"""Ends training once a figure no longer gets better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_bool, as_int
from fastconv.errors import ArgumentError
from fastconv.training.callbacks.callback import Callback, Figures, Run
from fastconv.training.callbacks.monitor import Monitor
from fastconv.training.callbacks.states import taken

__all__ = ["EarlyStopping"]

_WEIGHT = "weights/"


@registry.callbacks.register("early_stopping")
class EarlyStopping(Callback):
    """Ends ``fit`` when a figure has not become better for some epochs.

    With `restore_best` the network has the weights of its best epoch afterwards, statistics of
    BatchNorm included, bit for bit, however ``fit`` ends: also after the last epoch, an error or
    Ctrl-C in the middle of one. The optimizer keeps its state. Before the first epoch has ended
    there is no best one, and the weights stay as they are. A copy of the weights is held.

    Parameters
    ----------
    patience : int
        After how many epochs without a better figure training ends.
    monitor : str
        The name of the figure.
    min_delta : float
        By how much more than this a better figure must differ from the best one.
    restore_best : bool
    mode : {None, "min", "max"}
        Whether less or more is better; None knows losses, errors, and the metrics that count what
        is right. A figure of one's own needs it.

    Attributes
    ----------
    best, best_epoch : float, int or None
        The best figure, and the epoch that has it, counted from 0.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv
    >>> net = fastconv.Sequential([("Dense", {"units": 2})], input_shape=(1,), seed=0)
    >>> net.compile("sgd", "softmax_cross_entropy")
    >>> stopping = EarlyStopping(patience=2, monitor="loss", min_delta=10.0)
    >>> x, y = np.zeros((4, 1), "float32"), np.array([0, 1, 0, 1])
    >>> len(net.fit(x, y, epochs=9, verbose=0, callbacks=stopping).history["loss"])
    3
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        self.patience = as_int("early_stopping", "patience", patience, 0)
        self._watched = Monitor("early_stopping", monitor, min_delta, mode)
        self.monitor, self.min_delta, self.mode = monitor, self._watched.min_delta, mode
        self.restore_best = as_bool("early_stopping", "restore_best", restore_best)
        self.best_epoch: int | None = None
        self._weights: dict[str, np.ndarray] = {}
        self._run: Run | None = None

    @property
    def best(self) -> float | None:
        """The best figure, or None if no epoch had a finite one."""
        return self._watched.best

    def on_fit_begin(self, run: Run) -> None:
        self._watched.begin(run)
        self.best_epoch, self._weights, self._run = None, {}, run

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        # a run that goes on from what an ended one left: the network has the best weights itself
        if self.restore_best and self.best_epoch is not None and not self._weights:
            self._weights = run.model.weights()

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        if self._watched.improved(figures):
            self.best_epoch = epoch
            if self.restore_best:
                self._weights = run.model.weights()
        elif self._watched.since >= self.patience:
            run.stop = True

    def on_fit_end(self, run: Run) -> None:
        weights, self._weights, self._run = self._weights, {}, None
        if weights:
            run.model.set_weights(weights)

    def state(self) -> dict[str, Any]:
        """Return the best epoch, its figure and its weights."""
        weights = {_WEIGHT + key: array.copy() for key, array in self._weights.items()}
        return {**self._watched.state(), "best_epoch": self.best_epoch, **weights}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; a run that had been ended does not go on."""
        found = taken("early_stopping", state, {"best_epoch": (int, type(None))})
        self._watched.restore(state)
        self.best_epoch = found["best_epoch"]
        self._weights = {
            key[len(_WEIGHT) :]: np.array(array)
            for key, array in state.items()
            if key.startswith(_WEIGHT)
        }
        if self._weights and self._run is not None:
            there = self._run.model.weights()
            if _shapes(there) != _shapes(self._weights):
                rule = "must hold the weights of this network"
                raise ArgumentError("early_stopping", "state", rule, shown="others")
        if self._run is not None and self._watched.since >= max(1, self.patience):
            self._run.stop = True


def _shapes(weights: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {key: array.shape for key, array in weights.items()}
