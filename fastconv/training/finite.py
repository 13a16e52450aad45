"""Stops training at numbers that are not finite, before they reach a weight.

Every step looks at the loss and at the sum of each gradient, which cannot be finite if any of its
numbers is infinite or NaN.  Only then does it search for where that number came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv.batches import Layout, cast
from fastconv.errors import TrainingError
from fastconv.floating import is_finite, quietly
from fastconv.layers.spec import Spec
from fastconv.training.batch import Batch, place_of
from fastconv.training.trainable import Array, LossFunction, Trainable

__all__ = ["Wrong", "check_finite", "error_of", "guarded_step", "where_wrong"]


class _NotFinite(Exception):
    """Raised to leave a step before it changes anything: what is not finite, and its value."""


def guarded_step(
    operation: str, model: Trainable, batch: Batch, dloss: LossFunction, step: int, program: Any
) -> tuple[tuple[Array, ...], dict[str, float]]:
    """Run ``model.forward_backward``; raise TrainingError if a number is not finite.

    Parameters
    ----------
    operation : str
        The name that errors begin with.
    batch : Batch
    dloss, step, program
        As ``forward_backward`` takes them.
    """

    def guarded(outputs: tuple[Array, ...]) -> tuple[dict[str, float], tuple[Array, ...]]:
        losses, gradients = dloss(outputs)
        _check_losses(losses)
        return losses, gradients

    xs = cast(model, batch.inputs)
    try:
        return model.forward_backward(xs, guarded, step, program, accept=_accept)
    except _NotFinite as found:
        name, value = found.args
    wrong = where_wrong(model, batch, xs, step, program)
    raise error_of(operation, batch.epoch, batch.number, wrong or Wrong(name, value))


class Wrong(NamedTuple):
    """What was the first not to be finite: its name and value, the row, the rule, a remedy."""

    name: str
    value: float
    row: int | None = None
    rule: str = "must be finite"
    remedy: str = "a smaller learning_rate, or inputs of smaller numbers, may help"


def check_finite(
    losses: Mapping[str, float], gradients: Mapping[str, Array], statistics: Mapping[str, Array]
) -> Wrong | None:
    """Return what is not finite of what a step would use, or None."""
    try:
        _check_losses(losses)
        _accept(gradients, statistics)
    except _NotFinite as found:
        return Wrong(*found.args)
    return None


def _check_losses(losses: Mapping[str, float]) -> None:
    for name, figure in losses.items():
        if not math.isfinite(figure):
            raise _NotFinite(f"the {name}", figure)


def _accept(gradients: Mapping[str, Array], statistics: Mapping[str, Array]) -> None:
    """Raise unless all gradients and statistics that a step would use are finite."""
    if is_finite(*gradients.values(), *statistics.values()):
        return
    for what, arrays in (("the gradient of", gradients), ("the new", statistics)):
        for key, array in arrays.items():
            if not is_finite(array):
                raise _NotFinite(f"{what} {key}", float(array[~np.isfinite(array)][0]))


@quietly
def where_wrong(
    model: Trainable, batch: Batch, xs: tuple[Array, ...], step: int, program: Any
) -> Wrong | None:
    """Return what was the first in a batch, or a piece of one, not to be finite, if it is found."""
    data = _first_of_data(batch, xs, model.layout)
    if data is not None:
        return data
    key = {} if batch.piece is None else {"piece": batch.piece}
    if layer := model.first_not_finite(xs, step, program, **key):
        return Wrong(*layer)
    return _first_too_large(batch, model.output_specs())


def error_of(operation: str, epoch: int | None, number: int, wrong: Wrong) -> TrainingError:
    """Return the error that names what was not finite."""
    place = place_of(epoch, number)
    place = place if wrong.row is None else f" in row {wrong.row}{place}"
    return TrainingError(
        operation,
        wrong.name,
        wrong.rule,
        wrong.value,
        f"the weights are those before this batch; {wrong.remedy}",
        shown=f"{wrong.value:g}{place}",
        epoch=epoch,
        batch=None if epoch is None else number,
    )


def _first_of_data(batch: Batch, xs: tuple[Array, ...], layout: Layout | None) -> Wrong | None:
    """Return the first number of the data that is not finite."""
    remedy = "leave such rows out or fill them; np.isfinite tells which they are"
    for letter, arrays in (("x", batch.inputs), ("y", batch.targets)):
        for number, array in enumerate(arrays):
            name = letter if len(arrays) == 1 else f"{letter}[{number}]"
            seen = [(array, "must be finite")]
            if letter == "x":
                seen.append((xs[number], f"must be finite in {xs[number].dtype}"))
            for looked_at, rule in seen:
                if looked_at.dtype.kind == "f" and not is_finite(looked_at):
                    place = tuple(np.argwhere(~np.isfinite(looked_at))[0])
                    at = 0 if layout is None or letter == "y" else layout.inputs[number]
                    row = None if at is None else batch.row(int(place[at]))
                    # a number that only the cast made infinite is shown as it was before
                    return Wrong(name, float(array[place]), row, rule, remedy)
    return None


def _first_too_large(batch: Batch, outputs: Sequence[Spec]) -> Wrong | None:
    """Return the same as `_first_of_data` for targets that a loss casts to the outputs' dtypes."""
    for number, (array, spec) in enumerate(zip(batch.targets, outputs, strict=True)):
        if array.dtype.kind == "f":
            dtype = spec.dtype
            beyond = np.argwhere(~np.isfinite(array.astype(dtype, copy=False)))
            if len(beyond):
                name = "y" if len(batch.targets) == 1 else f"y[{number}]"
                rule, place = f"must be finite in {dtype}", tuple(beyond[0])
                row, remedy = batch.row(int(place[0])), "divide y by a number of its size"
                return Wrong(name, float(array[place]), row, rule, remedy)
    return None
