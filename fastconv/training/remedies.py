"""How targets that do not fit can be made to fit: expressions of ``y``, tried before offered."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.errors import from_signal
from fastconv.floating import quietly

__all__ = ["of_binary", "of_labels", "of_rows", "of_texts", "of_two", "of_values"]

Array = np.ndarray[Any, Any]


def _name(given: Any) -> str:
    """Return what remedies call the targets; only an ndarray has the methods that they use."""
    return "y" if type(given) is np.ndarray else "np.asarray(y)"


@quietly
def of_labels(given: Any, targets: Array, expected: tuple[int, ...], classes: int) -> str:
    """Return how targets become labels of the shape `expected`, from 0 to `classes` - 1.

    Each step is tried here as it is written. What does not lead to such labels is not offered.
    """
    name, labels, one_hot = _in_shape(_name(given), targets, expected)
    if labels is None or not labels.size:
        return ""
    if labels.dtype.kind in "OSU":
        whole = _as_numbers(labels)
        if whole is None or not _are_whole(whole):
            return _numbered(name, labels, most=classes)
        try:
            labels.astype(int)
        except ValueError:  # "3.0"
            name = f"{name}.astype(float)"
        labels = whole
    if labels.dtype.kind not in "fiub":
        return ""
    if not _are_whole(labels):
        if not np.isfinite(labels).all():
            return "leave out the rows without a label, or give them one"
        return 'for numbers that are no classes take loss="mean_squared_error"'
    if labels.dtype.kind not in "iu":
        name, labels = f"{name}.astype(int)", labels.astype(int)
    low, high = int(labels.min()), int(labels.max())
    if 0 <= low and high < classes:
        return f"take {name}"
    if one_hot:
        return f"or give the last layer {one_hot} outputs"
    if low >= 1 and high == classes:
        return f"take {name} - 1"
    if found := _numbered(name, labels, least=classes, most=classes):
        return found
    if low < 0 and high < classes and labels.ndim == 1 and name == "y" and high >= 0:
        return "leave the rows without a class out: x, y = x[y >= 0], y[y >= 0]"
    if low < 0:
        return ""
    return f"or give the last layer {high + 1} outputs"


def _in_shape(
    name: str, targets: Array, expected: tuple[int, ...]
) -> tuple[str, Array | None, int]:
    """Return how `targets` get the shape `expected`, and what they are then; None if they cannot.

    The last is the number of classes if the targets are one-hot, else 0.
    """
    if targets.shape == expected:
        return name, targets, 0
    if len(expected) == 1 and targets.size == expected[0] == len(targets):
        return f"{name}.ravel()", targets.ravel(), 0
    if targets.ndim == len(expected) + 1:
        if targets.shape[:1] + targets.shape[2:] == expected:
            if targets.shape[1] == 1:
                return f"{name}[:, 0]", targets[:, 0], 0
            if _is_one_hot(targets, 1):
                return f"{name}.argmax(1)", targets.argmax(1), targets.shape[1]
        if targets.shape[:-1] == expected:
            if targets.shape[-1] == 1:
                return f"{name}[..., 0]", targets[..., 0], 0
            if _is_one_hot(targets, -1):
                return f"{name}.argmax(-1)", targets.argmax(-1), targets.shape[-1]
    return name, None, 0


def _is_one_hot(targets: Array, axis: int) -> bool:
    """Whether there is exactly one 1, and else zeros, along `axis`."""
    if targets.dtype.kind not in "fiub":
        return False
    ones = targets == 1
    return bool((ones | (targets == 0)).all() and (ones.sum(axis=axis) == 1).all())


def _as_numbers(array: Array) -> Array | None:
    """Return texts or objects as numbers, or None if they are not all numbers."""
    if array.dtype.kind not in "OSU":
        return None
    try:
        numbers: Array = array.astype(float)
    except Exception as error:  # whatever somebody else's __float__ raises
        if from_signal(error):
            raise
        return None
    return numbers


def _are_whole(array: Array) -> bool:
    """Whether all are whole numbers that an int64 holds."""
    if array.dtype.kind in "iub":
        return True
    if array.dtype.kind != "f":
        return False
    return bool((np.abs(array) < 2**53).all() and (array == np.rint(array)).all())


def of_rows(given: Any, targets: Array, rows: int) -> str:
    """Return how targets get `rows` rows, or "" if no way is known."""
    if targets.ndim < 2 or targets.shape[1] != rows:
        return ""
    if len(targets) == 1:
        return "take y[0]"
    return f"take {_name(given)}.T" if targets.ndim == 2 else ""


@quietly
def of_texts(given: Any, targets: Array, shape: tuple[int, ...]) -> str:
    """Return how targets that are texts or objects become numbers of the outputs' `shape`."""
    numbers = _as_numbers(targets)
    if numbers is None or not np.isfinite(numbers).all():  # None becomes NaN
        return ""
    name = f"{_name(given)}.astype(float)"
    return f"take {name}" if targets.shape == shape else _shaped(name, numbers, shape)


