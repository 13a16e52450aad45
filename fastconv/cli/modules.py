"""The option ``--import``: modules that register layers of one's own."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from fastconv.errors import ArgumentError, describe, from_signal, in_one_line

__all__ = ["add_imports", "import_modules"]


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import MODULE``, which `main` obeys before the command runs."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of this folder, or installed, that registers layers; may be repeated",
    )


def import_modules(names: list[str]) -> None:
    """Import modules by name, also from the working folder, as ``python -m`` would.

    Raises
    ------
    ArgumentError
        If one cannot be imported, for whatever reason.
    """
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:  # a module may end in any way
            if from_signal(error):
                raise
            remedy = f"write --import {name[:-3]}" if name.endswith(".py") else ""
            raise ArgumentError(
                "",
                "--import",
                "must name a module that can be imported",
                name,
                remedy,
                shown=f"{in_one_line(name)}, {describe(error)}",
            ) from error
