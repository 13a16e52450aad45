"""The callbacks of one ``fit``: made from what was given, and begun and ended together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from fastconv import registry
from fastconv.arguments import as_int, as_list, check_function
from fastconv.errors import ArgumentTypeError, shorten
from fastconv.training.callbacks import Callback, EpochLines, Figures, ProgressBar, Run
from fastconv.training.choosing import is_pair
from fastconv.training.compiled import Compiled

__all__ = ["Chain", "as_callbacks", "figures_of", "printer"]


class Chain:
    """A context in which callbacks are called one after the other.

    All callbacks that began are ended, and no others. The first error is raised, and later ones
    become notes on it. An error never hides an interrupt, such as Ctrl-C.
    """

    def __init__(self, callbacks: Iterable[Callback], run: Run) -> None:
        #: In the order in which they are called: those that look at the others come last.
        self.callbacks = sorted(callbacks, key=lambda callback: callback.runs_last)
        self._run = run
        self._begun: list[Callback] = []
        #: Those that have yet to be told of what happened last.
        self.waiting: list[Callback] = []

    def __enter__(self) -> Chain:
        try:
            for callback in self.callbacks:
                callback.on_fit_begin(self._run)
                self._begun.append(callback)
        except BaseException as error:
            first = self._ended(error)
            if first is None or first is error:
                raise
            raise first from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        first = self._ended(error)
        if first is not None and first is not error:
            raise first

    def epoch_begin(self, epoch: int) -> None:
        """Tell all that an epoch begins."""
        for callback in self.callbacks:
            callback.on_epoch_begin(self._run, epoch)

    def batch_end(self, batch: int, figures: Figures) -> None:
        """Tell all that a batch is done."""
        self.waiting = list(self.callbacks)
        while self.waiting:
            self.waiting[0].on_batch_end(self._run, batch, figures)
            del self.waiting[0]

    def epoch_end(self, epoch: int, figures: Figures) -> None:
        """Tell all that an epoch is done."""
        self.waiting = list(self.callbacks)
        while self.waiting:
            self.waiting[0].on_epoch_end(self._run, epoch, figures)
            del self.waiting[0]

    def _ended(self, first: BaseException | None) -> BaseException | None:
        """End what began; return the error to raise: `first`, or the first of the callbacks'."""
        while self._begun:
            callback = self._begun.pop(0)
            try:
                callback.on_fit_end(self._run)
            except BaseException as error:  # the others are still to be ended
                first = _graver(first, error, f"{type(callback).__name__}.on_fit_end")
        return first


def _graver(first: BaseException | None, second: BaseException, place: str) -> BaseException:
    """Return the error that counts, with a note of the other one."""
    if first is None or first is second:
        return second
    if isinstance(first, Exception) and not isinstance(second, Exception):
        second.add_note(f"fit had failed before: {_said(first)}")
        return second
    first.add_note(f"{place} failed too: {_said(second)}")
    return first


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # an error of somebody else's class, which cannot say what it is
        return type(error).__name__


class _AtEpochEnd(Callback):
    """Calls a function of (run, epoch, figures) after every epoch."""

    def __init__(self, function: Callable[[Run, int, Figures], object]) -> None:
        self._function = function

    def on_epoch_end(self, run: Run, epoch: int, figures: Figures) -> None:
        self._function(run, epoch, figures)


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Return the callbacks that `fit` was given.

    Parameters
    ----------
    callbacks : iterable, or one
        Each is a Callback, a name, a (name, dict) or a function of (run, epoch, figures). None
        means no callbacks.

    Raises
    ------
    ArgumentTypeError
        If something is none of these.
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, (str, Callback)) or is_pair(callbacks) or callable(callbacks):
        callbacks = (callbacks,)
    rule = "must be a list of names, (name, {...}), instances or functions"
    return [_as_callback(spec) for spec in as_list("fit", "callbacks", callbacks, rule)]


def _as_callback(spec: Any) -> Callback:
    found = registry.resolve(registry.callbacks, spec, "fit")
    if isinstance(found, Callback):
        return found
    methods = [name for name in vars(Callback) if name.startswith("on_")]
    if not callable(found) or any(hasattr(found, name) for name in methods):
        remedy = "derive its class from fastconv.training.Callback"
        rule = "must be a Callback, its name, or a function of (run, epoch, figures)"
        raise ArgumentTypeError("fit", "callback", rule, type(found), remedy, shown=shorten(found))
    figures = ("run", "epoch", "figures")
    check_function("fit", "callback", found, figures, "must take (run, epoch, figures)")
    return _AtEpochEnd(found)


def figures_of(compiled: Compiled, validates: bool, callbacks: Iterable[Callback]) -> Any:
    """Return the names of all figures of a ``fit``, or None if a callback may add some."""
    ours = f"{Callback.__module__.rpartition('.')[0]}."
    if not all(type(callback).__module__.startswith(ours) for callback in callbacks):
        return None
    prefixes = ("", "val_") if validates else ("",)
    return tuple(prefix + name for prefix in prefixes for name in compiled.figure_names)


def printer(verbose: Any) -> Sequence[Callback]:
    """Return the callbacks that print the figures, for a ``verbose`` of 0, 1 or 2."""
    whole = int(verbose) if isinstance(verbose, bool) else verbose
    level = as_int("fit", "verbose", whole, 0, 2)
    kinds: list[list[Callback]] = [[], [ProgressBar()], [EpochLines()]]
    return kinds[level]
