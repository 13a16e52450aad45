"""List the layers that can be used by name.

Names are matched without regard to case; * stands for anything. Layers of installed
plugins are in the list, without being imported.

examples:
  fastconv layers               all of them
  fastconv layers 'conv*'       those that begin with conv
  fastconv layers '*pool*'      pooling

`fastconv describe NAME` tells what one of them takes.
"""

from __future__ import annotations

import argparse

from fastconv.cli.networks import add_imports
from fastconv.errors import ArgumentError
from fastconv.layers import list_layers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATTERN."""
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="default: *")
    add_imports(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the names, one to a line."""
    names = list_layers(arguments.pattern)
    if not names:
        raise ArgumentError(
            f"pattern must match a layer, got {arguments.pattern!r}; "
            "`fastconv layers` lists all of them"
        )
    print("\n".join(names))
