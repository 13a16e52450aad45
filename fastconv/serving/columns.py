"""Tables of columns, as engines give them: which are inputs, and what comes back.

A table is a mapping from names to arrays with a row for each example, or a DataFrame of pandas.
pandas is not imported: what is of its classes has brought it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError, did_you_mean, shorten
from fastconv.layers.spec import Spec

__all__ = ["as_rows", "check_kind", "chosen", "indexed", "is_series", "is_table", "table"]

Array = np.ndarray[Any, Any]

OPERATION = "Predictor"


def _pandas() -> Any:
    return sys.modules.get("pandas")


def is_series(x: Any) -> bool:
    """Whether `x` is a Series of pandas."""
    pandas = _pandas()
    return pandas is not None and isinstance(x, pandas.Series)


def _is_frame(x: Any) -> bool:
    pandas = _pandas()
    return pandas is not None and isinstance(x, pandas.DataFrame)


def is_table(x: Any) -> bool:
    """Whether `x` has columns with names."""
    return isinstance(x, Mapping) or _is_frame(x)


def check_kind(x: Any) -> None:
    """Raise ArgumentTypeError if `x` is a table of another library, such as one of pyarrow."""
    if hasattr(x, "column_names") and hasattr(x, "to_pandas"):
        rule = "must be a mapping from names to columns, or a DataFrame of pandas"
        shown = f"{type(x).__name__} of {type(x).__module__.partition('.')[0]}"
        raise ArgumentTypeError(
            OPERATION, "a table", rule, x, "predictor(x.to_pandas())", shown=shown
        )


def chosen(given: Any, asked: Sequence[str] | None, inputs: Mapping[str, Spec]) -> list[str]:
    """Return the columns of a table that are the inputs of a network, in their order.

    They are those `asked` for; else those that have the inputs' names; else the only column, for
    the only input.  All columns must have as many rows; what is no column is one thing for all.
    """
    found = _named(given, asked, inputs)
    rows = {name: _rows_of(given[name]) for name in (*found, *given)}
    for name, own in rows.items():
        if own is not None and own != rows[found[0]] is not None:
            rule = f"must have as many rows as the column {found[0]!r}, {rows[found[0]]}"
            raise ShapeError(OPERATION, f"the column {name!r}", rule, own)
    return found


def _rows_of(column: Any) -> int | None:
    """Return how many rows a column has; None for what is one thing for all rows."""
    is_column = isinstance(column, (list, tuple)) or is_series(column) or np.ndim(column)
    return len(column) if is_column else None


def _named(given: Any, asked: Sequence[str] | None, inputs: Mapping[str, Spec]) -> list[str]:
    there, names = list(given), list(inputs)
    if asked is None:
        if all(name in there for name in names):
            return names
        if len(there) == len(names) == 1:
            return there
        wanted = "='name'" if len(names) == 1 else "=['name', ...]"
        raise ArgumentError(
            OPERATION,
            "columns",
            f"must say which {'column is the input' if len(names) == 1 else 'columns are inputs'}"
            f" {', '.join(names[:8])}",
            shown=f"columns {shorten(there)}",
            remedy=_as_one_array(there, inputs) or f"Predictor(source, columns{wanted})",
        )
    if len(asked) != len(names):
        rule = f"must name a column for each input of the network, {', '.join(names[:8])}"
        raise ArgumentError(OPERATION, "columns", rule, list(asked), _as_one_array(asked, inputs))
    for name in asked:
        if name not in there:
            near = did_you_mean(name, [str(each) for each in there])
            rule = "must be of the table"
            raise ArgumentError(OPERATION, "columns", rule, name, near or f"it has {there[:8]}")
    return list(asked)


def _as_one_array(columns: Sequence[Any], inputs: Mapping[str, Spec]) -> str:
    """Return what to do with a column for each number of an example, or "" if there are others."""
    sizes = [spec.size for spec in inputs.values()]
    if sizes != [len(columns)] or sizes == [1]:
        return ""
    return f"its {len(columns)} columns make one array: predictor(frame.to_numpy())"


def as_rows(name: str, column: Any, spec: Spec) -> Any:
    """Return a column as an array (N, ...) of the shape that an input takes.

    Rows that are arrays or lists of their own are put together; rows of one axis get the shape of
    an example; where there are no rows, (0,) is right too.  What is neither an array nor a list nor
    a Series is returned as it is.
    """
    if is_series(column):
        column = column.to_numpy()
    elif isinstance(column, list):
        column = _array(column)
    if not isinstance(column, np.ndarray):
        return column
    if isinstance(column, np.matrix):  # it has two axes for ever
        column = np.asarray(column)
    if column.ndim and not len(column) and (column.ndim < 2 or column.dtype == object):
        return np.empty((0, *spec.shape), spec.dtype)
    if column.dtype == object:
        column = _stacked(name, column)
    if column.ndim in (1, 2) and prod(column.shape[1:]) == spec.size:
        return column.reshape(-1, *spec.shape)  # (N, size) -> (N, ...)
    return column


def _array(rows: list[Any]) -> Array:
    """Return a list as an array, of objects if its rows have no one shape."""
    try:
        return np.asarray(rows)
    except ValueError:
        found = np.empty(len(rows), object)
        for number, row in enumerate(rows):  # NumPy would broadcast arrays
            found[number] = row
        return found


def _stacked(name: str, column: Array) -> Array:
    """Return one array of the arrays or lists that the rows of a column are."""
    shape: tuple[int, ...] | None = None
    rows = []
    for number, row in enumerate(column.tolist() if column.ndim > 1 else column):
        try:
            array = np.asarray(row)
        except ValueError:  # of lists of unequal lengths
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            rule = "must be made of numbers"
            raise ArgumentTypeError(OPERATION, f"row {number} of {name}", rule, row)
        if array.shape != (shape := array.shape if shape is None else shape):
            rule = f"must have the shape of the rows before, {shape}"
            raise ShapeError(OPERATION, f"row {number} of {name}", rule, array.shape)
        rows.append(array)
    return np.stack(rows)


def indexed(outputs: Mapping[str, Array], like: Any) -> Any:
    """Return an output as a Series with the index of another one; several as a DataFrame."""
    columns = {name: _series(values, like) for name, values in outputs.items()}
    if len(columns) == 1:
        return columns.popitem()[1]
    return like.to_frame().iloc[:, :0].assign(**columns)


def _series(values: Array, like: Any) -> Any:
    """Return the rows of an output with the index of a Series or a DataFrame.

    A row is a number where the output has one for each row, else an array of one axis.
    """
    return _pandas().Series(_cells(values), index=like.index)


def _cells(values: Array) -> Any:
    flat = values.reshape(len(values), prod(values.shape[1:]))
    return flat[:, 0] if flat.shape[1] == 1 else list(flat)


def table(given: Any, used: Sequence[str], outputs: Mapping[str, Array]) -> Any:
    """Return a table of the columns that were no inputs, and of those that the network made.

    In a mapping, an output of one number for each row is (N,), any other keeps its shape (N, ...).
    In a DataFrame cells are those of a Series.
    """
    kept = [name for name in given if name not in set(used)]
    for name in outputs:
        if name in kept:
            rule = "must be names that the table does not have"
            remedy = "Predictor(source, results='name')"
            raise ArgumentError(OPERATION, "results", rule, name, remedy)
    if _is_frame(given):
        columns = {name: _series(values, given) for name, values in outputs.items()}
        return given[kept].assign(**columns)
    columns = {
        name: values[:, 0] if values.shape[1:] == (1,) else values
        for name, values in outputs.items()
    }
    return {**{name: given[name] for name in kept}, **columns}
