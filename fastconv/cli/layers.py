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

from fastconv.cli.listing import add_pattern, print_names
from fastconv.layers import list_layers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATTERN."""
    add_pattern(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the names, one to a line."""
    print_names("layer", arguments.pattern, list_layers)
