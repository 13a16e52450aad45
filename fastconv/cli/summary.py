"""Show a network layer by layer: shapes and parameters.

FILE is a configuration in JSON or a network saved as .safetensors. The shortest JSON is a
list of names:

  {"input_shape": [1, 28, 28],
   "layers": [["Conv2D", {"filters": 30, "kernel_size": 5}], "ReLU",
              ["MaxPool2D", {"pool_size": 2}], "Flatten", ["Dense", {"units": 10}]]}

Every mistake in it is reported at once, each with its place and the nearest right name.

example:
  fastconv summary net.json
"""

from __future__ import annotations

import argparse

from fastconv.cli.networks import read_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="net.json or net.safetensors")


def run(arguments: argparse.Namespace) -> None:
    print(read_network(arguments.file).summary())
