"""Say what a network takes before it runs: algorithms, work and bytes, node by node.

For every node: the algorithm and why it was chosen, multiply-adds, how many parameters, the
bytes of activations, workspace and packed weights, and all that is alive while it runs; at the
end the peak, which is the largest of these, and where it is. Nothing is computed, so the plan
of a network that does not fit this machine is right too. With --memory-limit the plan says how
a run keeps within it, or what the least would be. --json has the full reasons. --html writes a
page for a browser that needs nothing else, with a slider for the limit.

examples:
  fastconv plan net.json                          inference on one image
  fastconv plan net.json --batch 100 --training   a step of training
  fastconv plan net.json --batch 100 --memory-limit '20 MB'
  fastconv plan net.json --measure                run it once too, and say what it took
  fastconv plan net.json --png plan.png           bars, with im2col beside
  fastconv plan net.json --html plan.html         the same for every limit, as a page
  fastconv plan net.json --json | python -m json.tool
"""

from __future__ import annotations

import argparse
import json

from fastconv import plot
from fastconv.arguments import parse_bytes
from fastconv.cli.networks import add_file, network_of
from fastconv.cli.paths import check_drawing, typed_path
from fastconv.cli.values import at_least
from fastconv.errors import ArgumentError
from fastconv.memory import format_bytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, and what the plan is of."""
    add_file(parser)
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images; default 1")
    parser.add_argument("--training", action="store_true", help="with the backward pass")
    parser.add_argument(
        "--memory-limit", metavar="BYTES", help="bytes that all may take, or '20 MB'"
    )
    parser.add_argument(
        "--workspace-limit", metavar="BYTES", help="bytes a convolution may take, or '8 MiB'"
    )
    parser.add_argument(
        "--measure", action="store_true", help="run it on random numbers; say what it took"
    )
    parser.add_argument(
        "--png", metavar="FILE", type=typed_path, help="write a picture; needs matplotlib"
    )
    parser.add_argument(
        "--html", metavar="FILE", type=typed_path, help="write a page with a slider for the limit"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> None:
    """Print the plan and, if that is asked for, what a run took."""
    at_least("plan", "--batch", arguments.batch, 1)
    if arguments.png:
        check_drawing("plan", "--png", arguments.png)
    if arguments.html:
        check_drawing("plan", "--html", arguments.html, ".html")
    net = network_of(arguments)
    limit = parse_bytes("plan", "--memory-limit", arguments.memory_limit)
    plan = net.plan(
        arguments.batch,
        training=arguments.training,
        workspace_limit=parse_bytes("plan", "--workspace-limit", arguments.workspace_limit),
        memory_limit=limit,
    )
    taken = None
    if arguments.measure:
        if arguments.workspace_limit is not None:
            rule = "must come without --workspace-limit"
            remedy = "leave out --workspace-limit, or give --memory-limit, which runs keep"
            raise ArgumentError("plan", "--measure", rule, remedy=remedy)
        taken = net.measure(arguments.batch, training=arguments.training, memory_limit=limit)
    if arguments.json:
        values = plan.to_dict()
        print(json.dumps(values if taken is None else {**values, "measured": taken}, indent=2))
    else:
        print(plan)
        if taken is not None:
            share = 100 * taken / plan.peak if plan.peak else 100.0
            print(
                f"measured {format_bytes(taken)}, {share:.1f} % of the peak that was planned "
                "(some ten KiB are Python's own objects)"
            )
    if arguments.png:
        plot.plan_png(plan, arguments.png)
        if not arguments.json:
            print(f"as a picture: {arguments.png}")
    if arguments.html:
        page = plot.plan_page(
            net,
            arguments.batch,
            training=arguments.training,
            workspace_limit=arguments.workspace_limit,
            memory_limit=limit,
        )
        with open(arguments.html, "w", encoding="ascii", newline="\n") as file:
            file.write(page)
        if not arguments.json:
            print(f"as a page: {arguments.html}")
