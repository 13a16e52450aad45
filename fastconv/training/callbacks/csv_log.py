"""Writes the figures of every epoch to a file of comma-separated values."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_path, check_place
from fastconv.errors import ArgumentError
from fastconv.training.callbacks.callback import Callback, Figures, Run
from fastconv.training.callbacks.states import taken

__all__ = ["CSVLog"]


@registry.callbacks.register("csv_log")
class CSVLog(Callback):
    """A file with a line per epoch: its number, counted from 1, the learning rate, the figures.

    The file is written anew by each ``fit``, when its first epoch ends, and after that a line is
    added per epoch. A run that goes on from a checkpoint begins with the lines of the epochs
    before it. Numbers are written with all their digits, and read back equal.

    Parameters
    ----------
    path : str or path
        In a folder that exists.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(as_path("csv_log", "path", path))
        self._rows: list[dict[str, str]] = []
        self._columns: list[str] | None = None  # those that the file begins with
        self._writes = True

    def on_fit_begin(self, run: Run) -> None:
        self._rows, self._columns, self._writes = [], None, run.writes
        if run.writes:
            check_place("csv_log", "path", self.path)

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        rate = float(run.optimizer.last_learning_rate)
        row = {"epoch": str(epoch + 1), "learning_rate": repr(rate)}
        row.update((name, repr(float(figure))) for name, figure in figures.items())
        self._rows.append(row)
        if self._columns is not None and row.keys() <= set(self._columns):
            self._write("a", [row])
        else:
            self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
            self._write("w", [dict(zip(self._columns, self._columns, strict=True)), *self._rows])

    def _write(self, how: str, rows: list[dict[str, str]]) -> None:
        if not self._writes:
            return
        import csv

        text = io.StringIO()
        csv.DictWriter(text, self._columns or (), lineterminator="\n").writerows(rows)
        with open(self.path, how, encoding="utf-8", newline="") as file:
            file.write(text.getvalue())

    def state(self) -> dict[str, Any]:
        """Return the lines so far, as the bytes of JSON: a run may have any number of epochs."""
        return {"rows": np.frombuffer(json.dumps(self._rows).encode(), np.uint8)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on after the lines of `state`; the file is written anew at the next epoch's end."""
        found = taken("csv_log", state, {"rows": (np.ndarray,)})["rows"]
        try:
            rows = json.loads(found.tobytes())
        except (ValueError, RecursionError):
            rows = None
        if type(rows) is not list or not all(map(_is_row, rows)):
            rule = "must hold rows of texts, as JSON"
            raise ArgumentError("csv_log", "state", rule, shown="something else")
        self._rows, self._columns = rows, None


def _is_row(row: Any) -> bool:
    return type(row) is dict and all(type(text) is str for text in row.values())
