"""What every operation asks of its arrays, before a kernel sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import memory
from fastconv.arguments import as_plain_array, check_exact, is_masked
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError

__all__ = [
    "are_of_one_dtype",
    "as_array",
    "as_float",
    "as_floats",
    "as_gradient",
    "as_numbers",
    "as_output",
    "contiguous",
    "of_one_dtype",
    "readable",
]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
FLOATS: tuple[type[np.generic], ...] = (np.float32, np.float64)
NUMBERS: tuple[type[np.generic], ...] = (np.integer, np.float32, np.float64)


def as_array(operation: str, parameter: str, value: Any) -> np.ndarray:
    """Return `value` as a plain ndarray of native float32 or float64, copied only if it must be.

    Raises
    ------
    ArgumentTypeError
        For any other dtype, masked arrays and None, saying what to cast.
    """
    if type(value) is np.ndarray and (value.dtype is FLOAT32 or value.dtype is FLOAT64):
        return value
    array = _plain(operation, parameter, value, isinstance(value, (list, tuple)))
    return as_float(operation, parameter, array, FLOAT64)


def as_numbers(operation: str, parameter: str, value: Any) -> np.ndarray:
    """As `as_array`, but integers are right, and stay as they are."""
    if type(value) is np.ndarray and (value.dtype is FLOAT32 or value.dtype is FLOAT64):
        return value
    return _plain(operation, parameter, value, True)


def as_floats(operation: str, parameter: str, value: Any) -> np.ndarray:
    """As `as_array`, but integers are right, and become float64."""
    if type(value) is np.ndarray and (value.dtype is FLOAT32 or value.dtype is FLOAT64):
        return value
    return as_float(operation, parameter, _plain(operation, parameter, value, True), FLOAT64)


def _plain(operation: str, parameter: str, value: Any, integers: bool) -> np.ndarray:
    lists = isinstance(value, (list, tuple))
    rule = "must be an array of numbers" if lists else "must be an array of float32 or float64"
    array = as_plain_array(
        operation,
        parameter,
        value,
        NUMBERS if integers else FLOATS,
        rule=rule if lists or not integers else "must be an array of float32, float64 or integers",
        remedy=f"cast it, for example with {parameter}.astype(np.float32)",
    )
    if array.dtype.kind != "f":
        return array
    if lists:
        return array.astype(FLOAT64, copy=False)
    # of the same dtype, whatever metadata it carries
    return array.view(FLOATS[array.itemsize // 8]) if array.dtype.isnative else memory.copied(array)


def as_float(operation: str, parameter: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return `array` as it is, or integers as `dtype`, counted as a copy.

    Raises
    ------
    ArgumentError
        If `dtype` has not every one of them exactly.
    """
    if array.dtype.kind == "f":
        return array
    copy = memory.copied(array, dtype)  # first: what is larger than all memory is not looked at
    check_exact(operation, parameter, array, dtype)
    return copy


def are_of_one_dtype(a: Any, b: Any, c: Any = None) -> bool:
    """Return whether the arrays, None left out, are all float32 or all float64."""
    dtype = a.dtype
    return (
        b.dtype is dtype
        and (c is None or c.dtype is dtype)
        and (dtype is FLOAT32 or dtype is FLOAT64)
    )


def of_one_dtype(operation: str, **arrays: Any) -> list[Any]:
    """Return the arrays with the integers among them as the dtype of the others, else float64.

    Parameters
    ----------
    operation : str
        What errors name.
    **arrays : ndarray, PackedWeight or None
        By the names of the parameters.

    Raises
    ------
    ArgumentTypeError
        If some are float32 and others float64.
    ArgumentError
        If an integer is not exact in that dtype.
    """
    floats = [(n, a.dtype) for n, a in arrays.items() if a is not None and a.dtype.kind == "f"]
    first, dtype = floats[0] if floats else ("", FLOAT64)
    for name, other in floats[1:]:
        if other != dtype:
            packed = not isinstance(arrays[name], np.ndarray)  # which cannot be cast
            what, to = (first, other) if packed else (name, dtype)
            raise ArgumentTypeError(
                operation,
                name,
                f"must have the dtype of {first}, {dtype}",
                other,
                f"cast one of them, for example np.asarray({what}, np.{to})",
                shown=str(other),
            )
    return [
        array
        if array is None or array.dtype.kind == "f"
        else as_float(operation, name, array, dtype)
        for name, array in arrays.items()
    ]


def as_gradient(
    operation: str, dy: Any, kept: Any, name: str = "y"
) -> tuple[np.ndarray, np.ndarray]:
    """Return `dy` and what was kept for it as arrays of one shape and dtype.

    `name` is ``"y"`` if that is the output that `dy` belongs to, ``"x"`` for an input like it.

    Raises
    ------
    ArgumentTypeError, ShapeError
        If dtypes or shapes do not fit.
    """
    dy, kept = as_array(operation, "dy", dy), as_array(operation, name, kept)
    if not are_of_one_dtype(dy, kept):
        of_one_dtype(operation, **{"dy": dy, name: kept})
    if dy.shape != kept.shape:
        role = "output" if name == "y" else "input"
        rule = f"must have the shape of the {role}, {kept.shape}"
        raise ShapeError(operation, "dy", rule, dy.shape)
    return dy, kept


def readable(array: np.ndarray) -> np.ndarray:
    """Return `array` if kernels can read it in place, rows contiguous, else a counted copy."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    itemsize = array.itemsize
    if flags.aligned and (array.strides[-1] == itemsize or array.shape[-1] == 1):
        if all(stride % itemsize == 0 for stride in array.strides):
            return array
    return memory.copied(array)


def contiguous(array: np.ndarray) -> np.ndarray:
    """Return `array` if it is C-contiguous and aligned, else a counted copy."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return memory.copied(array)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]


def as_output(
    operation: str,
    out: Any,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *inputs: Any,
    over: bool = False,
) -> np.ndarray:
    """Return `out` checked, or a new array where it is None.

    With `over` it may lie over a whole input, element on element.

    Raises
    ------
    ArgumentError
        If `out` has another shape or dtype, is read-only, not C-contiguous, or overlaps an input.
    """
    if out is None:
        return memory.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or is_masked(type(out)):
        raise ArgumentTypeError(
            operation,
            "out",
            "must be a NumPy array",
            type(out),
            f"take np.empty({shape}, np.{dtype})",
            shown=type(out).__name__,
        )
    if out.shape != shape:
        remedy = f"take np.empty({shape}, np.{dtype})"
        raise ShapeError(operation, "out", f"must have shape {shape}", out.shape, remedy)
    if out.dtype != dtype or not out.dtype.isnative:
        raise ArgumentError(
            operation,
            "out",
            f"must be {dtype}",
            out.dtype,
            f"take np.empty({shape}, np.{dtype})",
            shown=str(out.dtype),
        )
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ArgumentError(
            operation,
            "out",
            "must be C-contiguous, aligned and writeable",
            out.strides,
            f"take np.empty({shape}, np.{dtype})",
            shown=f"strides {out.strides}, writeable={out.flags.writeable}",
        )
    for array in inputs:
        if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
            if over and _address(out) == _address(array) and out.strides == array.strides:
                continue
            raise ArgumentError(
                operation,
                "out",
                "must not overlap an input",
                out.shape,
                f"take np.empty({shape}, np.{dtype})",
                shown="an array that does",
            )
    return out
