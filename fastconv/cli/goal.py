"""What a network of a command is to learn: its loss and metrics, chosen or found by itself."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import Any

from fastconv import registry
from fastconv.cli.values import CHOICE, typed_choice
from fastconv.errors import TrainingError

__all__ = ["add_goal", "check_finite", "is_chosen", "loss_and_metrics"]

#: The loss for what an output gives, where the labels are classes.
_LOSSES = {"probabilities": "cross_entropy", "chances": "binary_cross_entropy"}


def add_goal(parser: argparse.ArgumentParser) -> None:
    """Add ``--loss`` and ``--metric``."""
    parser.add_argument(
        "--loss",
        type=typed_choice,
        metavar="NAME",
        help=f"{CHOICE}, of {', '.join(registry.losses.names())}; default: the one that fits",
    )
    parser.add_argument(
        "--metric",
        type=typed_choice,
        action="append",
        metavar="NAME",
        help=f"of {', '.join(registry.metrics.names())}; may be repeated; default: one that fits",
    )


def is_chosen(arguments: argparse.Namespace) -> bool:
    """Return whether a loss or a metric was named."""
    return arguments.loss is not None or arguments.metric is not None


def loss_and_metrics(arguments: argparse.Namespace, net: Any, y: Any) -> dict[str, Any]:
    """Return the arguments `loss` and `metrics` of ``compile`` for targets such as `y`.

    Whole numbers, or floats of another shape than the output's, are classes; other floats are
    values, or shares where the network ends in Softmax or Sigmoid.
    """
    kind = net.output_answers()[0].kind
    shape = net.output_specs()[0].shape
    values = y.dtype.kind == "f" and tuple(y.shape[1:]) == shape and kind not in _LOSSES
    loss = arguments.loss or ("mean_squared_error" if values else _LOSSES.get(kind or ""))
    loss = loss or "softmax_cross_entropy"
    name = loss if isinstance(loss, str) else loss[0]
    metrics = arguments.metric or [_metric(name)]
    return {"loss": loss, "metrics": metrics}


def check_finite(command: str, figures: Mapping[str, float]) -> None:
    """Raise TrainingError if a figure is infinite or NaN."""
    for name, figure in figures.items():
        if not math.isfinite(figure):
            remedy = "numbers in the data or the weights are infinite or NaN, or too large"
            raise TrainingError(command, name, "must be finite", figure, remedy)


def _metric(loss: str) -> str:
    """Return the metric that most people look at beside `loss`."""
    if loss in ("softmax_cross_entropy", "cross_entropy"):
        return "accuracy"
    if loss in ("sigmoid_cross_entropy", "binary_cross_entropy"):
        return "binary_accuracy"
    return "mean_absolute_error"
