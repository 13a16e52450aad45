"""List the networks that can be used by name.

Names are matched without regard to case; * stands for anything, and without one the names
that contain the word are listed. Networks of installed plugins are in the list, without being
imported.

examples:
  fastconv models               all of them
  fastconv models net50         ResNet50
  fastconv summary ResNet50     a name stands where other commands take a file

`fastconv describe NAME` tells what one of them takes.
"""

from __future__ import annotations

import argparse

from fastconv.cli.listing import add_pattern, print_names
from fastconv.models import list_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATTERN."""
    add_pattern(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the names, one to a line."""
    print_names("model", arguments.pattern, list_models)
