"""The book's params.pkl: written as a pickle, and read by a reader in which nothing can run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_path, check_regular
from fastconv.compat.deep_learning_from_scratch.pickled import Unreadable, read_arrays
from fastconv.errors import FormatError

__all__ = ["read_params", "write_params"]

Array = np.ndarray[Any, Any]

#: So many bytes are a hundred times the book's largest network; they are read at once.
MAX_BYTES = 2**30


def read_params(path: Any) -> dict[str, Array]:
    """Return the arrays of a pickled dict, by their names.

    Parameters
    ----------
    path : path
        What the book's ``save_params``, any ``pickle.dump`` of a dict of arrays, or `write_params`
        has written, in protocol 2 to 5.

    Raises
    ------
    FormatError
        If it is damaged, or holds anything but a dict from texts to arrays of numbers.
    ArgumentError, ArgumentTypeError
        If `path` is no path, or leads to something other than a file.
    OSError
        If the file cannot be read.
    """
    operation = "load_params"
    found = as_path(operation, "file_name", path)
    check_regular(operation, "file_name", str(found))
    with found.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    where = f"{operation}: {found}"
    if len(content) > MAX_BYTES:
        raise FormatError(where, "", f"must have at most {MAX_BYTES} bytes")
    try:
        return read_arrays(content)
    except Unreadable as error:
        rule = f"must be a pickled dict of arrays and nothing else; it has {error}"
        raise FormatError(where, "", rule) from None


def write_params(path: Any, params: Mapping[str, Array]) -> None:
    """Write a dict of arrays as a pickle of protocol 4, which the book's code can read."""
    found = as_path("save_params", "file_name", path)
    with found.open("wb") as file:
        pickle.dump({key: np.array(value) for key, value in params.items()}, file, protocol=4)
