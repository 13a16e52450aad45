"""Say what a network takes before it runs: algorithms, work and bytes, node by node.

For every node: the algorithm and why it was chosen, multiply-adds, how many parameters, the
bytes of activations, workspace and packed weights, and all that is alive while it runs; at the
end the peak, which is the largest of these, and where it is. Nothing is computed, so the plan
of a network that does not fit this machine is right too. --json has the full reasons.

examples:
  fastconv plan net.json                          inference on one image
  fastconv plan net.json --batch 100 --training   a training step
  fastconv plan net.json --workspace-limit '8 MiB'
  fastconv plan net.json --json | python -m json.tool
"""

from __future__ import annotations

import argparse
import json

from fastconv.cli.networks import add_file, at_least, read_network
from fastconv.memory import parse_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, and what the plan is of."""
    add_file(parser)
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images; default 1")
    parser.add_argument("--training", action="store_true", help="with the backward pass")
    parser.add_argument(
        "--workspace-limit", metavar="BYTES", help="bytes a convolution may take, or '8 MiB'"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> None:
    """Print the plan."""
    at_least("plan", "--batch", arguments.batch, 1)
    plan = read_network(arguments.file).plan(
        arguments.batch,
        training=arguments.training,
        workspace_limit=parse_bytes("plan", "--workspace-limit", arguments.workspace_limit),
    )
    print(json.dumps(plan.to_dict(), indent=2) if arguments.json else plan)
