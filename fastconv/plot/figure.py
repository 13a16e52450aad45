"""Where pictures and pages are written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv.arguments import as_path, check_regular
from fastconv.errors import ArgumentError

__all__ = ["check_path"]


def check_path(operation: str, name: str, path: Any, suffix: str = ".png") -> Path:
    """Return `path`; it must end in `suffix`, by default as that of a PNG.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If it does not; the error names `operation` and the argument `name`.
    """
    found = as_path(operation, name, path)
    if not str(found).lower().endswith(suffix):
        rule, remedy = f"must end in {suffix}", f"such as {found.stem[:40]}{suffix}"
        raise ArgumentError(operation, name, rule, os.fspath(path), remedy)
    if found.exists():
        check_regular(operation, name, str(found), "must be of a file, or free")
    return found
