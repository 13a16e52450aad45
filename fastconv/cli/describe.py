"""Describe one layer: its settings, their types and defaults.

examples:
  fastconv describe Conv2D
  fastconv describe fastconv.Conv2D.v1     one version, as saved files name it

A misspelt name, or the name of another library, is answered with the nearest right one.
"""

from __future__ import annotations

import argparse

from fastconv.layers import describe_layer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a name that `fastconv layers` lists")


def run(arguments: argparse.Namespace) -> None:
    print(describe_layer(arguments.name))
