"""The confusion matrix: how often rows of each class were taken for each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_int, as_plain_array
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import quietly

__all__ = ["confusion_matrix"]

Array = np.ndarray[Any, Any]
_NAME = "confusion_matrix"


@quietly
def confusion_matrix(y: Any, predicted: Any, *, classes: int | None = None) -> Array:
    """Return how often each class was taken for each.

    Parameters
    ----------
    y : array-like (N, ...), or (N, K, ...) of shares
        The right labels, or one-hot rows, of which the largest share counts.
    predicted : array-like (N, ...), or (N, K, ...) of outputs
        The labels that were said, or what ``net.predict`` gave, of which the largest counts.
        Integers in both of one shape are labels.
    classes : int, optional
        How many classes there are; by default as many as the outputs or shares have, or else as
        the largest label asks for.

    Returns
    -------
    ndarray (classes, classes), int64
        Row i, column j: how many answers of class i were said to be of class j.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If labels are no integers, or not of a class; or if an output is NaN.
    ShapeError
        If the shapes do not fit each other.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, 2], [0, 2, 1, 2])
    array([[1, 0, 1],
           [0, 1, 0],
           [0, 0, 1]])
    """
    arrays = {
        "y": as_plain_array(_NAME, "y", y),
        "predicted": as_plain_array(_NAME, "predicted", predicted),
    }
    axes = [array.ndim for array in arrays.values()]
    if not all(axes):
        name = "predicted" if axes[0] else "y"
        raise ShapeError(_NAME, name, "must have shape (N, ...)", (), shown="shape ()")
    # What has an axis more than the other has it for the classes. If there are as many, both have
    # it where one of them has floats, which are no labels.
    floats = any(array.dtype.kind == "f" for array in arrays.values())
    both = axes[0] == axes[1] > 1 and floats
    known = [a.shape[1] for a in arrays.values() if a.ndim > 1 and (both or a.ndim > min(axes))]
    right, found = (
        _as_labels(name, _largest(name, array) if both or array.ndim > min(axes) else array)
        for name, array in arrays.items()
    )
    if right.shape != found.shape or len(set(known)) > 1:
        shape = arrays["predicted"].shape
        rule = f"must be labels or outputs that fit y, {arrays['y'].shape}"
        raise ShapeError(_NAME, "predicted", rule, shape, shown=f"shape {shape}")
    largest = int(max(right.max(initial=-1), found.max(initial=-1)))
    if classes is not None:
        known.append(as_int(_NAME, "classes", classes, 1))
    count = max(known, default=largest + 1)
    if largest >= count:
        rule = f"must be 0 to {count - 1} for {count} classes"
        raise ArgumentError(_NAME, "labels", rule, largest)
    pairs = np.bincount((right * count + found).ravel(), minlength=count * count)
    return pairs.reshape(count, count).astype(np.int64, copy=False)


def _largest(name: str, array: Array) -> Array:
    """Return the class of the largest number of each answer of `array` (N, K, ...)."""
    if array.shape[1] < 2:
        rule = "must have at least 2 classes on axis 1"
        one = "[:, 0]" if array.dtype.kind != "f" else "[:, 0] > 0.5"
        remedy = f"for labels that are yes or no take {name}{one}"
        raise ShapeError(_NAME, name, rule, array.shape, remedy, shown=f"shape {array.shape}")
    if np.isnan(array).any():
        raise ArgumentError(_NAME, name, "must be numbers", float("nan"), "leave such rows out")
    return array.argmax(axis=1)


def _as_labels(name: str, array: Array) -> Array:
    if array.dtype.kind not in "iub":
        remedy = f"take {name}.astype(int), or {name} > 0.5 for chances"
        shown = f"dtype {array.dtype}"
        raise ArgumentTypeError(_NAME, name, "must be integers", array.dtype, remedy, shown=shown)
    if array.size and array.min() < 0:
        raise ArgumentError(_NAME, name, "must be at least 0", int(array.min()))
    return array.astype(np.int64, copy=False)
