"""Checks of shapes, and of arrays of real numbers."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from fastconv.arguments.numbers import as_int, is_sequence
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError, from_signal, shorten
from fastconv.floating import quietly

__all__ = [
    "CHANNELS_FIRST",
    "REAL",
    "as_plain_array",
    "as_shape",
    "as_sizes",
    "check_axes",
    "check_exact",
    "is_masked",
]

#: NumPy's kinds of real numbers.
REAL: tuple[type[np.generic], ...] = (np.bool_, np.integer, np.floating)
#: What to do with a batch whose channels come last, as every error says it.
CHANNELS_FIRST = "the channels come first here: x.transpose(0, 3, 1, 2)"


def as_plain_array(
    operation: str,
    parameter: str,
    value: Any,
    kinds: tuple[type[np.generic], ...] | None = REAL,
    *,
    rule: str = "must be an array of real numbers",
    remedy: str = "",
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Return `value` as an array that is no subclass; without a copy unless one is due.

    Parameters
    ----------
    value : array-like
        An array, nested lists of one length, or what NumPy makes an array of.
    kinds : tuple of type, or None
        What NumPy's types of the elements may be, such as ``np.integer``; None is any.
    rule, remedy : str
        What the error says of other dtypes; the rule also of what is no array.
    shape : tuple of int, optional
        The shape that the array must have; nothing is broadcast.
    dtype : dtype, optional
        Float32 or float64, what the array is cast to.

    Raises
    ------
    ArgumentTypeError
        If `value` is no array, has a mask, which would be lost, holds other things than numbers,
        or finite numbers that are not finite in `dtype`.
    ShapeError
        If it has another shape.
    """
    if isinstance(value, np.ndarray):
        array = value
    else:
        try:
            array = np.asarray(value)
        except MemoryError:
            raise
        except Exception as error:  # lists of unequal lengths; what others' __array__ may raise
            if from_signal(error):
                raise
            how = "the lists in it must be equally long" if is_sequence(value) else ""
            raise ArgumentTypeError(operation, parameter, rule, value, how) from None
    leaves = _leaves(value, array.ndim)
    masked = is_masked(type(value))
    if masked or any(map(is_masked, leaves)):
        raise ArgumentTypeError(
            operation,
            parameter,
            f"must {'be a plain array' if masked else 'hold plain arrays'}",
            type(value),
            "use .filled(value)",
            shown="a masked one",
        )
    array = np.asarray(array)  # a subclass becomes a plain array
    name = type(value).__name__
    if array.ndim == 0 and not _is_number(array.dtype.type, REAL):  # None, a text, a mapping
        raise ArgumentTypeError(operation, parameter, rule, value, shown=name)
    if kinds is not None:
        wrong = [kind.__name__ for kind in leaves if not _is_number(kind, kinds)]
        if wrong or not _is_number(array.dtype.type, kinds):
            shown = f"a list that holds {wrong[0]}" if wrong else f"{name} of {array.dtype}"
            raise ArgumentTypeError(operation, parameter, rule, array.dtype, remedy, shown=shown)
    if shape is not None and array.shape != shape:
        raise ShapeError(operation, parameter, f"must have shape {shape}", array.shape)
    return array if dtype is None else _cast(operation, parameter, array, dtype)


def is_masked(kind: type) -> bool:
    """Whether `kind` is NumPy's masked array; where it is not imported, there is none.

    To import it here takes long, and a child of fork would wait for ever for an import that
    another thread of its parent had begun.
    """
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return masked is not None and issubclass(kind, masked)


def _leaves(value: Any, depth: int) -> set[type]:
    """Return the types of what nested lists hold; of arrays in them that of their elements."""
    found: set[type] = set()
    rows = [value] if isinstance(value, (list, tuple)) else []
    for _ in range(depth):  # a list may hold itself
        inner: list[Any] = []
        for row in rows:
            for kind in set(map(type, row)):
                if issubclass(kind, (list, tuple)):
                    inner.extend(item for item in row if type(item) is kind)
                elif is_masked(kind):
                    found.add(kind)
                elif issubclass(kind, np.ndarray):
                    found.update(item.dtype.type for item in row if type(item) is kind)
                else:
                    found.add(kind)
        rows = inner
    return found


def _is_number(kind: type, kinds: tuple[type[np.generic], ...]) -> bool:
    """Whether what lists hold is of `kinds`; NumPy makes numbers of True and of spans of time."""
    if not issubclass(kind, np.generic):
        for own, numpys in ((bool, np.bool_), (int, np.int64), (float, np.float64)):
            if issubclass(kind, own):
                return issubclass(numpys, kinds)
        return hasattr(kind, "__array__")  # an array of somebody else's
    return issubclass(kind, kinds) and not issubclass(kind, np.timedelta64)


