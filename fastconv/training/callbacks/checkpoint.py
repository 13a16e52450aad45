"""Saves the network and its training from time to time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastconv import registry
from fastconv.arguments import as_choice, as_int, as_path, check_place, check_suffix
from fastconv.errors import ArgumentError
from fastconv.training.callbacks.callback import Callback, Figures, Run
from fastconv.training.callbacks.monitor import Monitor
from fastconv.training.callbacks.states import taken

__all__ = ["ModelCheckpoint"]


@registry.callbacks.register("checkpoint")
class ModelCheckpoint(Callback):
    """Writes ``net.save(path, training=True)``, from which ``fit(resume=path)`` goes on.

    It is called after all other callbacks, so that the file holds what they did with an epoch.

    Parameters
    ----------
    path : str or path
    every : "epoch" or int
        Whether to save at the end of every epoch, or after so many batches, which are counted
        from one epoch to the next.
    monitor : str, optional
        Save only if this figure is the best so far; at the ends of epochs alone.
    keep : int
        How many files there are, the newest included; see ``save``.
    mode : {None, "min", "max"}
        As of `EarlyStopping`.
    """

    runs_last = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: str | int = "epoch",
        monitor: str | None = None,
        keep: int = 2,
        mode: str | None = None,
    ) -> None:
        self.path = str(as_path("checkpoint", "path", path))
        check_suffix("checkpoint", "path", self.path)
        if isinstance(every, str):
            if every != "epoch":
                rule, remedy = "must be 'epoch' or a number of batches", "such as 100"
                raise ArgumentError("checkpoint", "every", rule, every, remedy)
            self.every: str | int = every
        else:
            self.every = as_int("checkpoint", "every", every, 1)
            if monitor is not None:
                rule = "must be 'epoch' where a figure is monitored"
                raise ArgumentError("checkpoint", "every", rule, every)
        if as_choice("checkpoint", "mode", mode, ("min", "max", None)) and monitor is None:
            rule, remedy = "must be None where no figure is monitored", "give monitor too"
            raise ArgumentError("checkpoint", "mode", rule, mode, remedy)
        self._watched = None if monitor is None else Monitor("checkpoint", monitor, mode=mode)
        self.monitor, self.mode = monitor, mode
        self.keep = as_int("checkpoint", "keep", keep, 1)
        self._batches = 0

    def on_fit_begin(self, run: Run) -> None:
        if run.writes:
            check_place("checkpoint", "path", self.path)
        self._batches = 0
        if self._watched is not None:
            self._watched.begin(run)

    def on_batch_end(self, run: Run, batch: int, figures: Figures) -> None:
        self._batches += 1
        if isinstance(self.every, int) and self._batches % self.every == 0:
            self._save(run)

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        if self.every == "epoch":
            if self._watched is None or self._watched.improved(figures):
                self._save(run)

    def _save(self, run: Run) -> None:
        if run.writes:
            run.model.save(self.path, training=True, keep=self.keep)

    def state(self) -> dict[str, Any]:
        """Return the number of batches, and the best figure."""
        watched = {} if self._watched is None else self._watched.state()
        return {"batches": self._batches, **watched}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._batches = taken("checkpoint", state, {"batches": (int,)})["batches"]
        if self._watched is not None:
            self._watched.restore(state)
