"""The figures of a training as curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.errors import ArgumentTypeError
from fastconv.floating import quietly
from fastconv.training import History

__all__ = ["history"]


@quietly
def history(history: History, figures: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Draw the figures of a training over its epochs, such as loss and accuracy.

    Parameters
    ----------
    history : History
        What `fit` returned; ``history.plot()`` is the same.
    figures, ax
        As of `fastconv.training.History.plot`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentTypeError
        If `history` is none.
    ArgumentError
        If it has no such figure, or none at all yet.
    MissingExtraError
        If matplotlib is not installed: ``pip install "fastconv[plot]"``.

    Examples
    --------
    >>> from fastconv.training import History
    >>> figure = history(History({"loss": [1.0, 0.5], "accuracy": [0.7, 0.9]}, [0.1, 0.1]))
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy']
    """
    if not isinstance(history, History):
        rule, remedy = "must be what fit returned", "history = net.fit(x, y)"
        raise ArgumentTypeError("history", "history", rule, type(history).__name__, remedy)
    return history.plot(figures, ax=ax)
