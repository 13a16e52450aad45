"""Measure how well a network does on images that it has not learned from.

Of the digits these are the quarter that `fastconv train` holds out with the same --seed, of MNIST
its test part, of an .npz x_test and y_test if it has them. Of any other source they are all.

Where a figure is infinite or NaN, that is said, and the exit code is 1.

examples:
  fastconv evaluate net.safetensors
  fastconv evaluate net.safetensors --data ~/mnist --metric top_k:k=3 --metric accuracy
  fastconv evaluate net.safetensors --data mine.npz --confusion
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastconv.arguments import parse_bytes
from fastconv.cli.datasets import add_data, parts, to_judge
from fastconv.cli.goal import add_goal, check_finite, loss_and_metrics
from fastconv.cli.networks import add_file, has_weights, network_of
from fastconv.cli.output import note, write
from fastconv.cli.values import at_least
from fastconv.training import confusion_matrix


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, the data, and what to measure."""
    add_file(parser)
    add_data(parser)
    add_goal(parser)
    add = parser.add_argument
    add("--batch-size", type=int, default=100, help="rows computed at a time; default 100")
    add("--confusion", action="store_true", help="print how often each class is taken for which")
    add("--seed", type=int, default=0, help="of the split of the digits; default 0")
    add("--memory-limit", metavar="BYTES", help="bytes that a batch may take, or '20 MB'")


def run(arguments: argparse.Namespace) -> None:
    """Print loss and metrics, and the confusion matrix if that is asked for."""
    at_least("evaluate", "--batch-size", arguments.batch_size, 1)
    at_least("evaluate", "--seed", arguments.seed, 0)
    limit = parse_bytes("evaluate", "--memory-limit", arguments.memory_limit)
    net = network_of(arguments, arguments.seed)
    if not has_weights(arguments.file):
        note("evaluate", f"{arguments.file} has no weights: those of the network are random")
    x, y = to_judge(arguments, parts("evaluate", arguments, net))
    net.compile(optimizer="sgd", **loss_and_metrics(arguments, net, y))
    write(f"{len(x):,} images")
    figures = net.evaluate(x, y, batch_size=arguments.batch_size, memory_limit=limit)
    for name, figure in figures.items():
        write(f"{name}: {figure:.4g}")
    check_finite("evaluate", figures)
    if arguments.confusion:
        outputs = net.predict(x, arguments.batch_size, memory_limit=limit)
        write(_as_text(confusion_matrix(y, outputs)))


def _as_text(matrix: np.ndarray[Any, Any]) -> str:
    """Return the matrix with the true class at the left, and the class it was taken for on top."""
    width = max(len(f"{matrix.max(initial=0):,}"), len(str(len(matrix) - 1))) + 2
    head = "true \\ taken for"
    lines = [head + "".join(f"{column:>{width}}" for column in range(len(matrix)))]
    for row, counts in enumerate(matrix):
        lines.append(f"{row:>{len(head)}}" + "".join(f"{int(n):>{width},}" for n in counts))
    return "\n".join(lines)
