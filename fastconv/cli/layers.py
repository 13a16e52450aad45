"""List the layers that can be used by name.

Names are matched without regard to case; * stands for anything, and without one the names
that contain the word are listed. Layers of installed plugins are in the list, without being
imported.

examples:
  fastconv layers               all of them
  fastconv layers pool          pooling
  fastconv layers 'conv*'       those that begin with conv

`fastconv describe NAME` tells what one of them takes.
"""

from __future__ import annotations

import argparse

from fastconv.cli.networks import add_imports
from fastconv.errors import ArgumentError
from fastconv.layers import list_layers
from fastconv.registry.spellings import either, name_offers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATTERN."""
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="default: *")
    add_imports(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the names, one to a line."""
    pattern: str = arguments.pattern
    anywhere = not any(sign in pattern for sign in "*?[")
    names = list_layers(f"*{pattern}*" if anywhere else pattern)
    if not names:
        remedy = "`fastconv layers` lists all of them"
        if offers := name_offers("layer", pattern, list_layers()):
            remedy = f"did you mean {either(offers)}?"
        raise ArgumentError("layers", "pattern", "must match a layer", pattern, remedy)
    print("\n".join(names))
