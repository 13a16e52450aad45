"""Show a network layer by layer: shapes and parameters.

FILE is a configuration in JSON or a network saved as .safetensors. The shortest JSON is a
list of names:

  {"input_shape": [1, 8, 8],
   "layers": [["Conv2D", {"filters": 32, "kernel_size": 3}], "ReLU",
              ["MaxPool2D", {"pool_size": 2}], "Flatten", ["Dense", {"units": 10}]]}

Wrong names and settings are reported together, each with its place and what may be meant; of
shapes that do not fit, the first.

examples:
  fastconv summary net.json
  fastconv summary net.json --import my_layers    with layers of your own
  fastconv summary ResNet50 --classes 10 --input-shape 3,64,64
"""

from __future__ import annotations

import argparse

from fastconv.cli.networks import add_file, network_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE."""
    add_file(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    print(network_of(arguments).summary())
