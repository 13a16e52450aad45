"""Paths that are typed: of files to read, and of files that a command is going to write."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from fastconv.arguments import full_path
from fastconv.errors import ArgumentError, FastconvError
from fastconv.plot.figure import check_path

__all__ = ["check_drawing", "check_writable", "typed_path"]


def typed_path(text: str) -> str:
    """Return the path that was typed; shells leave the ``~`` in ``--mnist=~/x`` as it is."""
    try:
        return full_path("", "it", text)
    except FastconvError as error:
        raise argparse.ArgumentTypeError(error.said) from None


def check_writable(command: str, option: str, path: str) -> None:
    """Refuse a path for which there is no folder, or none that may be written to, before time is
    spent on the file's content."""
    folder = Path(path).resolve().parent
    name = f"the folder of {option}"
    if not folder.is_dir():
        raise ArgumentError(command, name, "must exist", str(folder), "create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArgumentError(command, name, "must be one that you may write to", str(folder))


def check_drawing(command: str, option: str, path: str, suffix: str = ".png") -> None:
    """Refuse a path for a picture or a page that ends otherwise, or that cannot be written to."""
    check_path(command, option, path, suffix)
    check_writable(command, option, path)