@quietly
def _cast(
    operation: str, parameter: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]
) -> np.ndarray[Any, Any]:
    cast = array.astype(dtype, order="C", copy=False)
    if cast is not array and not np.array_equal(np.isfinite(cast), np.isfinite(array)):
        largest = shorten(float(np.abs(array[np.isfinite(array)]).max()))
        raise ArgumentTypeError(
            operation, parameter, f"must fit {dtype.name}", largest, shown=f"values up to {largest}"
        )
    return cast


def check_exact(
    operation: str, parameter: str, array: np.ndarray[Any, Any], dtype: np.dtype[Any]
) -> None:
    """Raise ArgumentError unless `dtype`, a float, has every integer of `array` exactly."""
    digits, limits = np.finfo(dtype).nmant + 1, np.iinfo(array.dtype)
    if max(-limits.min, limits.max) <= 2**digits:
        return
    for part in _parts(array):
        low, high = int(part.min()), int(part.max())
        if max(-low, high) <= 2**digits:
            continue
        # what float64 rounds to 2**63 would not come back as the integer that it was
        wide = part.astype(dtype)
        inside = (wide >= float(limits.min)) & (wide < float(limits.max + 1))
        same = inside & (np.where(inside, wide, 0).astype(part.dtype) == part)
        if not same.all():
            wrong = int(part[~same][0])
            raise ArgumentError(
                operation,
                parameter,
                f"must hold integers that {dtype.name} has exactly",
                wrong,
                f"round them, for example {parameter}.astype(np.{dtype.name})",
            )


def _parts(array: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield pieces of `array` of at most a MiB, so that looking at them takes little memory."""
    if array.size:
        with np.nditer(array, ["external_loop", "buffered"], buffersize=1 << 17) as pieces:
            for piece in pieces:
                yield np.asarray(piece)


def as_sizes(
    operation: str, parameter: str, shape: Any, minimum: int = 1, rule: str = "", most: int = 32
) -> tuple[int, ...]:
    """Return `shape`, a sequence of at most `most` integers of at least `minimum`, as a tuple.

    `rule` is what the error says where it is no sequence.
    """
    unordered = isinstance(shape, (str, bytes, Mapping, Set))
    try:
        given = None if unordered else tuple(itertools.islice(shape, most + 1))  # may be endless
    except TypeError:
        given = None
    if given is None:
        rule = rule or "must be a tuple of integers"
        raise ArgumentTypeError(operation, parameter, rule, shape)
    if len(given) > most:
        raise ShapeError(
            operation, parameter, f"must have at most {most} sizes", "more", shown="more"
        )
    return tuple(
        as_int(operation, f"{parameter}[{i}]", size, minimum) for i, size in enumerate(given)
    )


def as_shape(operation: str, parameter: str, shape: Any, axes: str, minimum: int = 1) -> tuple:
    """Return `shape` as a tuple of ints, one per letter of `axes`; N may be 0, the others not."""
    letters = ", ".join(axes)
    if not is_sequence(shape):
        raise ArgumentTypeError(operation, parameter, f"must be a tuple ({letters})", shape)
    if len(shape) != len(axes):
        raise ShapeError(
            operation, parameter, f"must have {len(axes)} numbers ({letters})", tuple(shape)
        )
    return tuple(
        as_int(operation, f"{parameter}[{i}]", size, 0 if axis == "N" else minimum)
        for i, (axis, size) in enumerate(zip(axes, shape, strict=True))
    )


def check_axes(operation: str, parameter: str, shape: Sequence[int], axes: str) -> None:
    """Raise ShapeError unless `shape` has an axis per letter of `axes`, none but N empty."""
    if len(shape) == len(axes) and 0 not in shape:
        return  # the usual case, quickly
    if len(shape) != len(axes):
        remedy = ""
        if axes == "NCHW" and len(shape) == 3:
            n, h, w = shape
            remedy = f"for one channel use reshape({n}, 1, {h}, {w})"
        elif axes == "NCHW" and len(shape) == 2:
            h, w = shape
            remedy = f"for one image of one channel use reshape(1, 1, {h}, {w})"
        raise ShapeError(
            operation,
            parameter,
            f"must have {len(axes)} dimensions ({', '.join(axes)})",
            tuple(shape),
            remedy,
            shown=f"shape {tuple(shape)}",
        )
    for axis, size in zip(axes, shape, strict=True):
        if size < 1 and axis != "N":
            raise ShapeError(
                operation,
                parameter,
                f"must have at least one element along {axis}",
                tuple(shape),
                shown=f"shape {tuple(shape)}",
            )
