"""What all pictures need of matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

from typing import Any

from fastconv.errors import MissingExtraError

__all__ = ["new_figure"]


def new_figure(operation: str, size: tuple[float, float]) -> Any:
    """Return an empty matplotlib figure of `size` inches, without any window system.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            f'{operation}: matplotlib is needed, got none; pip install "fastconv[plot]"'
        ) from error
    return Figure(figsize=size, layout="constrained")