def _numbered(name: str, labels: Array, *, least: int = 1, most: int) -> str:
    """Return how to number the things in `labels`, if there are `least` to `most` kinds of them."""
    try:
        fits = labels.ndim == 1 and least <= len(np.unique(labels)) <= most
    except TypeError:  # things without an order
        return ""
    return f"number them: names, y = np.unique({name}, return_inverse=True)" if fits else ""


@quietly
def of_values(given: Any, targets: Array, shape: tuple[int, ...]) -> str:
    """Return how targets get the `shape` (N, K, ...) of the outputs."""
    if targets.ndim == 1 and len(shape) == 2 and targets.dtype.kind in "iu" and targets.size:
        if shape[:1] == targets.shape and 0 <= targets.min() and targets.max() < shape[1] > 1:
            y = "y" if isinstance(given, (np.ndarray, list)) else _name(given)
            return f"labels must be made one-hot first: y = np.eye({shape[1]})[{y}]"
    return _shaped(_name(given), targets, shape)


@quietly
def of_binary(given: Any, targets: Array, shape: tuple[int, ...]) -> str:
    """Return how targets that are yes or no get the `shape` (N, K, ...) of the outputs."""
    one_hot = of_values(given, targets, shape)
    if one_hot.startswith("labels"):
        return f'for one of {shape[1]} classes take loss="softmax_cross_entropy"; {one_hot}'
    return one_hot


@quietly
def of_two(given: Any, targets: Array) -> str:
    """Return how numbers that are not all 0 to 1 become yes or no."""
    name = _name(given)
    kinds = np.unique(targets)
    if not np.isfinite(kinds.astype(float)).all():
        return "leave out the rows without a label, or give them one"
    if len(kinds) == 2:
        low, high = kinds
        return f"take {name} - 1" if (low, high) == (1, 2) else f"take {name} > {low}"
    if _are_whole(kinds):
        return 'for one of several classes take loss="softmax_cross_entropy"'
    return 'for numbers that are no chances take loss="mean_squared_error"'


def _shaped(name: str, targets: Array, shape: tuple[int, ...]) -> str:
    """Return how the numbers called `name` get `shape`, or "" if there is no plain way."""
    if targets.shape[:1] != shape[:1] or len(shape) < 2:
        return ""
    if shape[1] == 1 and targets.shape == shape[:1] + shape[2:]:
        return f"take {name}[:, None]"
    if targets.ndim == 4 and (len(targets), targets.shape[3], *targets.shape[1:3]) == shape:
        return f"take {name}.transpose(0, 3, 1, 2)"
    if targets.size == np.prod(shape, dtype=object):
        return f"take {name}.reshape({', '.join(['-1', *map(str, shape[1:])])})"
    return ""
