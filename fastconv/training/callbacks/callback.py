"""The base class of callbacks, and what they see of a ``fit``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fastconv.arguments import as_mapping
from fastconv.errors import ArgumentError, shorten
from fastconv.training.batch import Position
from fastconv.training.compiled import Totals
from fastconv.training.settings import Settings

__all__ = ["Callback", "Figures", "Run"]

Figures = dict[str, float]


@dataclass
class Run:
    """One call of ``fit``, as its callbacks see it; to set `stop` ends it after the epoch.

    Attributes
    ----------
    model, optimizer : object
        What is trained, and by what.
    epochs : int
    batches : int or None
        How many an epoch has; None where the data do not say.
    validates : bool
        Whether figures of validation, ``val_…``, come after every epoch.
    stop : bool
        Whether training ends after this epoch.
    settings : Settings
        How the run goes through its data.
    position : Position
        The batch that comes next: at the end of an epoch the first one of the epoch after it.
    totals : Totals
        The sums of the figures of this epoch so far.
    figures : tuple of str or None
        The names of all figures that epochs end with; None where a callback that is not
        fastconv's own may add some.
    rank, ranks : int
        Which of how many processes this is. All that train together call their callbacks alike;
        what prints or writes asks whether `writes`.
    """

    model: Any
    optimizer: Any
    epochs: int
    batches: int | None
    stop: bool = False
    validates: bool = True
    settings: Settings = field(default_factory=Settings)
    position: Position = Position()
    totals: Totals = field(default_factory=Totals)
    figures: tuple[str, ...] | None = None
    rank: int = 0
    ranks: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that prints and writes files: that of rank 0."""
        return self.rank == 0


class Callback:
    """Base class of callbacks; override what is needed. Epochs and batches count from 0.

    Callbacks run under the caller's own floating-point error state of NumPy.

    Attributes
    ----------
    runs_last : bool
        Whether the callback is called after all those that are not so, wherever it stands in the
        list: it looks at what they have done.

    Examples
    --------
    >>> class Halve(Callback):
    ...     def on_epoch_end(self, run, epoch, figures):
    ...         run.optimizer.learning_rate /= 2
    """

    runs_last: ClassVar[bool] = False

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

    def state(self) -> dict[str, Any]:
        """Return what a run that goes on from here needs: JSON values and arrays, by name.

        A callback that remembers anything from one epoch to the next overrides this and `restore`.
        Arrays stand in the dict itself, and are copies.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` of the same kind of callback returned.

        It is called after `on_fit_begin` of the run that goes on.
        """
        name = type(self).__name__
        if as_mapping(name, "state", state, "what state() names to values"):
            raise ArgumentError(
                name,
                "state",
                "must be empty, for such a callback keeps none",
                shown=f"{shorten(next(iter(state)))} in it",
                remedy="give the callbacks of the run that was saved, in their order",
            )
