"""What is printed of a ``fit``: a line per epoch, and a bar while it runs."""

from __future__ import annotations

import sys
import time
from typing import Any

from fastconv import registry
from fastconv.training.callbacks.callback import Callback, Figures, Run

__all__ = ["EpochLines", "ProgressBar"]


#: What a bar shows, and what is shown where nobody knows how many batches there are.
_BAR = "{desc} {bar:24} {percentage:3.0f} %{postfix}"
_COUNT = "{desc} batch {n_fmt}{postfix}"


def _line(figures: Figures) -> str:
    return "  ".join(
        f"{name} {100 * figure:5.1f} %" if name.endswith("accuracy") else f"{name} {figure:.4f}"
        for name, figure in figures.items()
    )


def _title(run: Run, epoch: int) -> str:
    return f"epoch {epoch + 1:>{len(str(run.epochs))}}/{run.epochs}"


@registry.callbacks.register("epoch_lines")
class EpochLines(Callback):
    """One line per epoch: its figures and its seconds (``verbose=2``).

    The learning rate stands there too if there is a schedule, or if it is no longer what it was.
    """

    _rate: float | None = None

    def on_fit_begin(self, run: Run) -> None:
        self._rate = run.optimizer.learning_rate

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        seconds = time.perf_counter() - self._begun
        line, rate = _line(figures), run.optimizer.last_learning_rate
        if run.optimizer.schedule is not None or rate != self._rate:
            line += f"  learning_rate {rate:.3g}"
        if run.writes:
            print(f"{_title(run, epoch)}  {line}  ({seconds:.1f} s)", flush=True)


@registry.callbacks.register("progress_bar")
class ProgressBar(EpochLines):
    """A bar that fills while an epoch runs and gives way to its line (``verbose=1``).

    Where the output is no terminal there is no bar, only the line.
    """

    _bar: Any = None

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        super().on_epoch_begin(run, epoch)
        terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it is closed
        if terminal and run.writes:
            import shutil

            from tqdm import tqdm  # type: ignore[import-untyped]

            # The size is asked for here, since tqdm takes an unknown size for a size of zero.
            columns, lines = shutil.get_terminal_size()
            self._bar = tqdm(
                total=run.batches,
                desc=_title(run, epoch),
                bar_format=_BAR if run.batches else _COUNT,
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
