"""Callbacks: what happens between batches and epochs of ``fit``."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any

from fastconv import registry

__all__ = ["Callback", "EpochLines", "History", "ProgressBar", "Run"]

Figures = dict[str, float]


@dataclass
class Run:
    """One call of ``fit``, as its callbacks see it; to set `stop` ends it after the epoch."""

    model: Any
    optimizer: Any
    epochs: int
    batches: int
    stop: bool = False


class Callback:
    """Base class of callbacks; override what is needed. Epochs and batches count from 0.

    Callbacks run under the caller's own floating-point error state of NumPy.

    Examples
    --------
    >>> class Halve(Callback):
    ...     def on_epoch_end(self, run, epoch, figures):
    ...         run.optimizer.learning_rate /= 2
    """

    def on_fit_begin(self, run: Run) -> None:
        """Before the first epoch; a callback that fails here has not begun, and is not ended."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, run: Run, batch: int, figures: Figures) -> None:
        """After a batch; `figures` are the means of the epoch so far."""

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        """After an epoch; `figures` also hold those of the validation, as ``val_…``."""

    def on_fit_end(self, run: Run) -> None:
        """After the last epoch, and when ``fit`` is left by an error or Ctrl-C.

        All callbacks that began are ended, even if one of them fails.
        """


@registry.callbacks.register("history")
@dataclass
class History(Callback):
    """The figures of every epoch of one ``fit``, which returns it.

    Attributes
    ----------
    history : dict of str to list of float
        ``loss``, one entry per metric, and the same as ``val_…``: one figure per epoch.
    """

    history: dict[str, list[float]] = field(default_factory=dict)

    def on_fit_begin(self, run: Run) -> None:
        self.history = {}  # an object that served an earlier fit begins anew

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        for name, figure in figures.items():
            self.history.setdefault(name, []).append(figure)


def _line(figures: Figures) -> str:
    return "  ".join(
        f"{name} {100 * figure:5.1f} %" if name.endswith("accuracy") else f"{name} {figure:.4f}"
        for name, figure in figures.items()
    )


def _title(run: Run, epoch: int) -> str:
    return f"epoch {epoch + 1:>{len(str(run.epochs))}}/{run.epochs}"


@registry.callbacks.register("epoch_lines")
class EpochLines(Callback):
    """One line per epoch: its figures and its seconds (``verbose=2``)."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        seconds = time.perf_counter() - self._begun
        print(f"{_title(run, epoch)}  {_line(figures)}  ({seconds:.1f} s)", flush=True)


@registry.callbacks.register("progress_bar")
class ProgressBar(EpochLines):
    """A bar that fills while an epoch runs and gives way to its line (``verbose=1``).

    Where the output is no terminal there is no bar, only the line.
    """

    _bar: Any = None

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        super().on_epoch_begin(run, epoch)
        if sys.stdout is not None and sys.stdout.isatty():  # None where it is closed
            import shutil

            from tqdm import tqdm  # type: ignore[import-untyped]

            # The size is asked for here, since tqdm takes an unknown size for a size of zero.
            columns, lines = shutil.get_terminal_size()
            self._bar = tqdm(
                total=run.batches,
                desc=_title(run, epoch),
                bar_format="{desc} {bar:24} {percentage:3.0f} %{postfix}",
                file=sys.stdout,
                leave=False,
                ncols=columns - 1,
                nrows=lines,
            )

    def on_batch_end(self, run: Run, batch: int, figures: Figures) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_line(figures), refresh=False)
            self._bar.update()

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        self._close()
        super().on_epoch_end(run, epoch, figures)

    def on_fit_end(self, run: Run) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
