"""Describe one layer: its settings, their defaults, choices and meaning.

examples:
  fastconv describe Conv2D
  fastconv describe fastconv.Conv2D.v1     one version, as saved files name it
  fastconv describe acme.Swish --import my_layers

A misspelt name, or the name of another library, is answered with the nearest right one.
"""

from __future__ import annotations

import argparse

from fastconv.cli.networks import add_imports
from fastconv.layers import describe_layer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add NAME."""
    parser.add_argument("name", metavar="NAME", help="a name that `fastconv layers` lists")
    add_imports(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the description."""
    print(describe_layer(arguments.name))
