"""A reader of .npz files, which never unpickles."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from fastconv.arguments import as_path, check_regular
from fastconv.errors import FormatError, describe

__all__ = ["read_npz"]

Array = np.ndarray[Any, Any]

_WRITTEN = "np.savez(path, x=x, y=y) writes one"


def read_npz(path: str | PathLike[str], *, operation: str = "read_npz") -> dict[str, Array]:
    """Return the arrays of an .npz file by name.

    Parameters
    ----------
    path : path of the file
    operation : str
        The name that errors begin with.

    Raises
    ------
    FormatError
        If the file is of another kind, damaged, or holds something that is no plain array, such as
        Python objects: nothing is ever unpickled.
    ArgumentTypeError, ArgumentError
        If `path` is no path, or leads to something other than a file.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "mine.npz")
    >>> np.savez(path, x=np.zeros((5, 1, 8, 8)), y=np.arange(5))
    >>> {name: array.shape for name, array in read_npz(path).items()}
    {'x': (5, 1, 8, 8), 'y': (5,)}
    """
    from fastconv.models.saving import formats, head_of

    name = str(as_path(operation, "path", path))
    check_regular(operation, "path", name)
    head = head_of(operation, name)
    rule = "must be an .npz of plain arrays"
    if not head.startswith((b"PK", b"\x93NUMPY")):  # NumPy would take it for a pickle
        kind = formats.tell(head)
        shown = kind.name if kind else f"a file that begins with {head[:8]!r}"
        raise FormatError(operation, name, rule, remedy=_WRITTEN, shown=shown)
    try:
        with open(name, "rb") as file:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise FormatError(operation, name, rule, remedy=_WRITTEN, shown="one array")
            with stored:
                return {key: stored[key] for key in stored.files}
    except (FormatError, OSError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many for a damaged or other file
        rule = f"must be an .npz of plain arrays; {describe(error)}"
        raise FormatError(operation, name, rule, remedy=_WRITTEN) from error
