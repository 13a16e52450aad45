"""The data that a model is to learn from: as arrays with equally many rows, cut into batches."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any

from fastconv.batches import as_array, as_inputs, count_rows
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataWarning,
    FastconvError,
    ShapeError,
    from_signal,
)
from fastconv.training import remedies
from fastconv.training.compiled import Compiled
from fastconv.training.losses import Loss
from fastconv.training.trainable import Array, Trainable

__all__ = ["as_data", "as_pair", "check_rows", "count_batches", "warn_of_scale"]

#: The largest whole number that inputs usually have. Larger ones are pixels or the like.
USUAL = 32
#: How many rows are searched for it.
LOOKED_AT = 256


def as_data(
    operation: str, model: Trainable, compiled: Compiled, x: Any, y: Any
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return inputs and targets as arrays with equally many rows; the losses check the targets."""
    inputs = as_inputs(operation, model, x)
    wanted = len(compiled.losses)
    if wanted > 1 and not isinstance(y, (tuple, list)):
        rule = f"must be a tuple of {wanted} arrays"
        raise ArgumentTypeError(operation, "y", rule, type(y), shown=type(y).__name__)
    given = tuple(y) if wanted > 1 else (y,)
    targets = tuple(as_array(operation, "y", part) for part in given)
    if len(targets) != wanted:
        raise ShapeError(operation, "y", f"must hold {wanted} arrays", len(targets))
    rows = count_rows(inputs, model.layout)
    for target, part in zip(targets, given, strict=True):
        if target.ndim == 0 or len(target) != rows:
            raise ShapeError(
                operation,
                "y",
                f"must have as many rows as x, {rows}",
                target.shape,
                remedies.of_rows(part, target, rows),
                shown=f"shape {target.shape}",
            )
    if rows == 0:
        shown = f"shape {inputs[0].shape}"
        raise ShapeError(operation, "x", "must hold at least one row", inputs[0].shape, shown=shown)
    for number, (loss, spec, target, part) in enumerate(
        zip(compiled.losses, model.output_specs(), targets, given, strict=True)
    ):
        shape = (rows, *spec.shape)
        try:
            loss.check_targets(shape, target)  # finds even a wrong last label before the first step
        except FastconvError as error:
            found = error if part is target else _said_of(part, loss, shape, error)
            raise found if wanted == 1 else _said_of_output(number, found) from None
    return inputs, targets


def _said_of(given: Any, loss: Loss, shape: tuple[int, ...], error: FastconvError) -> FastconvError:
    """Return the error that `loss` raises for `given`, which became the targets, else `error`."""
    try:
        loss.check_targets(shape, given)
    except FastconvError as better:
        return better
    except Exception as other:  # somebody else's loss may take only arrays
        if from_signal(other):
            raise
    return error


def _said_of_output(number: int, error: FastconvError) -> FastconvError:
    """Return `error` so that it also names the output that it is about."""
    place = ": ".join(filter(None, (f"y[{number}]", error.operation)))
    parts = error.parameter, error.rule, error.value, error.remedy
    return type(error)(place, *parts, shown=error.shown)


def as_pair(validation_data: Any) -> tuple[Any, Any]:
    """Return `validation_data` as the pair (x, y) that it must be."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise ArgumentTypeError(
            "fit",
            "validation_data",
            "must be a pair (x, y)",
            type(validation_data),
            shown=type(validation_data).__name__,
        )
    return validation_data[0], validation_data[1]


def check_rows(operation: str, parameter: str, model: Trainable, rows: int) -> int:
    """Return the fewest rows that `model` learns from; raise ArgumentError if `rows` is less."""
    least, layer = model.least_rows()
    if rows < least:
        what = "be" if parameter == "batch_size" else "hold"
        unit = "" if parameter == "batch_size" else " rows"
        raise ArgumentError(
            operation,
            parameter,
            f"must {what} at least {least}{unit} for {layer} to learn",
            rows,
            f"take more rows at a time, or net.freeze({layer!r})",
        )
    return least


def count_batches(rows: int, batch_size: int, least: int) -> tuple[int, int]:
    """Return how many batches `slices` makes of `rows` rows, and how many the largest has."""
    full, rest = divmod(rows, batch_size)
    if full and 0 < rest < least:
        return full, batch_size + rest
    return full + bool(rest), min(batch_size, rows)


def warn_of_scale(model: Trainable, inputs: Sequence[Array]) -> None:
    """Warn of whole numbers far from 0, such as pixels up to 255, that no layer scales."""
    for array, normalized in zip(inputs, model.normalized_inputs(), strict=True):
        if array.dtype.kind not in "iu" or normalized:
            continue
        part = array[:LOOKED_AT] if array.ndim else array
        largest = max(int(part.max(initial=0)), -int(part.min(initial=0)))
        if largest > USUAL:
            divisor = 255 if largest <= 255 else largest
            warnings.warn(
                f"fit: x should be of numbers about 0 to 1, got integers up to {largest}; networks "
                f"hardly learn from such: x / {divisor}",
                DataWarning,
                stacklevel=_outside(),
            )
            return


def _outside() -> int:
    """Return the stacklevel of the first caller that is not one of fastconv's own functions."""
    level = 2
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("fastconv."):
        level, frame = level + 1, frame.f_back
    return level
