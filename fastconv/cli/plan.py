"""Say what a network takes before it runs: algorithms, work and bytes, node by node.

For every node: the algorithm and why it was chosen, multiply-adds, the bytes of parameters,
activations and workspace; at the end the peak and where it is. Nothing is computed, so the
plan of a network that does not fit this machine is right too.

examples:
  fastconv plan net.json                          inference on one image
  fastconv plan net.json --batch 100 --training   a training step
  fastconv plan net.json --workspace-limit '8 MiB'
  fastconv plan net.json --json | python -m json.tool
"""

from __future__ import annotations

import argparse
import json

from fastconv.cli.networks import read_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="net.json or net.safetensors")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images; default 1")
    parser.add_argument("--training", action="store_true", help="with the backward pass")
    parser.add_argument(
        "--workspace-limit", metavar="BYTES", help="bytes a convolution may take, or '8 MiB'"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> None:
    limit = arguments.workspace_limit
    plan = read_network(arguments.file).plan(
        arguments.batch,
        training=arguments.training,
        workspace_limit=int(limit) if limit and limit.isdecimal() else limit,
    )
    print(json.dumps(plan.to_dict(), indent=2) if arguments.json else plan)
