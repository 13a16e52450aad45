"""Describe a layer or a network: its settings, their defaults, choices and meaning.

examples:
  fastconv describe Conv2D
  fastconv describe ResNet50
  fastconv describe fastconv.Conv2D.v1     one version, as saved files name it
  fastconv describe acme.Swish --import my_layers

A misspelt name, or the name of another library, is answered with the nearest right one.
"""

from __future__ import annotations

import argparse

from fastconv import registry
from fastconv.cli.modules import add_imports
from fastconv.layers import describe_layer, list_layers
from fastconv.models import describe_model, list_models
from fastconv.registry.spellings import name_offers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add NAME."""
    listed = "a name that `fastconv layers` or `fastconv models` lists"
    parser.add_argument("name", metavar="NAME", help=listed)
    add_imports(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the description; of a name that is neither, the error offers the nearest."""
    name: str = arguments.name
    near_layer = name in registry.layers or name_offers("layer", name, list_layers())
    near_model = name in registry.models or name_offers("model", name, list_models())
    is_model = name in registry.models or (near_model and not near_layer)
    print(
        describe_model(name) if is_model and name not in registry.layers else describe_layer(name)
    )
