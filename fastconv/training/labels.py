"""What outputs are compared with: classes, shares of classes, or other numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, as_sizes
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.training import remedies

__all__ = [
    "are_labels",
    "as_outputs",
    "at_labels",
    "check_classes",
    "check_values",
    "class_targets",
    "plain",
]

Array = np.ndarray[Any, Any]

#: What to do if there is one output where classes are asked for.
ONE_NUMBER = (
    "end in 2 units, one a class, and number the classes 0 and 1; for one unit that is yes or no "
    'take loss="sigmoid_cross_entropy" and metrics=["binary_accuracy"]; for one number take '
    'loss="mean_squared_error" and metrics=["mean_absolute_error"]'
)


def plain(operation: str, targets: Any) -> Array:
    """Return `targets` as an array; refuse a masked array, whose mask would be lost."""
    if type(targets) is np.ndarray:  # the usual case, quickly
        return targets
    return as_plain_array(operation, "targets", targets, None)


def as_outputs(operation: str, outputs: Any) -> Array:
    """Return outputs of a network, or what is given in their place, as an array of floats."""
    if type(outputs) is np.ndarray and outputs.dtype.char in "fd":  # the usual case, quickly
        return outputs
    array = as_plain_array(operation, "outputs", outputs)
    if array.dtype.kind != "f":
        return array.astype(np.float64)
    if array.dtype.itemsize not in (4, 8):
        remedy = "cast with .astype(np.float32)"
        raise ArgumentTypeError(
            operation,
            "outputs",
            "must be float32 or float64",
            array.dtype,
            remedy,
            shown=f"dtype {array.dtype}",
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_classes(operation: str, shape: tuple[int, ...], remedy: str = ONE_NUMBER) -> None:
    """Raise ShapeError unless outputs of `shape`, without the batch, have several classes."""
    shape = as_sizes(operation, "shape", shape, 0)
    if not shape:
        raise ShapeError(operation, "outputs", "must have shape (N, K, ...)", shape)
    if shape[0] < 2:
        shown = f"shape (N, {', '.join(map(str, shape))})"
        rule = "must have at least 2 classes on axis 1"
        raise ShapeError(operation, "outputs", rule, shape, remedy, shown=shown)


def are_labels(operation: str, shape: tuple[int, ...], given: Any) -> bool:
    """Check class targets against outputs of `shape`; return whether they are labels.

    Parameters
    ----------
    shape : tuple of int
        The shape (N, K, ...) of the outputs.
    given : array-like
        As `class_targets` takes them.

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        As `class_targets`.
    """
    targets = plain(operation, given)
    if targets.shape == shape[:1] + shape[2:] and targets.dtype.kind in "iu":
        if len(shape) > 1 < shape[1] and (not targets.size or _are_within(targets, shape[1])):
            return True  # the usual case, quickly
    if len(shape) < 2:
        raise ShapeError(operation, "outputs", "must have shape (N, K, ...)", shape)
    check_classes(operation, shape[1:])
    if targets.shape == shape:
        _check_shares(operation, targets, given)
        return False
    expected, classes = shape[:1] + shape[2:], shape[1]
    if targets.shape != expected:
        raise ShapeError(
            operation,
            "targets",
            f"must be labels of shape {expected} or shares of shape {shape}",
            targets.shape,
            remedies.of_labels(given, targets, expected, classes),
        )
    if targets.dtype.kind not in "iu":
        raise ArgumentTypeError(
            operation,
            "labels",
            "must be integers",
            targets.dtype,
            remedies.of_labels(given, targets, expected, classes),
            shown=f"dtype {targets.dtype}",
        )
    wrong = int(targets.min() if targets.min() < 0 else targets.max())
    raise ArgumentError(
        operation,
        "labels",
        f"must be 0 to {classes - 1} for {classes} outputs",
        wrong,
        remedies.of_labels(given, targets, expected, classes),
    )


def _are_within(labels: Array, classes: int) -> bool:
    """Whether integers are from 0 to `classes` - 1."""
    if labels.dtype == np.int64 and labels.dtype.isnative:
        labels = labels.view(np.uint64)  # in which negative numbers are large ones
    elif labels.min() < 0:
        return False
    return bool(labels.max() < classes)


def class_targets(operation: str, outputs: Array, targets: Any) -> tuple[Array, bool]:
    """Check class targets against `outputs`, and tell whether they are labels.

    Parameters
    ----------
    outputs : ndarray (N, K, ...)
    targets : array-like
        Integer labels (N, ...) in 0 to K - 1, or one row of K shares per answer, of the
        shape of `outputs` (one-hot, or any others that are finite and at least 0).

    Returns
    -------
    targets : ndarray
        Labels as intp, or shares in the dtype of `outputs`.
    labels : bool

    Raises
    ------
    ShapeError, ArgumentTypeError, ArgumentError
        If the shape is another, or the outputs have only one class; if labels are no integers,
        or one is outside 0 to K - 1; if shares are negative, infinite or NaN; or if an array is
        masked.
    """
    if are_labels(operation, outputs.shape, targets):
        return np.asarray(targets, np.intp), True
    return _in_dtype(targets, outputs.dtype), False


@quietly
def _in_dtype(targets: Any, dtype: np.dtype[Any]) -> Array:
    return np.asarray(targets, dtype)


def at_labels(labels: Array) -> tuple[Array, ...]:
    """Return the index that takes from outputs (N, K, ...) the elements that `labels` name."""
    if labels.ndim == 1:
        return np.arange(len(labels)), labels
    grid: tuple[Array, ...] = np.indices(labels.shape, sparse=True)
    return grid[0], labels, *grid[1:]


def check_values(
    operation: str,
    shape: tuple[int, ...],
    targets: Any,
    given: Any = None,
    remedy: Callable[[Any, Array, tuple[int, ...]], str] = remedies.of_values,
) -> Array:
    """Return targets as an array; raise unless they are numbers of `shape`, as the outputs are.

    `given` is what they were before; `remedy` says of that how it gets the `shape`.
    """
    given = targets if given is None else given
    targets = plain(operation, targets)
    if targets.shape[:1] == shape[:1]:  # a wrong number of rows is the first thing to say
        _check_numbers(operation, targets, given, shape)
    if targets.shape != shape:
        raise ShapeError(
            operation,
            "targets",
            f"must have the shape of the outputs, {shape}",
            targets.shape,
            remedy(given, targets, shape),
        )
    return targets


def _check_numbers(operation: str, targets: Array, given: Any, shape: tuple[int, ...]) -> None:
    if targets.dtype.kind not in "fiub":
        raise ArgumentTypeError(
            operation,
            "targets",
            "must be numbers",
            targets.dtype,
            remedies.of_texts(given, targets, shape),
            shown=f"dtype {targets.dtype}",
        )


@quietly
def _check_shares(operation: str, targets: Array, given: Any) -> None:
    _check_numbers(operation, targets, given, targets.shape)
    # the smallest is NaN if any of them is
    if targets.size and not (targets.min() >= 0 and targets.max() < np.inf):
        wrong = targets[~((targets >= 0) & (targets < np.inf))].flat[0]
        raise ArgumentError(
            operation,
            "targets",
            "must be shares that are finite and at least 0",
            wrong.item(),
            'for numbers that are no shares take loss="mean_squared_error"',
        )
