"""What all pictures need of matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

import os
from typing import Any

from fastconv.errors import ArgumentError, ArgumentTypeError, MissingExtraError

__all__ = ["check_path", "new_figure"]


def check_path(operation: str, name: str, path: Any) -> None:
    """Refuse what is not the path of a PNG, the one kind of picture that is written.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Naming `operation` and the argument `name`.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(
            f"{operation}: {name} must be the path of a file, got {type(path).__name__}"
        )
    if not os.fspath(path).lower().endswith(".png"):
        raise ArgumentError(f"{operation}: {name} must end in .png, got {os.fspath(path)!r}")


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
