"""Checks of paths: what the system can take, and the folder that ``~`` stands for."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastconv.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from pathlib import Path

with contextlib.suppress(ImportError):  # as on Windows
    import pwd

__all__ = ["as_path", "check_place", "check_regular", "check_suffix", "full_path", "home"]

#: Suffixes of files of other formats.
ELSEWHERE = (".h5", ".keras", ".onnx", ".pt", ".pth", ".npz", ".pkl")


def as_path(operation: str, parameter: str, value: Any, what: str = "file") -> Path:
    """Return `value`, the path of a file or of `what` is said, as a Path; an open file is none.

    A leading ``~`` is the folder of the user.  Where nobody knows that, it is refused: nothing is
    to go to a folder that is called ``~``.
    """
    from pathlib import Path  # no part of an import of fastconv, which is to be quick

    return Path(full_path(operation, parameter, value, what))


def full_path(operation: str, parameter: str, value: Any, what: str = "file") -> str:
    """Return `value`, the path of a file or of `what` is said, as text; see `as_path`.

    It imports nothing: where a first call of a process needs a path, another thread may fork, and a
    child would wait for ever for the lock of the import.
    """
    rule = f"must be the path of a {what}"
    try:
        path = os.fspath(value)
    except TypeError:
        path = None
    if not isinstance(path, str):
        name = type(value).__name__
        remedy = "give its name" if hasattr(type(value), "read") else ""
        if hasattr(type(value), "read_bytes"):  # what lies in an archive
            remedy = "importlib.resources.as_file makes it a file"
        raise ArgumentTypeError(operation, parameter, rule, value, remedy, shown=name)
    if not path or "\0" in path or not _is_name(path):
        rule = rule if not path else "must be made of characters that files can have"
        raise ArgumentError(operation, parameter, rule, value)
    first, *rest = path.replace(os.sep, "/").split("/")
    if first != "~":  # "~name/file" too, of somebody whom the system knows
        return os.path.expanduser(path)
    folder = home()
    if folder is None:
        rule = "must not begin with ~ where the variable HOME does not say which folder that is"
        raise ArgumentError(operation, parameter, rule, path, "write the folder in full")
    return os.path.join(folder, *filter(None, rest))


def check_suffix(
    operation: str, parameter: str, path: str, calls: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Raise ArgumentError if `path`, of a network to be written, has the suffix of another format.

    `calls` has for some suffixes the call that writes such a file.

    Examples
    --------
    >>> check_suffix("save", "path", "net.safetensors")
    """
    stem, suffix = os.path.splitext(path)
    if suffix.lower() in ELSEWHERE:
        remedy = f"write {os.path.basename(stem) + '.safetensors'!r}"
        if call := calls.get(suffix.lower()):
            remedy = f"{remedy}, or {call}"
        rule = f"must not end in {suffix.lower()}, which is another format"
        raise ArgumentError(operation, parameter, rule, path, remedy)


def check_place(operation: str, parameter: str, path: str) -> None:
    """Raise ArgumentError unless there is a place for a file at `path`, or a file."""
    folder = os.path.dirname(path)
    if (folder and not os.path.isdir(folder)) or os.path.isdir(path):
        rule = "must be of a file, in a folder that exists"
        raise ArgumentError(operation, parameter, rule, path)


def check_regular(
    operation: str, parameter: str, path: str, rule: str = "must be of a file"
) -> int:
    """Return the mode of the regular file at `path`; a pipe would wait for ever.

    Raises
    ------
    ArgumentError
        If something else is there.
    OSError
        If nothing is.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode):
        return mode
    kinds = {
        "a directory": stat.S_ISDIR,
        "a pipe": stat.S_ISFIFO,
        "a socket": stat.S_ISSOCK,
        "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    }
    what = next((name for name, applies in kinds.items() if applies(mode)), "something else")
    raise ArgumentError(operation, parameter, rule, path, shown=f"{path!r}, which is {what}")


def home() -> str | None:
    """Return the folder of the user, or None for one whom the system does not know."""
    if os.name == "posix" and not os.path.isabs(os.environ.get("HOME", "")):
        try:  # an empty HOME says no more than none
            found = pwd.getpwuid(os.getuid()).pw_dir
        except (NameError, KeyError):
            return None
    else:
        found = os.path.expanduser("~")
    return found if os.path.isabs(found) else None


def _is_name(path: str) -> bool:
    """Whether the system can be asked for `path`."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True
