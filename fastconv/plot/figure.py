"""Where pictures are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv.arguments import as_path, check_regular
from fastconv.errors import ArgumentError

__all__ = ["check_path"]


def check_path(operation: str, name: str, path: Any) -> Path:
    """Return `path`; it must end as that of a PNG, the only kind of picture that is written.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If it does not; the error names `operation` and the argument `name`.
    """
    found = as_path(operation, name, path)
    if not str(found).lower().endswith(".png"):
        remedy = f"such as {found.stem[:40]}.png"
        raise ArgumentError(operation, name, "must end in .png", os.fspath(path), remedy)
    if found.exists():
        check_regular(operation, name, str(found), "must be of a file, or free")
    return found
