"""What ``compile`` chose: optimizer, losses and metrics, and how far training has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.training.losses import Loss
from fastconv.training.optimizer import Optimizer
from fastconv.training.trainable import Array, LossFunction

__all__ = ["Compiled", "Totals"]


class Totals:
    """Sums and counts by name, so that the mean over batches of any sizes is exact."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, total: float, count: int) -> None:
        """Add the sum `total` of `count` figures to what `name` has so far."""
        before, counted = self._sums.get(name, (0.0, 0))
        self._sums[name] = before + total, counted + count

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the means by `prefix` + name; a name without any figures is left out."""
        return {prefix + name: total / n for name, (total, n) in self._sums.items() if n}


@dataclass
class Compiled:
    """Optimizer, one loss and a list of metrics per output, and how far training has come.

    `step` and `epoch` go on counting from one ``fit`` to the next: two calls of two epochs give
    the bits of one call of four. The optimizer belongs to this object alone.
    """

    optimizer: Optimizer
    losses: list[Loss]
    metrics: list[list[Any]]
    labels: list[str]  # for each output the prefix of its figures; "" if there is only one output
    step: int = 0
    epoch: int = 0
    #: What the figure of each metric is called.
    names: list[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.names = _figure_names(self.labels, self.metrics)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.optimizer.belong(self)  # a copied optimizer belongs to nobody yet

    def loss_function(self, targets: tuple[Array, ...]) -> LossFunction:
        """Return the function from outputs to (figures by name, one gradient per output)."""

        def dloss(outputs: tuple[Array, ...]) -> tuple[dict[str, float], tuple[Array, ...]]:
            pairs = [
                _checked(loss, loss.value_and_gradient(y, t), y)
                for loss, y, t in zip(self.losses, outputs, targets, strict=True)
            ]
            figures = {"loss": sum(value for value, _ in pairs)}
            if len(pairs) > 1:
                for label, (value, _) in zip(self.labels, pairs, strict=True):
                    figures[f"{label}loss"] = value
            return figures, tuple(gradient for _, gradient in pairs)

        return dloss

    def measure(
        self,
        totals: Totals,
        losses: Mapping[str, float],
        outputs: tuple[Array, ...],
        targets: tuple[Array, ...],
    ) -> None:
        """Add the figures of one batch to `totals`."""
        rows = len(outputs[0])
        for name, figure in losses.items():
            totals.add(name, figure * rows, rows)
        measured = zip(self.names, self.metrics, outputs, targets, strict=True)
        for names, metrics, y, t in measured:
            for name, metric in zip(names, metrics, strict=True):
                totals.add(name, *_total(metric, metric(y, t), rows))


def _checked(loss: Loss, given: Any, outputs: Array) -> tuple[float, Array]:
    """Return what `loss` gave for `outputs`; raise unless that is a figure and its gradient."""
    name = getattr(loss, "name", type(loss).__name__)
    if not isinstance(given, tuple) or len(given) != 2:
        rule = "must return (loss, gradient)"
        raise ArgumentTypeError(name, "value_and_gradient", rule, given, shown=type(given).__name__)
    value, gradient = given
    try:
        figure = float(value) if np.ndim(value) == 0 and not isinstance(value, str) else None
    except (TypeError, ValueError, OverflowError):
        figure = None
    if figure is None:
        raise ArgumentTypeError(name, "the loss", "must be one number", value)
    if not isinstance(gradient, np.ndarray) or gradient.shape != outputs.shape:
        raise ShapeError(
            name,
            "the gradient",
            f"must be an array of shape {outputs.shape}, as the outputs are",
            shown=f"shape {gradient.shape}"
            if isinstance(gradient, np.ndarray)
            else type(gradient).__name__,
        )
    if gradient.dtype != outputs.dtype:
        raise ArgumentTypeError(
            name,
            "the gradient",
            f"must be {outputs.dtype}, as the outputs are",
            gradient.dtype,
            "return gradient.astype(outputs.dtype)",
            shown=f"dtype {gradient.dtype}",
        )
    return figure, gradient


def _total(metric: Any, given: Any, rows: int) -> tuple[float, int]:
    """Return the sum of the figures that a metric gave for `rows` rows, and their number."""
    rule = f"must give one figure per answer, an array ({rows}, ...)"
    figures = given
    if type(given) is not np.ndarray or given.dtype.char not in "?fd":  # the usual, quickly
        figures = as_plain_array(metric_name(metric), "a metric", given, rule=rule)
    if figures.shape[:1] != (rows,):
        remedy = "" if figures.ndim else "return the figures themselves, fit takes their mean"
        raise ShapeError(
            metric_name(metric),
            "a metric",
            rule,
            figures.shape,
            remedy,
            shown=f"shape {figures.shape}",
        )
    if figures.dtype.kind == "b":
        return float(np.count_nonzero(figures)), figures.size
    return _sum(figures), figures.size


@quietly
def _sum(figures: Array) -> float:
    return float(figures.sum(dtype=np.float64))


def metric_name(metric: Any) -> str:
    """Return what a metric is called: its `name`, the function's name, or that of its class."""
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))


def _figure_names(labels: Sequence[str], metrics: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return a name for the figures of each metric; equal ones are numbered to make them differ."""
    taken = {"loss", *(f"{label}loss" for label in labels)}
    found: list[list[str]] = []
    for label, group in zip(labels, metrics, strict=True):
        names = []
        for metric in group:
            own = metric_name(metric)
            if own == "loss" or own.startswith("val_"):
                raise ArgumentError(
                    "compile",
                    "metrics",
                    "must not be called 'loss' or 'val_...', as the loss "
                    "and the figures of validation are",
                    own,
                    "give the function another name, or an attribute `name`",
                )
            number, name = 1, label + own
            while name in taken:
                number += 1
                name = f"{label}{own}_{number}"
            taken.add(name)
            names.append(name)
        found.append(names)
    return found
