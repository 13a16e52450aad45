"""What ``compile`` chose: optimizer, losses and metrics, and how far training has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import takes
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.training.described import described
from fastconv.training.losses import Loss
from fastconv.training.losses.blockwise import BlockwiseLoss
from fastconv.training.metrics.counting import CountingMetric
from fastconv.training.metrics.measuring import bytes_of_counts, counted, metric_name, total_of
from fastconv.training.optimizer import Optimizer
from fastconv.training.totals import Totals
from fastconv.training.trainable import Array, LossFunction
from fastconv.training.weighting import as_weights

__all__ = ["Compiled", "Totals"]

ShapeDtype = tuple[tuple[int, ...], np.dtype[Any]]

#: What a metric is taken to need for each answer, such as the class that was said, beside two
#: arrays of the size of the outputs. It matters where a network ends in what is largest in it.
BYTES_PER_ANSWER = 24


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
    #: What optimizer, losses and metrics were when they were chosen; see `described`.
    chosen: dict[str, Any] | None = None
    #: The last ``fit``, as far as checkpoints hold it; copies and pickles have none.
    course: Any = field(init=False, default=None, repr=False, compare=False)
    #: What the figure of each metric is called.
    names: list[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.names = _figure_names(self.labels, self.metrics)
        self.chosen = self.chosen or self._described()

    def _described(self) -> dict[str, Any]:
        return {
            "optimizer": described(self.optimizer, registry.optimizers),
            "losses": [described(loss, registry.losses) for loss in self.losses],
            "metrics": [
                [described(metric, registry.metrics) for metric in group] for group in self.metrics
            ],
        }

    @property
    def figure_names(self) -> tuple[str, ...]:
        """The names of all figures, without those of validation."""
        losses = [f"{label}loss" for label in self.labels] if len(self.labels) > 1 else []
        return "loss", *losses, *chain(*self.names)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "course": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.optimizer.belong(self)  # a copied optimizer belongs to nobody yet

    def check_weights(self, operation: str, parameter: str = "weights") -> None:
        """Raise ArgumentTypeError if a loss of somebody else's cannot weigh its rows."""
        for loss in self.losses:
            if not takes(loss.value_and_gradient, 3):  # outputs, targets, weights
                raise ArgumentTypeError(
                    operation,
                    parameter,
                    f"must not be given to the loss {_loss_name(loss)!r}",
                    type(loss),
                    "let its value_and_gradient take (outputs, targets, weights=None)",
                    shown="some",
                )

    def loss_bytes(self, outputs: Sequence[ShapeDtype], gradients: bool) -> tuple[int, int]:
        """Return the most bytes that the losses take beside outputs and targets.

        Return those of any number of rows, and those of a row, the gradients among them if they
        are asked for.
        """
        fixed = row = 0
        for loss, (shape, dtype) in zip(self.losses, outputs, strict=True):
            size = math.prod(shape) * dtype.itemsize
            if isinstance(loss, BlockwiseLoss):
                taken = loss.temporary_bytes(shape, dtype.itemsize, gradient=gradients)
                fixed = max(fixed, taken - size if gradients else taken)
                row += size if gradients else 0
            else:
                row += loss.temporary_bytes(shape, dtype.itemsize)
        rows = max(1, len(outputs) and outputs[0][0][0])
        return fixed, -(-row // rows)

    def metric_bytes(self, outputs: Sequence[ShapeDtype]) -> int:
        """Return the most bytes that a metric takes for outputs of one row, beside them."""
        return max(
            [
                2 * math.prod(shape) * dtype.itemsize + BYTES_PER_ANSWER * math.prod(shape[2:])
                for (shape, dtype), metrics in zip(outputs, self.metrics, strict=True)
                if metrics
            ],
            default=0,
        )

    def count_bytes(self, outputs: Sequence[tuple[int, ...]], rows: int) -> tuple[int, int]:
        """Return what metrics keep of `rows` rows in all, and the most that one adds to it for a
        while, where `outputs` are the shapes of one row's, without the batch.
        """
        found = [
            bytes_of_counts(metric, shape, rows)
            for shape, metrics in zip(outputs, self.metrics, strict=True)
            for metric in metrics
            if isinstance(metric, CountingMetric)
        ]
        return sum(kept for kept, _ in found), max([0, *(adding for _, adding in found)])

    def loss_function(
        self, targets: tuple[Array, ...], weights: Array | None = None, whole: float | None = None
    ) -> LossFunction:
        """Return the function from outputs to (figures by name, one gradient per output).

        `weights` (N,) say how much each row counts in every loss; see `Loss`. With `whole`, the
        rows are part of a batch whose rows weigh so much: gradients are of its mean loss, and
        figures are sums, to be divided by `whole` when they are added up.
        """
        if weights is not None:
            self.check_weights("loss")

        def dloss(outputs: tuple[Array, ...]) -> tuple[dict[str, float], tuple[Array, ...]]:
            pairs = [
                _of(loss, y, t, weights, whole)
                for loss, y, t in zip(self.losses, outputs, targets, strict=True)
            ]
            return self._named([value for value, _ in pairs]), tuple(dy for _, dy in pairs)

        return dloss

    def figures(
        self, outputs: tuple[Array, ...], targets: tuple[Array, ...], weights: Array | None
    ) -> dict[str, float]:
        """Return the losses by name, and compute no more of the gradients than a loss must."""
        if not all(isinstance(loss, BlockwiseLoss) for loss in self.losses):
            return self.loss_function(targets, weights)(outputs)[0]
        called = zip(self.losses, outputs, targets, strict=True)
        return self._named([loss(y, t, weights) for loss, y, t in called])

    def _named(self, values: Sequence[float]) -> dict[str, float]:
        figures: dict[str, float] = {"loss": sum(values)}
        if len(values) > 1:
            figures.update(
                (f"{label}loss", v) for label, v in zip(self.labels, values, strict=True)
            )
        return figures

    def measure(
        self,
        totals: Totals,
        losses: Mapping[str, float],
        outputs: tuple[Array, ...],
        targets: tuple[Array, ...],
        weights: Array | None = None,
    ) -> None:
        """Add the figures of one batch to `totals`, each row as its weight, or all equally."""
        rows = len(outputs[0])
        weights = as_weights("measure", weights, rows)
        whole = rows if weights is None else float(weights.sum())
        for name, figure in losses.items():
            totals.add(name, figure * whole, whole)
        measured = zip(self.names, self.metrics, outputs, targets, strict=True)
        for names, metrics, y, t in measured:
            for name, metric in zip(names, metrics, strict=True):
                if isinstance(metric, CountingMetric):
                    totals.count(name, metric, counted(metric, y, t, weights))
                else:
                    total, count = total_of(metric, metric(y, t), rows, weights)
                    if count or weights is not None:
                        totals.add(name, total, count)

    def totals(self, state: Mapping[str, Any] | None = None) -> Totals:
        """Return empty totals, or those that `Totals.state` gave the `state` of."""
        totals = Totals()
        totals.restore(state or {}, self.by_name)
        return totals

    @property
    def by_name(self) -> dict[str, Any]:
        """The metrics, by the names of their figures."""
        return dict(zip(chain(*self.names), chain(*self.metrics), strict=True))


def _loss_name(loss: Loss) -> str:
    return str(getattr(loss, "name", type(loss).__name__))


def _of(
    loss: Loss, outputs: Array, targets: Array, weights: Array | None, whole: float | None
) -> tuple[float, Array]:
    """Return figure and gradient of a loss for a batch, or for a part of a batch of `whole`."""
    if whole is not None and isinstance(loss, BlockwiseLoss):
        return loss.part_of_mean(outputs, targets, weights, whole)
    weighted = () if weights is None else (weights,)
    figure, gradient = _checked(loss, loss.value_and_gradient(outputs, targets, *weighted), outputs)
    if whole is None:
        return figure, gradient
    own = len(outputs) if weights is None else float(weights.sum())
    return figure * own, gradient * gradient.dtype.type(own / (whole or 1.0))


def _checked(loss: Loss, given: Any, outputs: Array) -> tuple[float, Array]:
    """Return what `loss` gave for `outputs`; raise unless that is a figure and its gradient."""
    name = _loss_name(loss)
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
