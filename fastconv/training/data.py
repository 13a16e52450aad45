"""The data that a model is to learn from: as arrays with equally many rows, cut into batches."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from fastconv.arguments import call_it
from fastconv.batches import Rows, as_array, as_inputs, count_rows
from fastconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataWarning,
    FastconvError,
    ShapeError,
    from_signal,
)
from fastconv.errors.callers import outside
from fastconv.training import remedies
from fastconv.training.compiled import Compiled
from fastconv.training.losses import Loss
from fastconv.training.trainable import Array, Trainable

__all__ = ["as_data", "as_parts", "check_least", "check_rows", "count_batches", "warn_of_scale"]

#: The largest whole number that inputs usually have. Larger ones are pixels or the like.
USUAL = 32
#: How many rows are searched for it.
LOOKED_AT = 256
#: About how many bytes of what is read are looked at, at a time.
BLOCK = 1 << 20


def as_data(
    operation: str, model: Trainable, compiled: Compiled, x: Any, y: Any, untried: str = ""
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return inputs and targets as arrays with equally many rows; the losses check the targets.

    `untried` names those of x and y, as in ``"xy"``, that need not fit the model and its losses: a
    transform makes of them what is to fit.
    """
    inputs = as_inputs(operation, model, x, tried="x" not in untried)
    wanted = len(compiled.losses)
    if wanted > 1 and not isinstance(y, (tuple, list)):
        rule = f"must be a tuple of {wanted} arrays"
        raise ArgumentTypeError(operation, "y", rule, type(y), shown=type(y).__name__)
    if y is None:
        alone = "x comes alone where it is an iterable of batches (x, y)"
        remedy = "" if operation == "train_on_batch" else alone
        rule = "must be an array (N, ...)"
        raise ArgumentTypeError(operation, "y", rule, None, remedy, shown="NoneType")
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
    if "y" not in untried:
        _check_targets(model, compiled, targets, given)
    return inputs, targets


def _check_targets(
    model: Trainable, compiled: Compiled, targets: Sequence[Array], given: Sequence[Any]
) -> None:
    """Raise if a loss cannot take its targets, which were made of `given`."""
    rows, wanted = len(targets[0]), len(targets)
    for number, (loss, spec, target, part) in enumerate(
        zip(compiled.losses, model.output_specs(), targets, given, strict=True)
    ):
        shape = (rows, *spec.shape)
        try:
            # finds even a wrong last label before the first step
            if isinstance(target, Rows):
                _check_read(loss, shape, target)
            else:
                loss.check_targets(shape, target)
        except FastconvError as error:
            same = part is target or isinstance(target, Rows)
            found = error if same else _said_of(part, loss, shape, error)
            raise found if wanted == 1 else _said_of_output(number, found) from None


def _check_read(loss: Loss, shape: tuple[int, ...], targets: Rows) -> None:
    """Check targets that are read, some at a time.

    Errors have no remedy: the object has no arithmetic, and nobody has seen all of it.
    """
    step = max(1, BLOCK // max(1, targets.row_bytes))
    for begin in range(0, len(targets), step):
        block = targets[begin : begin + step]
        try:
            loss.check_targets((len(block), *shape[1:]), block)
        except FastconvError as error:
            found = error
            try:
                loss.check_targets(shape, targets.outline)  # what is wrong with all of them
            except FastconvError as of_all:
                found = of_all
            parts = found.operation, found.parameter, found.rule, found.value
            raise type(found)(*parts, shown=found.shown) from None


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


def as_parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return `validation_data` as x, y and the weights of the rows or None."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ArgumentTypeError(
            "fit",
            "validation_data",
            "must be (x, y), (x, y, sample_weight) or an iterable of batches",
            type(validation_data),
            call_it(validation_data),
            shown=type(validation_data).__name__,
        )
    x, y, *weights = validation_data
    return x, y, weights[0] if weights else None


def check_rows(operation: str, parameter: str, model: Trainable, rows: int) -> int:
    """Return the fewest rows that `model` learns from; raise ArgumentError if `rows` is less."""
    least, layer = model.least_rows()
    check_least(operation, parameter, rows, least, layer)
    return least


def check_least(operation: str, parameter: str, rows: int, least: int, layer: str) -> None:
    """Raise ArgumentError if `rows` is less than `least`, which `layer` needs to learn."""
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


def count_batches(rows: int, batch_size: int, least: int) -> tuple[int, int]:
    """Return how many batches `slices` makes of `rows` rows, and how many the largest has."""
    full, rest = divmod(rows, batch_size)
    if full and 0 < rest < least:
        return full, batch_size + rest
    return full + bool(rest), min(batch_size, rows)


def warn_of_scale(model: Trainable, inputs: Sequence[Array], *, held: bool = True) -> None:
    """Warn of whole numbers far from 0, such as pixels up to 255, that no layer scales.

    `held` says whether the caller has all of x, and so can divide it.
    """
    for array, normalized in zip(inputs, model.normalized_inputs(), strict=True):
        if array.dtype.kind not in "iu" or normalized:
            continue
        rows = LOOKED_AT
        if isinstance(array, Rows):
            held = False
            rows = min(rows, max(1, BLOCK // max(1, array.row_bytes)))
        part = array[:rows] if array.ndim else array
        largest = max(int(part.max(initial=0)), -int(part.min(initial=0)))
        if largest > USUAL:
            divisor = 255 if largest <= 255 else largest
            remedy = f"x / {divisor}"
            if not held:
                remedy = f'begin with ("Rescaling", {{"scale": 1 / {divisor}}})'
            warnings.warn(
                f"fit: x should be of numbers about 0 to 1, got integers up to {largest}; networks "
                f"hardly learn from such: {remedy}",
                DataWarning,
                stacklevel=outside(),
            )
            return
